"""What data layers hold."""

import numpy as np
import pytest
from databases import write_lmdb
from rewiring import FC, LOSS, deployed, layer, one, our_data

from caffe_losses.net import sources


@pytest.mark.parametrize(
    "data, shape",
    [
        (layer("d", "Input", "", "data label", "input_param { shape { dim: 8 dim: 3 } }"), [1, 3]),
        (layer("d", "ImageData", "", "data label", "image_data_param { new_height: 4 new_width: 5 }"), [1, 3, 4, 5]),
        (layer("d", "Data", "", "data label", "transform_param { crop_size: 6 force_gray: true }"), [1, 1, 6, 6]),
        (
            layer("d", "MemoryData", "", "data label", "memory_data_param { channels: 2 height: 3 width: 4 }"),
            [1, 2, 3, 4],
        ),
    ],
)
def test_deploy_shape_that_the_data_layer_tells(data, shape):
    assert deployed(data + FC + LOSS)[0]["data"].input_param.shape[0].dim == shape


@pytest.mark.parametrize("source, size", [
    (one("Data", "data_param { batch_size: 3 }"), 3),
    (one("HDF5Data", "hdf5_data_param { batch_size: 4 }"), 4),
    (one("ImageData", "image_data_param { batch_size: 5 }"), 5),
    (our_data(batch_size=6), 6),
    (one("DummyData", ""), None),
])  # fmt: skip
def test_batch_size(source, size):
    assert sources.batch_size(source) == size


@pytest.mark.parametrize("source, shape", [
    (our_data(source="x", crop_size=8, color="GRAY"), [1, 1, 8, 8]),
    (our_data(source="x", new_height=8, new_width=9, mean_file="none.npy"), [1, 3, 8, 9]),
    (one("ImageData", "transform_param { crop_size: 6 mean_value: 9 }"), [1, 3, 6, 6]),
    (one("ImageData", "transform_param { crop_size: 6 } image_data_param { is_color: false }"), [1, 1, 6, 6]),
    (one("Data", "transform_param { crop_size: 6 mean_value: 9 force_gray: true }"), [1, 1, 6, 6]),
    (one("Data", "transform_param { crop_size: 6 mean_value: 9 }"), [1, 3, 6, 6]),
    (one("DummyData", "dummy_data_param { shape { dim: 4 dim: 2 } }"), [1, 2]),
])  # fmt: skip
def test_known_shapes(source, shape):
    assert sources.known_shape(source, "data") == shape


@pytest.mark.parametrize("source, top", [
    (our_data(source="x"), "data"),
    (our_data(source="x", crop_size=8), "labels"),
    (one("Data", "transform_param { crop_size: 6 }"), "label"),
    (one("Input", ""), "data"),
])  # fmt: skip
def test_unknown_shapes(source, top):
    with pytest.raises(ValueError, match=rf"does not tell the shape of {top}; give e.g. --shape {top}=1,3,224,224$"):
        sources.known_shape(source, top)


def test_transform_is_the_same_whoever_reads_the_images():
    said = "transform_param { crop_size: 6 mirror: true mean_value: 1 mean_value: 2 mean_value: 3 scale: 0.1 }"
    options = {"crop_size": 6, "mean_value": [1, 2, 3], "scale": 0.1, "mirror": True}
    assert sources.transform_options(one("Data", said)) == options
    for source in (one("Data", said), one("ImageData", said), our_data(source="x", **options)):
        transform = sources.transform_for_testing(source, (10, 12))
        assert (transform.new_height, transform.new_width, transform.shape()) == (10, 12, (3, 6, 6))
        assert (transform.mean_value, transform.scale, transform.mirror) == ([1, 2, 3], 0.1, False)
        assert sources.prepared(source) == "minus 1, 2, 3 and times 0.1"


def test_class_names(tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\n")
    names = str(tmp_path / "names.txt")
    assert sources.class_names(None, None, 3) == ["0", "1", "2"]
    assert sources.class_names(our_data(classes=2), None, 2) == ["0", "1"]
    assert sources.class_names(our_data(classes=names), None, 2) == ["a", "b"]
    assert sources.class_names(one("Data", ""), names, 2) == ["a", "b"]
    with pytest.raises(ValueError, match=r"names.txt has 2 names, and the net has 3 classes; give one name a class$"):
        sources.class_names(None, names, 3)


def test_pictures_get_the_size_of_the_first_one_in_the_lmdb(tmp_path):
    """Without it, predict cut a large picture out of its middle, where training had seen all of it."""
    write_lmdb(tmp_path / "lmdb", np.zeros((1, 3, 9, 8), np.uint8))
    source = one("Data", f'data_param {{ source: "{tmp_path}/lmdb" backend: LMDB }} transform_param {{ crop_size: 6 }}')
    transform = sources.transform_for_testing(source)
    assert (transform.new_height, transform.new_width) == (9, 8)
    assert sources.transform_for_testing(source, (20, 10)).new_height == 20
    source.data_param.source = "not_there"
    with pytest.warns(RuntimeWarning, match="pictures are cut as large as they are"):
        assert sources.transform_for_testing(source).new_height == 0
