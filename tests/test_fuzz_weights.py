"""Damaged files of weights and solver states: each is refused in one clear line, or gives finite weights that fit.

FUZZ sets how many cases, as in test_fuzz.py.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from nets import input_layer
from rewiring import FC, parsed

from caffe_losses.net import prototxt, states, weights

CASES = int(os.environ.get("FUZZ", "300"))
FUZZ = settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

MORE = FC.replace('"fc"', '"more"').replace('"data"', '"fc"')
NET = input_layer("data", (2, 4)) + FC + MORE
OTHER = (
    input_layer("data", (2, 4))
    + FC.replace('name: "fc"', 'name: "other"')
    + MORE.replace("num_output: 5", "num_output: 7")
)


class Files(tuple):
    """A net, the contents of good files, and a folder; hypothesis would print all of it."""

    def __repr__(self):
        return "files"


@pytest.fixture(scope="module")
def files():
    """The files are of both formats, of this net and of another."""
    folder = tempfile.mkdtemp()
    contents = []
    for text in (NET, OTHER):
        net = prototxt.load(parsed(text), "TEST")
        net.save(f"{folder}/net.caffemodel")
        net.save_hdf5(f"{folder}/net.h5")
        contents += [Path(folder, name).read_bytes() for name in ("net.caffemodel", "net.h5")]
    return Files([prototxt.load(parsed(NET), "TEST"), contents, Path(folder)])


@st.composite
def damage(draw):
    """A list of changes of a file: (kind, place in [0, 1), length, a byte)."""
    kinds = st.sampled_from(["cut", "flip", "zero", "drop", "repeat", "insert", "none"])
    place = st.floats(0, 1, exclude_max=True)
    return draw(st.lists(st.tuples(kinds, place, st.integers(1, 60), st.integers(0, 255)), min_size=1, max_size=3))


def damaged(content, changes):
    for kind, place, length, byte in changes:
        at = int(place * len(content))
        before, part, after = content[:at], content[at : at + length], content[at + length :]
        part = {
            "cut": b"",
            "flip": bytes(byte ^ old for old in part),
            "zero": bytes(len(part)),
            "drop": b"",
            "repeat": part * 2,
            "insert": part + bytes([byte]) * length,
            "none": part,
        }[kind]
        content = before + part + (b"" if kind == "cut" else after)
    return content


def check_refusal(error, path):
    text = str(error)
    assert path in text
    assert len(text.splitlines()) == 1
    assert len(text) < 500
    assert ";" in text
    event("refused")


@FUZZ
@given(st.integers(0, 3), damage())
def test_weights(files, which, changes):
    net, contents, folder = files
    path = str(folder / "fuzz")
    Path(path).write_bytes(damaged(contents[which], changes))
    for name in net.params:
        for blob in net.params[name]:
            blob.data[...] = 0.25
    for take in (lambda: weights.restore(net, path), lambda: weights.start([net], [path])):
        before = [blob.data.copy() for name in net.params for blob in net.params[name]]
        try:
            line = take()
        except ValueError as error:
            check_refusal(error, path)
            after = [blob.data for name in net.params for blob in net.params[name]]
            assert all((new == old).all() for new, old in zip(after, before))
        else:
            event("taken")
            assert line is None or line.startswith(f"--weights {path}: ")
            assert all(np.isfinite(blob.data).all() for name in net.params for blob in net.params[name])


@FUZZ
@given(damage(), st.booleans())
def test_solver_states(files, changes, has_record):
    _, _, folder = files
    from caffe.proto import caffe_pb2

    state = caffe_pb2.SolverState(iter=7, learned_net=str(folder / "net.caffemodel"))
    blob = state.history.add(data=[0.5] * 6)
    blob.shape.dim.extend([2, 3])
    content = state.SerializeToString() + (states.record_bytes({"type": "SGD", "images": [9]}) if has_record else b"")
    path = str(folder / "fuzz.solverstate")
    Path(path).write_bytes(damaged(content, changes))
    assert isinstance(states.read_record(path), dict)
    try:
        state = states.read_state(path)
    except ValueError as error:
        check_refusal(error, path)
    else:
        event("taken")
        assert state.iter >= 0
        assert all(np.isfinite(weights.values(blob)).all() for blob in state.history)
