"""Snapshots that are whole or not there, and going on from one.

Caffe writes a snapshot straight to its place. If the process is killed meanwhile, or the disk is full, a damaged file
has the name of a good one. Here Caffe writes into a folder beside that place. The files are read back, flushed to the
disk and renamed: first the weights, then the solver state, which names them.
"""

import os
import shutil
import tempfile
from collections import namedtuple

import numpy as np

TWO_HISTORIES = "AdaDeltaSolver", "AdamSolver"

# The two files of a snapshot: .caffemodel and .solverstate
Files = namedtuple("Files", "model state")


class Snapshots:
    """Writes the snapshots of a solver, on rank 0.

    param   the SolverParameter. The solver has to be made with snapshot_prefix = `caffe_prefix(prefix)`, and with its
            own snapshots off
    prefix  the snapshot_prefix that the user wants

    OSError if the folder of `prefix` cannot be written.
    """

    def __init__(self, param, prefix):
        self.hdf5, self.diff = param.snapshot_format == param.HDF5, param.snapshot_diff
        if self.hdf5:
            import_h5py()
        self.prefix, self.folder = prefix, folder(prefix)
        self.iteration = self.last_state = None
        shutil.rmtree(self.folder, ignore_errors=True)  # of a training that was killed
        try:
            os.mkdir(self.folder)
        except OSError as error:
            raise OSError(
                f"snapshot_prefix {prefix}: {error.strerror}; give one in a folder that can be written"
            ) from None

    def files(self, prefix, iteration):
        end = ".h5" if self.hdf5 else ""
        return Files(*(f"{prefix}_iter_{iteration}.{kind}{end}" for kind in ("caffemodel", "solverstate")))

    def write(self, solver):
        """Write a snapshot of a solver between two iterations. Returns the path of the state. OSError if it fails."""
        draft = self.files(caffe_prefix(self.prefix), solver.iter)
        final = self.files(self.prefix, solver.iter)
        try:
            reserve(os.path.join(self.folder, "space"), self.size(solver))
            solver.snapshot()
            self.finish(solver, draft, final.model)
            publish(draft, final)
        except OSError as error:
            last = f"the last whole one is {self.last_state}" if self.last_state else "there is none before"
            raise OSError(f"snapshot {final.state} could not be written: {error.strerror or error}; {last}") from None
        self.iteration, self.last_state = solver.iter, final.state
        return final.state

    def size(self, solver):
        """The bytes that a snapshot takes, about."""
        learned = 4 * sum(blob.count for layer in solver.net.layers for blob in layer.blobs)
        return learned * (1 + self.diff + histories(solver))

    def finish(self, solver, draft, model):
        """Read back what Caffe wrote, and put the final name of the weights into the solver state."""
        check = check_hdf5 if self.hdf5 else check_binary
        try:
            check(solver, draft, model)
        except Exception as error:  # of a damaged file, protobuf and h5py raise what they like
            raise OSError(f"Caffe wrote it incompletely ({str(error).splitlines()[0]}); is the disk full?") from None

    def close(self):
        """Remove the folder of drafts."""
        shutil.rmtree(self.folder, ignore_errors=True)


def histories(solver):
    """How many arrays a solver keeps for each blob of weights."""
    return 1 + (type(solver).__name__ in TWO_HISTORIES)


def folder(prefix):
    return prefix + ".writing"


def caffe_prefix(prefix):
    """The snapshot_prefix that Caffe is given."""
    return os.path.join(folder(prefix), "net")


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


def check_binary(solver, draft, model):
    from caffe.proto import caffe_pb2

    with open(draft.model, "rb") as file:
        check_layers(solver, len(caffe_pb2.NetParameter.FromString(file.read()).layer))
    with open(draft.state, "rb") as file:
        state = caffe_pb2.SolverState.FromString(file.read())
    state.learned_net = model
    os.remove(draft.state)  # so that a snapshot never takes more than its own room
    with open(draft.state, "wb") as file:
        file.write(state.SerializeToString())


def check_hdf5(solver, draft, model):
    h5py = import_h5py()
    with h5py.File(draft.model, "r") as file:
        check_layers(solver, len(file["data"]))
    with h5py.File(draft.state, "r+") as file:
        del file["learned_net"]
        text = model.encode() + b"\0"
        file["learned_net"] = np.array(text, f"S{len(text)}")


def check_layers(solver, count):
    if count != len(solver.net.layers):
        raise ValueError(f"{count} of {len(solver.net.layers)} layers")


def import_h5py():
    try:
        import h5py
    except ImportError:
        raise ValueError("snapshot_format HDF5 needs h5py; pip install h5py, or remove it from the solver") from None
    return h5py


def publish(draft, final):
    """Rename the files to their place. A solver state is never seen beside weights that are not its own."""
    for path in draft:
        flush(path)
    if os.path.exists(final.state):
        os.remove(final.state)
    for source, target in zip(draft, final):
        os.rename(source, target)
        flush(os.path.dirname(target) or ".")


def flush(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_state(path):
    """The SolverState of a snapshot, in either format. ValueError or OSError if it is damaged or has no weights."""
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    if path.endswith(".h5"):
        state = read_hdf5(path, caffe_pb2.SolverState())
    else:
        with open(path, "rb") as file:
            try:
                state = caffe_pb2.SolverState.FromString(file.read())
            except DecodeError:
                raise ValueError(
                    f"{path} is no solver state, or not a whole one; give a .solverstate of a snapshot"
                ) from None
    if not os.path.isfile(state.learned_net):
        raise ValueError(
            f"{path} names its weights {state.learned_net}, which are not there; start where that name leads to them"
        )
    return state


def read_hdf5(path, state):
    h5py = import_h5py()
    try:
        with h5py.File(path, "r") as file:
            state.iter, state.current_step = int(file["iter"][0]), int(file["current_step"][0])
            state.learned_net = file["learned_net"][()].decode()
            for k in range(len(file["history"])):
                array = file["history"][str(k)][...]
                blob = state.history.add()
                blob.shape.dim.extend(array.shape)
                blob.data.extend(array.ravel())
    except (OSError, KeyError) as error:
        raise ValueError(f"{path} is no solver state, or not a whole one ({str(error).splitlines()[0]})") from None
    return state


def restore(solver, state):
    """Give a solver a SolverState, in bytes. Without learned_net, the weights stay as they are."""
    handle, path = tempfile.mkstemp(suffix=".solverstate")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(state)
        solver.restore(path)
    finally:
        os.remove(path)
