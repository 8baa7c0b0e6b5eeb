"""Going on from a snapshot: of the very net and type of solver, with the data where they were."""

from collections import namedtuple

import numpy as np

from ..net import prototxt, weights
from ..net.states import read_record, read_state
from .lines import say
from .records import class_digests
from .snapshots import histories
from .solver import NO_DATA, described

SQUARES = "AdaDelta", "AdaGrad", "RMSProp"  # their histories are means or sums of squares
MANY = 50  # sums of gradients are not all of one sign by chance

# state: a SolverState in bytes, without learned_net. record: what `net.states` adds to it
Snapshot = namedtuple("Snapshot", "state record")


def type_of(solver):
    """As `type` in a solver prototxt."""
    return type(solver).__name__[: -len("Solver")]


def read(path, solver, blobs, file, classes):
    """Give a solver the weights of a snapshot. Returns the Snapshot.

    path    the .solverstate
    solver  of pycaffe
    blobs   its parameters, from `reduce.learned_blobs`
    file    its prototxt, for messages
    classes the digests of its class names

    ValueError if the snapshot is of another net or type of solver, or damaged. OSError if a file cannot be read.
    """
    state, record = read_state(path), read_record(path)
    check_type(path, record.get("type"), type_of(solver), file, state)
    check_classes(path, record.get("classes"), classes)
    weights.restore(solver.net, state.learned_net)
    check_history(path, state, solver, blobs, file)
    state.ClearField("learned_net")  # all ranks get the weights of rank 0
    return Snapshot(state.SerializeToString(), record)


def classes_of(param):
    """Digests of the class names of a solver's lists; [] for a net that has none, or lies elsewhere."""
    path = param.net or param.train_net
    return class_digests(prototxt.parse(path).layer) if path else []


def check_classes(path, of_state, now):
    if of_state not in (None, now):
        raise ValueError(
            f"{path} was trained with other class names, or with these in another order; give it the names that it "
            "had, or train anew"
        )


def check_type(path, of_state, of_solver, file, state):
    if of_state not in (None, of_solver):
        raise ValueError(
            f"{path} is of a solver of type {of_state}, and {file} has type {of_solver}; give it the same type, or "
            f"start anew from its weights: --weights {state.learned_net}"
        )


def check_history(path, state, solver, blobs, file):
    expected = [tuple(blob.data.shape) for blob in blobs] * histories(solver)
    if len(state.history) != len(expected):
        raise ValueError(
            f"{path} has {len(state.history)} arrays of history, where {file} takes {len(expected)}; it is of another "
            "net or type of solver"
        )
    shapes = [weights.shape_of(blob) for blob in state.history]
    for k, (shape, needed) in enumerate(zip(shapes, expected)):
        if weights.squeezed(shape) != weights.squeezed(needed):
            raise ValueError(
                f"{path}: array {k} of its history has the shape {shape}, where {file} has {needed}; it is "
                "of another net"
            )
    check_signs(path, state, type_of(solver), file)


def check_signs(path, state, kind, file):
    """Caffe's own snapshots do not say the type of their solver. Squares are never below 0, sums of gradients are."""
    squares = len(state.history) if kind in SQUARES else len(state.history) // 2 if kind == "Adam" else 0
    arrays = [weights.values(blob) for blob in state.history]
    negative = [bool((array < 0).any()) for array in arrays]
    if any(negative[len(arrays) - squares :]):
        raise ValueError(
            f"{path} has a history below 0, which {kind}, the type of {file}, never has; it is of another type"
        )
    if kind in ("SGD", "Nesterov") and not any(negative) and sum(map(np.count_nonzero, arrays)) > MANY:
        say(f"{path} has no history below 0, as one of AdaGrad or RMSProp; if it is not of type {kind}, stop this")


class Data:
    """Where the data layers of a training net are.

    net     of pycaffe
    passes  forward passes of all ranks in an iteration
    """

    def __init__(self, net, passes):
        layers = [layer for layer in net.layers if hasattr(layer, "start_at")]
        self.layers, self.steps = layers, [layer.batches.batch_size * passes for layer in layers]
        self.begin, self.iteration = [0] * len(layers), 0
        self.others = [
            f"{name} ({described(layer)})"
            for name, layer in zip(net._layer_names, net.layers)
            if not (net.bottom_names[name] or layer.type in NO_DATA or layer in layers)
        ]

    def start_at(self, iteration, images=None):
        """Go on at an iteration, and at these images if they are known. Returns a line on layers that cannot."""
        known = images is not None and len(images) == len(self.layers)
        self.begin, self.iteration = images if known else [iteration * step for step in self.steps], iteration
        for layer, image in zip(self.layers, self.begin):
            layer.start_at(image)
        if not self.others:
            return None
        names = ", ".join(self.others)
        return (
            f"from iteration {iteration} on, layer {names} reads its data from their start; MultiLabelImageData goes on"
        )

    def images(self, iteration):
        """The next image of each layer, counted over all epochs and ranks."""
        return [begin + (iteration - self.iteration) * step for begin, step in zip(self.begin, self.steps)]
