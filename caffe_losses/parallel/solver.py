"""The solver of each rank: the user's solver, with what only rank 0 does left out on the others."""

import os

from .. import files
from ..net import conditions, contents, prototxt
from ..net.view import View

SHARDED = "Data", "HDF5Data"  # of N ranks, rank r reads records r, r + N, r + 2 N, ...
NO_DATA = "DummyData", "Parameter"  # made, each rank with its own seed, or learned
TESTS = "test_net", "test_net_param", "test_state", "test_iter", "test_interval"


def of_rank(param, *, rank, size, prefix=None):
    """The SolverParameter of one rank. The trainer makes the snapshots and loads weights. Rank 0 alone tests.

    param   the user's SolverParameter
    size    number of ranks
    prefix  of the drafts of snapshots, which rank 0 writes
    """
    own = type(param)()
    own.CopyFrom(param)
    own.snapshot, own.snapshot_after_train = 0, False
    own.ClearField("weights")
    if rank:
        for field in TESTS:
            own.ClearField(field)
        own.display = 0
    else:
        own.snapshot_prefix = prefix
    if size > 1:  # Caffe reduces layer by layer also within an iter_size, and not where layers share weights
        own.layer_wise_reduce = False
    return own


def make(param):
    """The solver in Caffe, of the class that `param.type` names."""
    import caffe

    with prototxt.temporary(param) as path:
        return caffe.get_solver(path)


def check_files(param):
    """ValueError for a file that is missing or no file, or a net that is none. Caffe would end the process, or wait."""
    nets = [(field, getattr(param, field)) for field in ("net", "train_net") if param.HasField(field)]
    for field, path in nets + [("test_net", path) for path in param.test_net]:
        if not os.path.exists(path):
            raise ValueError(f"solver: {field} {path} is not there; start where the names in it lead to files")
        net = prototxt.parse(path)
        for layer in net.layer or net.layers:
            contents.check_files(layer)
        check_phases(param, net)


def check_weights(weights):
    """ValueError for files of weights that are not there, or no files."""
    for name in weights:
        files.check_regular(name)
        if not os.path.exists(name):
            raise ValueError(f"--weights {name} is not there; give .caffemodel files, separated by commas")


def check_phases(param, net):
    """ValueError for weights under one name, and for labels of other images, in a phase as the solver has it."""
    states = [("TRAIN", param.train_state), *(("TEST", state) for state in param.test_state or [param.train_state])]
    for phase, state in states:
        view = View(net.layer, net.state, phase, state.stage)
        if not view.missing():
            view.check_names()
            conditions.check_labels(view)


def check_sharded(net, size):
    """ValueError for a data layer that gives all ranks the same data."""
    for name, layer in zip(net._layer_names, net.layers):
        if net.bottom_names[name] or layer.type in SHARDED + NO_DATA or getattr(layer, "shards", False):
            continue
        raise ValueError(
            f"layer {name} ({described(layer)}) does not share its data out, so that {size} processes would learn from "
            f"the same images; use {', '.join(SHARDED)} or MultiLabelImageData{hint(layer)}"
        )


def described(layer):
    return type(layer).__name__ if layer.type == "Python" else layer.type


def hint(layer):
    if layer.type != "Python":
        return ""
    return (
        ", or, if it reads by caffe.solver_rank() and caffe.solver_count(), give its class the attribute shards = True"
    )


class Schedule:
    """A linear warm-up of base_lr (Goyal et al., 2017, section 2.2). The solver's policy applies on top.

    At iteration i < warmup, base_lr is first + (last - first) i / warmup. From then on it is `last`.

    last    the base_lr of the solver
    warmup  number of iterations
    first   the base_lr at iteration 0. None: a tenth of `last`
    """

    def __init__(self, last, *, warmup=0, first=None):
        self.last, self.warmup = last, warmup
        self.first = last / 10 if first is None else first

    def base_lr(self, iteration):
        if iteration >= self.warmup:
            return self.last
        return self.first + (self.last - self.first) * iteration / self.warmup
