"""The solver of each rank: the user's, without what only rank 0 does, with the rate of this training."""

import os

from ..net.prototxt import temporary
from .snapshots import caffe_prefix

SHARDED = "Data", "HDF5Data"  # of N ranks, rank r reads records r, r + N, r + 2 N, ...
NO_DATA = "DummyData", "Parameter"  # made, each rank with its own seed, or learned
TESTS = "test_net", "test_net_param", "test_state", "test_iter", "test_interval"


def of_rank(param, rank, size, prefix, weights=None):
    """The solver of one rank of `size`: snapshots are the trainer's, tests and first weights are rank 0's."""
    own = type(param)()
    own.CopyFrom(param)
    own.snapshot, own.snapshot_after_train = 0, False
    own.snapshot_prefix = caffe_prefix(prefix)
    own.ClearField("weights")
    if rank:
        for field in TESTS:
            own.ClearField(field)
        own.display = 0
    elif weights:
        own.weights.extend(weights)
    if size > 1:  # Caffe reduces layer by layer also within an iter_size, and not where layers share weights
        own.layer_wise_reduce = False
    return own


def make(param):
    """A caffe solver of the class that `param.type` names."""
    import caffe

    with temporary(param) as path:
        return caffe.get_solver(path)


def check_files(param, weights):
    """OSError or ValueError for files that are missing: Caffe ends the process for them."""
    for field in ("net", "train_net"):
        if param.HasField(field) and not os.path.isfile(getattr(param, field)):
            raise ValueError(
                f"solver: {field} {getattr(param, field)} is not there; start where the names in it lead to files"
            )
    for name in weights:
        if not os.path.isfile(name):
            raise ValueError(f"--weights {name} is not there; give .caffemodel files, separated by commas")


def check_sharded(net, size):
    """ValueError for a data layer that would feed all ranks the same."""
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
    """The learning rate: that of the solver's policy, after a linear warm-up (Goyal et al., 2017, section 2.2).

    At iteration i < warmup, base_lr is first + (last - first) i / warmup; from then on it is `last`, the solver's
    base_lr times `scale`. The policy's own steps apply to either.
    """

    def __init__(self, param, warmup=0, first=None, scale=1):
        self.last = param.base_lr * scale
        self.first = self.last / 10 if first is None else first
        self.warmup = warmup

    def base_lr(self, iteration):
        if iteration >= self.warmup:
            return self.last
        return self.first + (self.last - self.first) * iteration / self.warmup
