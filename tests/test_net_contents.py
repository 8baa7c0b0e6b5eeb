"""What is in the files of data layers."""

import os
import re

import cv2
import h5py
import lmdb
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from databases import write_hdf5, write_lmdb
from pictures import write_list
from rewiring import one, our_data

from caffe_losses.net import contents


def test_images_are_counted(tmp_path):
    write_lmdb(tmp_path / "lmdb", np.zeros((7, 1, 2, 2), np.uint8))
    assert contents.count(one("Data", f'data_param {{ source: "{tmp_path}/lmdb" backend: LMDB }}')) == 7
    for name, rows in [("a", 3), ("b", 2)]:
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"] = np.zeros((rows, 4))
    (tmp_path / "h5.txt").write_text(f"{tmp_path}/a.h5\n{tmp_path}/b.h5\n")
    assert contents.count(one("HDF5Data", f'hdf5_data_param {{ source: "{tmp_path}/h5.txt" }}')) == 5
    (tmp_path / "list.txt").write_text("a.jpg 1\nb.jpg 0\n\n")
    assert contents.count(one("ImageData", f'image_data_param {{ source: "{tmp_path}/list.txt" }}')) == 2
    ours = write_list(tmp_path, 4, 3)
    assert contents.count(our_data(source=ours, classes=3)) == 4


@pytest.mark.parametrize("source, reason", [
    (our_data(source="x", resample=True), "MultiLabelImageData repeats images, as resample is true"),
    (one("Data", 'data_param { source: "x" backend: LEVELDB }'), "x is no LMDB, so that its images cannot be counted"),
    (one("DummyData", ""), r"layer data \(DummyData\) does not tell how many images it has"),
])  # fmt: skip
def test_what_cannot_be_counted_is_told(source, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        contents.count(source)


def test_missing_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("")
    source = one("Data", 'data_param { source: "there" } transform_param { mean_file: "mean" }')
    assert contents.missing_files(source) == ["mean"]
    assert contents.missing_files(our_data(source="list", classes=3, mean_file="there")) == ["list"]
    assert contents.missing_files(our_data(source="there", classes="names")) == ["names"]


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    (tmp_path / "h5.txt").write_text("fifo\n")
    write_lmdb(tmp_path / "folder", np.zeros((1, 1, 2, 2), np.uint8))
    for source in (
        one("ImageData", 'image_data_param { source: "fifo" }'),
        one("WindowData", 'window_data_param { source: "fifo" }'),
        one("HDF5Data", 'hdf5_data_param { source: "fifo" }'),
        one("HDF5Data", 'hdf5_data_param { source: "h5.txt" }'),
        one("Data", 'data_param { source: "folder" backend: LMDB } transform_param { mean_file: "fifo" }'),
        our_data(source="fifo", classes=3),
        our_data(source="h5.txt", classes="fifo"),
    ):
        with pytest.raises(ValueError, match=r"^fifo is a FIFO; expected a file$"):
            contents.check_files(source)
    contents.check_files(
        one("Data", 'data_param { source: "folder" backend: LMDB } transform_param { mean_file: "none" }')
    )


def hdf5(folder, name, **arrays):
    write_hdf5(folder, name, **{key: np.asarray(array) for key, array in arrays.items()})
    return one("HDF5Data", f'hdf5_data_param {{ source: "{name}.txt" }}')


def lmdb_layer(source, more="backend: LMDB"):
    return one("Data", f'data_param {{ source: "{source}" {more} }}')


def test_a_source_that_is_something_else_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hdf5(tmp_path, "right", data=np.zeros((2, 3)), label=np.zeros(2))
    hdf5(tmp_path, "apart", data=np.zeros((2, 3)), label=np.zeros(3))
    write_lmdb(tmp_path / "lmdb", np.zeros((1, 1, 2, 2), np.uint8))
    write_lmdb(tmp_path / "no_record", [])
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "gone.txt").write_text("gone.h5\n")
    (tmp_path / "text.txt").write_text("empty.txt\n")
    (tmp_path / "plain").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "data.mdb").write_bytes(b"no database")
    of_hdf5 = 'hdf5_data_param {{ source: "{}" }}'.format
    for source, text in [
        (one("HDF5Data", of_hdf5("right.h5")), "its source right.h5 is an HDF5 file; give a text file that names it"),
        (
            one("HDF5Data", of_hdf5("lmdb")),
            "its source lmdb is a folder; give a text file that names HDF5 files",
        ),
        (
            one("HDF5Data", of_hdf5("empty.txt")),
            "its source empty.txt names no file; write the names of",
        ),
        (
            one("HDF5Data", of_hdf5("gone.txt")),
            "gone.txt names gone.h5, which is not there; paths start in",
        ),
        (one("HDF5Data", of_hdf5("text.txt")), "text.txt names empty.txt, which is no HDF5 file, or not all of one"),
        (
            one("HDF5Data", of_hdf5("right.txt"), "data tags"),
            "right.h5 has no dataset tags, but data, label; call",
        ),
        (one("HDF5Data", of_hdf5("apart.txt")), "apart.h5 has 2 in data, 3 in label; write as many rows of each"),
        (lmdb_layer("right.h5"), "its source right.h5 is an HDF5 file; give the folder of an LMDB, or use HDF5Data"),
        (lmdb_layer("plain"), "its source plain is no LMDB, as data.mdb is not in it"),
        (lmdb_layer("lmdb", ""), "its source lmdb is an LMDB; write backend: LMDB into data_param"),
        (lmdb_layer("no_record"), "the LMDB no_record has no record; fill it"),
        (lmdb_layer("cut"), "the LMDB cut is damaged: "),
    ]:
        with pytest.raises(ValueError, match=rf"^layer data \((HDF5)?Data\): [^\n]*{re.escape(text)}[^\n]*$"):
            contents.check_files(source)
    contents.check_files(one("HDF5Data", of_hdf5("right.txt")))
    contents.check_files(lmdb_layer("lmdb"))
    contents.check_files(lmdb_layer("not_there"))


def test_the_first_record_tells_the_shape(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert contents.first_shape(hdf5(tmp_path, "a", data=np.zeros((2, 3, 4, 5)), label=np.zeros(2))) == (3, 4, 5)
    write_lmdb(tmp_path / "raw", np.zeros((1, 3, 6, 7), np.uint8))
    write_encoded(tmp_path / "gray", np.zeros((6, 7), np.uint8))
    assert contents.first_shape(lmdb_layer("raw")) == (3, 6, 7)
    assert contents.first_shape(lmdb_layer("gray")) == (1, 6, 7)
    forced = one("Data", 'data_param { source: "gray" } transform_param { force_color: true }')
    assert contents.first_shape(forced) == (3, 6, 7)
    assert contents.first_shape(lmdb_layer("not_there")) is None


def write_encoded(path, image):
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        datum = caffe_pb2.Datum(encoded=True, data=cv2.imencode(".png", image)[1].tobytes())
        transaction.put(b"0", datum.SerializeToString())


def with_keys(path, keys):
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        for key in keys:
            transaction.put(key.encode(), caffe_pb2.Datum(channels=1, height=1, width=1).SerializeToString())
    return lmdb_layer(path)


PADDED = [f"{k:08d}_{k}.jpg" for k in range(12)]


@pytest.mark.parametrize("images, labels, right", [
    (PADDED, [f"{k:08d}" for k in range(12)], True),
    (PADDED, [f"{k + 1:03d}" for k in range(12)], True),
    (PADDED, [str(k) for k in range(12)], False),
    ([str(k) for k in range(12)], [str(k) for k in range(12)], True),
    ([f"{10 * k:08d}.jpg" for k in range(12)], [f"{k:08d}" for k in range(12)], True),  # numbers of pictures
    ([f"cat_{k:02d}_{k % 3}" for k in range(12)], [f"{k:08d}" for k in range(12)], True),
    ([f"cat_{'kfb'[k % 3]}" for k in range(3)], [f"{k:08d}" for k in range(3)], True),  # only the user knows
    ([f"img_{k}.jpg" for k in range(12)], [f"{k:08d}" for k in range(12)], False),
    ([f"000{k:02d}" for k in range(12)], [f"label_{k}" for k in range(12)], False),
    (PADDED, [f"{k:08d}" for k in range(11)], False),
], ids=str)  # fmt: skip
def test_records_side_by_side(tmp_path, images, labels, right):
    pair = with_keys(tmp_path / "images", images), with_keys(tmp_path / "labels", labels)
    if right:
        contents.check_in_step(*pair)
    else:
        text = (
            f", and its record 2 is {sorted(labels)[2]}, beside {sorted(images)[2]}:"
            if len(labels) == 12
            else "has 11 records, not 12: labels get to"
        )
        with pytest.raises(ValueError, match=rf"^layer data \(Data\) reads the labels of [^\n]*{text}[^\n]*$"):
            contents.check_in_step(*pair)


def test_an_lmdb_that_is_both_and_rows_beside_unpadded_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    unpadded = with_keys("images", [str(k) for k in range(12)])
    contents.check_in_step(unpadded, with_same(unpadded))
    rows = hdf5(tmp_path, "rows", data=np.zeros((12, 3)), label=np.zeros(12))
    with pytest.raises(ValueError, match=r"and its record 2 is 10, beside 2: an LMDB sorts its keys as text"):
        contents.check_in_step(rows, unpadded)


def with_same(layer):
    return lmdb_layer(layer.data_param.source)
