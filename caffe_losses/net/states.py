"""Solver states: the half of a snapshot that is not the weights. Where a training goes on from one.

Caffe's SolverState does not say which type of solver it is of, nor where the data were. So `caffe-losses train` adds a
record to it, which Caffe passes over: in a .solverstate an unknown field at the end, in a .solverstate.h5 an attribute.

    {"type": "SGD", "images": [960]}   # the next image of each MultiLabelImageData, counted over all epochs and ranks
"""

import json
import os
import re

import numpy as np

from .prototxt import read_solver
from .weights import is_hdf5, is_text, is_whole, values

ATTRIBUTE = "caffe_losses"  # of an HDF5 file
FIELD = b"\xaa\x7e"  # how the unknown field starts: number 2021, bytes
NO_STATE = "{} is no solver state, or not a whole one; give a .solverstate of a snapshot"


def read_state(path):
    """The SolverState of a snapshot, in either format.

    ValueError or OSError if it is damaged, has a number that is none, or names weights that are not there.
    """
    state = read_hdf5(path) if is_hdf5(path) else read_proto(path)
    if not state.HasField("iter") or not state.learned_net or state.iter < 0 or state.current_step < 0:
        raise ValueError(NO_STATE.format(path))
    for blob in state.history:
        if not is_whole(blob):
            raise ValueError(NO_STATE.format(path))
        if not np.isfinite(values(blob)).all():
            raise ValueError(f"{path} has a history with nan or inf; its training had diverged: give an earlier one")
    if not os.path.isfile(state.learned_net):
        raise ValueError(
            f"{path} names its weights {state.learned_net}, which are not there; start where that name leads to them"
        )
    return state


def read_proto(path):
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    with open(path, "rb") as file:
        try:
            state = caffe_pb2.SolverState.FromString(file.read())
            if not is_text(state.learned_net):
                raise DecodeError
            return state
        except (DecodeError, UnicodeDecodeError):
            raise ValueError(NO_STATE.format(path)) from None


def read_hdf5(path):
    from caffe.proto import caffe_pb2

    h5py = import_h5py()
    state = caffe_pb2.SolverState()
    try:
        with h5py.File(path, "r") as file:
            state.iter, state.current_step = int(file["iter"][0]), int(file["current_step"][0])
            state.learned_net = file["learned_net"][()].decode()
            for k in range(len(file["history"])):
                array = np.asarray(file["history"][str(k)], np.float32)
                blob = state.history.add()
                blob.shape.dim.extend(array.shape)
                blob.data.extend(array.ravel())
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError):  # h5py raises what it likes
        raise ValueError(NO_STATE.format(path)) from None
    return state


def import_h5py():
    try:
        import h5py
    except ImportError:
        raise ValueError("snapshot_format HDF5 needs h5py; pip install h5py, or remove it from the solver") from None
    return h5py


# The record


def record_bytes(record):
    """The record as the unknown field that is put behind a SolverState."""
    return framed(json.dumps(record).encode())


def framed(text):
    return FIELD + bytes([len(text) & 127 | 128, len(text) >> 7 & 127]) + text  # the length as a varint of two bytes


def read_record(path):
    """The record of a solver state; {} if it has none, as a state of `caffe train`."""
    if is_hdf5(path):
        with import_h5py().File(path, "r") as file:
            text = file.attrs.get(ATTRIBUTE, "{}")
    else:
        with open(path, "rb") as file:
            content = file.read()
        start = content.rfind(FIELD)  # in no JSON
        text = content[start + 4 :] if start >= 0 and content[start:] == framed(content[start + 4 :]) else b"{}"
    try:
        record = json.loads(text if isinstance(text, str) else text.decode())
    except ValueError:
        record = {}
    return record if is_record(record) else {}


def is_record(record):
    """Whether it is what `record_bytes` was given, and not JSON by chance."""
    images = record.get("images", []) if isinstance(record, dict) else None
    return isinstance(images, list) and all(type(image) is int and image >= 0 for image in images)


# Where the data go on


def next_image(words, batch_size):
    """The image, counted over all epochs, that a MultiLabelImageData of `caffe train --snapshot FILE` begins with.

    words       the command line. 0 for that of any other program, which says it itself
    batch_size  of the layer
    """
    flags = dict(re.findall(r"\0--?(snapshot|solver)[=\0]([^\0]+)", "\0".join(words)))
    if os.path.basename(words[0]) != "caffe" or "train" not in words or "snapshot" not in flags:
        return 0
    images = set(read_record(flags["snapshot"]).get("images", ()))
    if len(images) == 1:
        return images.pop()
    iter_size = read_solver(flags["solver"]).iter_size if "solver" in flags else 1
    return read_state(flags["snapshot"]).iter * iter_size * batch_size
