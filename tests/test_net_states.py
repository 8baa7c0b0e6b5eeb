"""Solver states and the record in them."""

import h5py
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from caffe_losses.net import states

RECORD = {"type": "SGD", "images": [3 * 10**9, 7]}


def write(folder, **changes):
    """A whole solver state of two arrays, but for the changes; its path."""
    (folder / "net.caffemodel").write_bytes(b"")
    state = caffe_pb2.SolverState(iter=5, learned_net=str(folder / "net.caffemodel"), current_step=1)
    for shape in ((2, 3), (2,)):
        blob = state.history.add(data=[0.5] * int(np.prod(shape)))
        blob.shape.dim.extend(shape)
    for name, value in changes.items():
        setattr(state, name, value)
    (folder / "net.solverstate").write_bytes(state.SerializeToString())
    return folder / "net.solverstate"


def write_hdf5(folder):
    """The same as Caffe writes it in HDF5; its path."""
    path = folder / "net.solverstate.h5"
    write(folder)
    with h5py.File(path, "w") as file:
        file["iter"], file["current_step"] = [5], [1]
        file["learned_net"] = np.array(str(folder / "net.caffemodel").encode(), "S200")
        file["history/0"], file["history/1"] = np.full((2, 3), 0.5), np.full(2, 0.5)
    return path


@pytest.mark.parametrize("write", [write, write_hdf5])
def test_both_formats(write, tmp_path):
    state = states.read_state(str(write(tmp_path)))
    assert (state.iter, state.current_step) == (5, 1)
    assert [list(blob.shape.dim) for blob in state.history] == [[2, 3], [2]]
    assert list(state.history[1].data) == [0.5, 0.5]


def test_a_record_is_passed_over_by_caffe_and_read_back(tmp_path):
    path = write(tmp_path)
    whole = path.read_bytes()
    assert states.read_record(str(path)) == {}
    for record in ({}, RECORD, {"images": list(range(2000))}):
        path.write_bytes(whole + states.record_bytes(record))
        assert states.read_record(str(path)) == record
        assert states.read_state(str(path)).iter == 5
    path.write_bytes(path.read_bytes()[:-1])
    assert states.read_record(str(path)) == {}
    for other in ([], "SGD", {"images": 5}, {"images": ["a"]}, {"images": [-1]}, {"images": [[1]]}):
        path.write_bytes(whole + states.record_bytes(other))
        assert states.read_record(str(path)) == {}
    path = write_hdf5(tmp_path)
    assert states.read_record(str(path)) == {}
    with h5py.File(path, "r+") as file:
        file.attrs[states.ATTRIBUTE] = '{"type": "SGD"}'
    assert states.read_record(str(path)) == {"type": "SGD"}


@pytest.mark.parametrize("changes", [{"iter": -1}, {"current_step": -2}, {"learned_net": ""}])
def test_damaged_fields_are_refused(changes, tmp_path):
    with pytest.raises(
        ValueError, match=r"net.solverstate is no solver state, or not a whole one; give a .solverstate"
    ):
        states.read_state(str(write(tmp_path, **changes)))


@pytest.mark.parametrize(
    "content", [b"", b"iter: 5", states.record_bytes(RECORD), states.FIELD, b"\x89HDF\r\n\x1a\nmore"]
)
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"x is no solver state, or not a whole one; give a .solverstate of a snapshot$"
    ):
        states.read_state(str(tmp_path / "x"))


def test_histories_that_cannot_be_are_refused(tmp_path):
    path = write(tmp_path)
    state = caffe_pb2.SolverState.FromString(path.read_bytes())
    state.history[0].data[4] = float("nan")
    path.write_bytes(state.SerializeToString())
    with pytest.raises(ValueError, match="has a history with nan or inf; its training had diverged"):
        states.read_state(str(path))
    del state.history[0].data[4]
    path.write_bytes(state.SerializeToString())
    with pytest.raises(ValueError, match="no solver state, or not a whole one"):
        states.read_state(str(path))


def test_images_that_caffe_train_goes_on_with(tmp_path):
    path = write(tmp_path)
    (tmp_path / "solver").write_text("iter_size: 2")
    words = ["/bin/caffe", "train", f"--solver={tmp_path}/solver", "-snapshot", str(path)]
    assert states.next_image(words, 8) == 5 * 2 * 8
    assert states.next_image(["/bin/python", *words[1:]], 8) == 0
    assert states.next_image(words[:3], 8) == 0
    path.write_bytes(path.read_bytes() + states.record_bytes({"type": "SGD", "images": [1234]}))
    assert states.next_image(words, 8) == 1234
