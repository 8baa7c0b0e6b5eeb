"""What data layers hold."""

import json
import os

import h5py
import numpy as np
import pytest
from databases import write_lmdb
from pictures import write_list
from rewiring import FC, LOSS, deployed, layer, parsed

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


def our_data(**options):
    param = json.dumps(options)
    text = layer("data", "Python", "", "data labels", "python_param { module: 'caffe_losses.layers' layer: 'L' }")
    net = parsed(text.replace("'L'", "'MultiLabelImageData'"))
    net.layer[0].python_param.param_str = param
    return net.layer[0]


def one(kind, more, tops="data label"):
    return parsed(layer("data", kind, "", tops, more)).layer[0]


@pytest.mark.parametrize("source, size", [
    (one("Data", "data_param { batch_size: 3 }"), 3),
    (one("HDF5Data", "hdf5_data_param { batch_size: 4 }"), 4),
    (one("ImageData", "image_data_param { batch_size: 5 }"), 5),
    (our_data(batch_size=6), 6),
    (one("DummyData", ""), None),
])  # fmt: skip
def test_batch_size(source, size):
    assert sources.batch_size(source) == size


def test_images_are_counted(tmp_path):
    write_lmdb(tmp_path / "lmdb", np.zeros((7, 1, 2, 2), np.uint8))
    assert sources.count(one("Data", f'data_param {{ source: "{tmp_path}/lmdb" backend: LMDB }}')) == 7
    for name, rows in [("a", 3), ("b", 2)]:
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"] = np.zeros((rows, 4))
    (tmp_path / "h5.txt").write_text(f"{tmp_path}/a.h5\n{tmp_path}/b.h5\n")
    assert sources.count(one("HDF5Data", f'hdf5_data_param {{ source: "{tmp_path}/h5.txt" }}')) == 5
    (tmp_path / "list.txt").write_text("a.jpg 1\nb.jpg 0\n\n")
    assert sources.count(one("ImageData", f'image_data_param {{ source: "{tmp_path}/list.txt" }}')) == 2
    ours = write_list(tmp_path, 4, 3)
    assert sources.count(our_data(source=ours, classes=3)) == 4


@pytest.mark.parametrize("source, reason", [
    (our_data(source="x", resample=True), "MultiLabelImageData repeats images, as resample is true"),
    (one("Data", 'data_param { source: "x" backend: LEVELDB }'), "x is no LMDB, so that its images cannot be counted"),
    (one("DummyData", ""), r"layer data \(DummyData\) does not tell how many images it has"),
])  # fmt: skip
def test_what_cannot_be_counted_is_told(source, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        sources.count(source)


@pytest.mark.parametrize("source, shape", [
    (our_data(source="x", crop_size=8, color="GRAY"), [1, 1, 8, 8]),
    (our_data(source="x", new_height=8, new_width=9, mean_file="none.npy"), [1, 3, 8, 9]),
    (one("ImageData", "transform_param { crop_size: 6 mean_value: 9 }"), [1, 3, 6, 6]),
    (one("ImageData", "transform_param { crop_size: 6 } image_data_param { is_color: false }"), [1, 1, 6, 6]),
    (one("Data", "transform_param { crop_size: 6 mean_value: 9 }"), [1, 1, 6, 6]),
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


def test_missing_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("")
    source = one("Data", 'data_param { source: "there" } transform_param { mean_file: "mean" }')
    assert sources.missing_files(source) == ["mean"]
    assert sources.missing_files(our_data(source="list", classes=3, mean_file="there")) == ["list"]
    assert sources.missing_files(our_data(source="there", classes="names")) == ["names"]


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    (tmp_path / "h5.txt").write_text("none.h5 fifo\n")
    (tmp_path / "folder").mkdir()
    for source in (
        one("ImageData", 'image_data_param { source: "fifo" }'),
        one("WindowData", 'window_data_param { source: "fifo" }'),
        one("HDF5Data", 'hdf5_data_param { source: "fifo" }'),
        one("HDF5Data", 'hdf5_data_param { source: "h5.txt" }'),
        one("Data", 'data_param { source: "folder" } transform_param { mean_file: "fifo" }'),
        our_data(source="fifo", classes=3),
        our_data(source="h5.txt", classes="fifo"),
    ):
        with pytest.raises(ValueError, match=r"^fifo is a FIFO; expected a file$"):
            sources.check_files(source)
    sources.check_files(one("Data", 'data_param { source: "folder" } transform_param { mean_file: "none" }'))


def test_class_names(tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\n")
    names = str(tmp_path / "names.txt")
    assert sources.class_names(None, None, 3) == ["0", "1", "2"]
    assert sources.class_names(our_data(classes=2), None, 2) == ["0", "1"]
    assert sources.class_names(our_data(classes=names), None, 2) == ["a", "b"]
    assert sources.class_names(one("Data", ""), names, 2) == ["a", "b"]
    with pytest.raises(ValueError, match=r"names.txt has 2 names, and the net has 3 classes; give one name a class$"):
        sources.class_names(None, names, 3)
