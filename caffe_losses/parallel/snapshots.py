"""Snapshots that are whole or not there, and going on from one.

Caffe writes a snapshot straight to its place. If the process is killed meanwhile, or the disk is full, a damaged file
has the name of a good one. Here Caffe writes into a folder beside that place. The files are read back, flushed to the
disk and renamed: first the weights, then the solver state, which names them.
"""

import json
import os
import tempfile
from collections import namedtuple

import numpy as np

from ..files import flush
from ..net.states import ATTRIBUTE, import_h5py, record_bytes
from .drafts import Drafts

TWO_HISTORIES = "AdaDeltaSolver", "AdamSolver"

# The two files of a snapshot: .caffemodel and .solverstate
Files = namedtuple("Files", "model state")


class Snapshots:
    """Writes the snapshots of a solver, on rank 0.

    param   the SolverParameter. The solver has to be made with snapshot_prefix = `drafts.prefix`, and with its own
            snapshots off
    prefix  the snapshot_prefix that the user wants

    OSError if the folder of `prefix` cannot be written. ValueError if another training has this prefix.
    """

    def __init__(self, param, prefix):
        self.hdf5, self.diff = param.snapshot_format == param.HDF5, param.snapshot_diff
        if self.hdf5:
            import_h5py()
        self.prefix, self.drafts = prefix, Drafts(prefix)
        self.iteration = self.last_state = None

    def files(self, prefix, iteration):
        end = ".h5" if self.hdf5 else ""
        return Files(*(f"{prefix}_iter_{iteration}.{kind}{end}" for kind in ("caffemodel", "solverstate")))

    def write(self, solver, record):
        """Write a snapshot of a solver between two iterations. Returns its Files. OSError if it fails.

        record  what `net.states` adds to Caffe's own
        """
        draft = self.files(self.drafts.prefix, solver.iter)
        final = self.files(self.prefix, solver.iter)
        try:
            reserve(self.drafts.prefix + "_space", self.size(solver))
            solver.snapshot()
            self.finish(solver, draft, final.model, record)
            publish(draft, final)
        except OSError as error:
            last = f"the last whole one is {self.last_state}" if self.last_state else "there is none before"
            raise OSError(f"snapshot {final.state} could not be written: {error.strerror or error}; {last}") from None
        self.iteration, self.last_state = solver.iter, final.state
        return final

    def size(self, solver):
        """The bytes that a snapshot takes, about."""
        learned = 4 * sum(blob.count for layer in solver.net.layers for blob in layer.blobs)
        return learned * (1 + self.diff + histories(solver))

    def finish(self, solver, draft, model, record):
        """Read back what Caffe wrote, and put the final name of the weights and the record into the solver state."""
        check = check_hdf5 if self.hdf5 else check_binary
        try:
            check(solver, draft, model, record)
        except Exception as error:  # of a damaged file, protobuf and h5py raise what they like
            raise OSError(f"Caffe wrote it incompletely ({str(error).splitlines()[0]}); is the disk full?") from None

    def close(self):
        """Remove the folder of drafts, and let another training have the prefix."""
        self.drafts.close()


def histories(solver):
    """How many arrays a solver keeps for each blob of weights."""
    return 1 + (type(solver).__name__ in TWO_HISTORIES)


def final_prefix(param, solver_file):
    """The snapshot_prefix as Caffe completes it. Without one, or with a folder, it has the name of the solver file."""
    root = os.path.splitext(solver_file)[0]
    if not param.HasField("snapshot_prefix"):
        return root
    if os.path.isdir(param.snapshot_prefix):
        return os.path.join(param.snapshot_prefix, os.path.basename(root))
    return param.snapshot_prefix


def reserve(path, size):
    """OSError if there is no room for a file of that size."""
    with open(path, "wb") as file:
        try:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        finally:
            os.remove(path)


def check_binary(solver, draft, model, record):
    from caffe.proto import caffe_pb2

    with open(draft.model, "rb") as file:
        check_layers(solver, len(caffe_pb2.NetParameter.FromString(file.read()).layer))
    with open(draft.state, "rb") as file:
        state = caffe_pb2.SolverState.FromString(file.read())
    state.learned_net = model
    os.remove(draft.state)  # so that a snapshot never takes more than its own room
    with open(draft.state, "wb") as file:
        file.write(state.SerializeToString() + record_bytes(record))


def check_hdf5(solver, draft, model, record):
    h5py = import_h5py()
    with h5py.File(draft.model, "r") as file:
        check_layers(solver, len(file["data"]))
    with h5py.File(draft.state, "r+") as file:
        del file["learned_net"]
        text = model.encode() + b"\0"
        file["learned_net"] = np.array(text, f"S{len(text)}")
        file.attrs[ATTRIBUTE] = json.dumps(record)


def check_layers(solver, count):
    if count != len(solver.net.layers):
        raise ValueError(f"{count} of {len(solver.net.layers)} layers")


def publish(draft, final):
    """Rename the files to their place. A solver state is never seen beside weights that are not its own."""
    for path in draft:
        flush(path)
    if os.path.exists(final.state):
        os.remove(final.state)
    for source, target in zip(draft, final):
        os.rename(source, target)
        flush(os.path.dirname(target) or ".")


def restore(solver, state):
    """Give a solver a SolverState, in bytes. Without learned_net, the weights stay as they are."""
    handle, path = tempfile.mkstemp(suffix=".solverstate")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(state)
        solver.restore(path)
    finally:
        os.remove(path)
