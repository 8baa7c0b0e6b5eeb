"""Files of weights into nets, and those that do not fit."""

import caffe
import numpy as np
import pytest
from nets import input_layer
from rewiring import FC, layer, parsed

from caffe_losses.net import prototxt, weights

TEXT = input_layer("data", (2, 4)) + FC + layer("relu", "ReLU", "fc", "fc")


@pytest.fixture
def stored(tmp_path):
    """A net with weights, and the paths of both formats."""
    net = prototxt.load(parsed(TEXT), "TEST")
    net.params["fc"][0].data[...] = np.random.RandomState(0).randn(5, 4)
    paths = [str(tmp_path / "net.caffemodel"), str(tmp_path / "net.caffemodel.h5")]
    net.save(paths[0])
    net.save_hdf5(paths[1])
    return net, paths


def test_both_formats_are_told_apart_by_what_is_in_them(stored, tmp_path):
    net, paths = stored
    (tmp_path / "net").write_bytes((tmp_path / "net.caffemodel.h5").read_bytes())
    for path in (*paths, str(tmp_path / "net")):
        assert weights.shapes_in(path) == {"fc": [(5, 4), (5,)]}
        loaded = weights.load(parsed(TEXT), path)
        np.testing.assert_array_equal(loaded.params["fc"][0].data, net.params["fc"][0].data)
        other = caffe.Net(net_file(tmp_path), caffe.TRAIN)
        weights.copy(other, path)
        np.testing.assert_array_equal(other.params["fc"][0].data, net.params["fc"][0].data)


def net_file(folder):
    (folder / "net.prototxt").write_text(TEXT)
    return str(folder / "net.prototxt")


@pytest.mark.parametrize("text, message", [
    (TEXT.replace('name: "fc"', 'name: "fc2"'), r"has no weights for layer fc2 of the net, but for \['fc'\]$"),
    (TEXT.replace("num_output: 5", "num_output: 6"), r"layer fc has weights of shapes \[\(5, 4\), \(5,\)\] there and "),
    (TEXT.replace("num_output: 5", "num_output: 0"), "^check: Caffe does not load the TEST phase"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(stored, text, message):
    for path in stored[1]:
        with pytest.raises(ValueError, match=message):
            weights.load(parsed(text), path)


@pytest.mark.parametrize("content, message", [
    (b"no weights", "is no .caffemodel; give the file that training snapshots$"),
    (b"", "has no weights; give the .caffemodel that training snapshots$"),
])  # fmt: skip
def test_what_is_no_file_of_weights_is_refused(tmp_path, content, message):
    (tmp_path / "net.caffemodel").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        weights.shapes_in(str(tmp_path / "net.caffemodel"))
    with pytest.raises(OSError, match=r"none.caffemodel"):
        weights.shapes_in(str(tmp_path / "none.caffemodel"))
