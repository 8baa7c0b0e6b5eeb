"""Files of weights into nets, and those that do not fit."""

import os

import caffe
import h5py
import numpy as np
import pytest
from caffe.proto import caffe_pb2
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


@pytest.mark.slow
def test_both_formats_are_told_apart_by_what_is_in_them(stored, tmp_path):
    net, paths = stored
    (tmp_path / "net").write_bytes((tmp_path / "net.caffemodel.h5").read_bytes())
    for path in (*paths, str(tmp_path / "net")):
        assert {k: array.shape for k, array in weights.read(path)["fc"].items()} == {0: (5, 4), 1: (5,)}
        loaded = weights.load(parsed(TEXT), path)
        np.testing.assert_array_equal(loaded.params["fc"][0].data, net.params["fc"][0].data)
        other = caffe.Net(net_file(tmp_path), caffe.TRAIN)
        weights.restore(other, path)
        np.testing.assert_array_equal(other.params["fc"][0].data, net.params["fc"][0].data)


def net_file(folder):
    (folder / "net.prototxt").write_text(TEXT)
    return str(folder / "net.prototxt")


@pytest.mark.slow
@pytest.mark.parametrize("text, message", [
    (TEXT.replace('name: "fc"', 'name: "fc2"'), r"no weights for layer fc2 of the net, but for \['fc'\]; give those"),
    (TEXT.replace("num_output: 5", "num_output: 6"), r"layer fc has weights of shapes \[\(5, 4\), \(5,\)\] there and "),
    (TEXT.replace("num_output: 5", "num_output: 0"), "^check: Caffe does not load the TEST phase"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(stored, text, message):
    for path in stored[1]:
        with pytest.raises(ValueError, match=message):
            weights.load(parsed(text), path)


@pytest.mark.parametrize("content, message", [
    (b"no weights", "is no .caffemodel, or a damaged one; give the file that training snapshots$"),
    (TEXT.encode(), "is no .caffemodel, or a damaged one; give the file that training snapshots$"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2438\n", "is no .caffemodel, or a damaged"),
    (b"", "has no weights; give the .caffemodel that training snapshots$"),
    (weights.HDF5 + b"more", "is no file of weights, or a damaged one"),
])  # fmt: skip
def test_what_is_no_file_of_weights_is_refused(tmp_path, content, message):
    (tmp_path / "net.caffemodel").write_bytes(content)
    with pytest.raises(ValueError, match=message) as refusal:
        weights.read(str(tmp_path / "net.caffemodel"))
    assert "\n" not in str(refusal.value)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    with pytest.raises(OSError, match=r"none.caffemodel"):
        weights.read(str(tmp_path / "none.caffemodel"))
    os.mkfifo(str(tmp_path / "pipe"))
    for name in ("pipe", "."):
        with pytest.raises(ValueError, match="is no file; give the file that training snapshots"):
            weights.read(str(tmp_path / name))


def test_a_cut_file_is_refused_wherever_it_is_cut(stored):
    for path in stored[1]:
        with open(path, "rb") as file:
            content = file.read()
        for end in range(1, len(content), len(content) // 23):
            with open(path, "wb") as file:
                file.write(content[:end])
            with pytest.raises(ValueError, match="give the"):
                weights.read(path)


def test_other_hdf5_files_are_refused(tmp_path):
    path = str(tmp_path / "data.h5")
    for name, make in [("data", lambda file: file.create_dataset("data", data=[1.0])), ("x", lambda file: None)]:
        with h5py.File(path, "w") as file:
            make(file)
        with pytest.raises(ValueError, match="has no weights"):
            weights.read(path), name
    for key, value in [("a", [1.0]), ("0", "text")]:
        with h5py.File(path, "w") as file:
            file["data/fc/" + key] = value
        with pytest.raises(ValueError, match="is no file of weights, or a damaged one"):
            weights.read(path)


@pytest.mark.parametrize("change, message", [
    (lambda blob: blob.data.pop(), r"layer fc has 19 weights for the shape \(5, 4\); the file is damaged"),
    (lambda blob: blob.shape.dim.append(-1), r"layer fc has 20 weights for the shape \(5, 4, -1\)"),
    (lambda blob: blob.data.__setitem__(7, float("nan")), "layer fc has weights that are nan or inf; give those of"),
    (lambda blob: blob.double_data.extend([1e300] * 20), "layer fc has weights that are nan or inf"),
])  # fmt: skip
def test_damaged_numbers_are_refused(stored, change, message):
    net, (path, _) = stored
    stored_net = caffe_pb2.NetParameter()
    with open(path, "rb") as file:
        stored_net.ParseFromString(file.read())
    change(next(layer for layer in stored_net.layer if layer.name == "fc").blobs[0])
    with open(path, "wb") as file:
        file.write(stored_net.SerializeToString())
    for take in (weights.restore, lambda net, path: weights.start([net], [path])):
        with pytest.raises(ValueError, match=message):
            take(net, path)


# Starting from weights


def test_weights_for_some_layers_are_named(stored):
    net, paths = stored
    more = TEXT.replace('name: "fc"', 'name: "old"') + FC.replace('"fc"', '"new"').replace(
        'bottom: "data"', 'bottom: "fc"'
    )
    for path in paths:
        assert weights.start([net], [path]) is None
        both = prototxt.load(parsed(TEXT + FC.replace('"fc"', '"new"')), "TEST")
        line = weights.start([both], [path])
        assert line == f"--weights {path}: 1 of 2 layers start from them; not ['new'], which start from their fillers"
        np.testing.assert_array_equal(both.params["fc"][0].data, net.params["fc"][0].data)
        with pytest.raises(
            ValueError, match=r"has weights for the layers \['fc'\], and the net learns those of \['old'"
        ):
            weights.start([prototxt.load(parsed(more), "TEST")], [path])


def test_weights_without_a_layer_are_named_and_those_of_another_shape_refused(stored, tmp_path):
    net, (path, _) = stored
    both = prototxt.load(parsed(TEXT + FC.replace('"fc"', '"old"')), "TEST")
    both.save(str(tmp_path / "both.caffemodel"))
    line = weights.start([net], [str(tmp_path / "both.caffemodel")])
    assert line.endswith("1 of 1 layers start from them; ['old'] of the file are in no layer of the net")
    other = prototxt.load(parsed(TEXT.replace("num_output: 5", "num_output: 6")), "TEST")
    with pytest.raises(ValueError, match="the net; give the file of this net, or the layer another name"):
        weights.start([other], [path])
    with pytest.raises(ValueError, match=r"is of another net: it has layers \['old'\], which this one has not"):
        weights.restore(net, str(tmp_path / "both.caffemodel"))


def test_layers_that_share_weights_are_in_an_hdf5_file_once(tmp_path):
    one = FC.replace('top: "fc"', 'top: "fc" param { name: "w" } param { name: "b" }')
    net = prototxt.load(parsed(input_layer("data", (2, 4)) + one + one.replace('"fc"', '"twin"')), "TEST")
    net.params["fc"][0].data[...] = 3
    for save, name in ((net.save, "net.caffemodel"), (net.save_hdf5, "net.h5")):
        save(str(tmp_path / name))
        net.params["twin"][0].data[...] = 0
        weights.restore(net, str(tmp_path / name))
        assert (net.params["twin"][0].data == 3).all()


def test_weights_of_the_first_format(stored, tmp_path):
    net, _ = stored
    old = caffe_pb2.NetParameter()
    layer = old.layers.add().layer
    layer.name, layer.type = "fc", "innerproduct"
    for (height, width), value in (((5, 4), 2), ((1, 5), 1)):
        layer.blobs.add(num=1, channels=1, height=height, width=width, data=[value] * height * width)
    (tmp_path / "old.caffemodel").write_bytes(old.SerializeToString())
    assert weights.start([net], [str(tmp_path / "old.caffemodel")]) is None
    assert (net.params["fc"][0].data == 2).all()
