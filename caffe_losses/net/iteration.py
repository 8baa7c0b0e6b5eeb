"""The first iteration of a training, by Caffe's own solver in a process of its own."""

import json
import time
from contextlib import ExitStack

import numpy as np

from . import trial
from .contents import check_files
from .prototxt import temporary
from .weights import start

# amid whatever else is printed
SHARES, TRAINS, TESTS, RAN = "=== shares ===", "=== trains ===", "=== tests ===", "=== ran ==="
MEMORY = 2e9  # bytes of blobs, their gradients included, that an iteration may take that need not be
NETS = {"net_param": "net", "train_net_param": "train_net"}


class WeightsRefused(ValueError):
    """The weights do not fit."""


def run(solvers, *, labels=None, weights=(), folders=None, gpu=None, seconds=0, meanwhile=None):
    """Make each of the solvers. Have the first train for an iteration, with a test before it and one after it.

    The solver itself loads both nets, shares the weights, tests before the first iteration if it is to, and trains.

    Args:
        solvers: SolverParameters, with nets inside or the names of their files.
        labels: {"TRAIN": {blob of an Input layer: n}, "TEST": ...}, as `trial.forward` takes them.
        weights: .caffemodel files to start from.
        folders: where modules of Python layers are searched, as of `trial.shapes`.
        gpu: its number; None: the CPU.
        seconds: the second solver, of larger batches, does an iteration, too, if that takes no more than so long.
        meanwhile: as of `trial.in_process`.

    Returns:
        {"learns": whether a gradient reached weights; "untrained": how many layers had statistics of nothing; "first",
        "train", "test": whether scores or outputs were not finite in the test before, in TRAIN, and in the test after
        the iteration}.

    Raises:
        trial.Failure: with the reason, if a solver cannot be made, or fails in the iteration.
        WeightsRefused: they do not fit, or cannot be read.
        ValueError: a data layer would wait for ever.
    """
    task = {"labels": labels or {}, "weights": list(weights), "gpu": gpu, "seconds": seconds}
    with ExitStack() as files:
        made = [with_files(solver, files) for solver in solvers]
        try:
            result = trial.in_process("iteration", made, folders, task, meanwhile)
        except trial.Failure as failure:
            text = f"check: {where(failure.output)}: {failure}"
            raise trial.Failure(text, failure.output, failure.killed) from None
    if "refused" in result:
        raise WeightsRefused(result["refused"])
    return result


def with_files(solver, files):
    """A copy of a solver whose nets are in files of their own, as Caffe upgrades only those."""
    copy = type(solver)()
    copy.CopyFrom(solver)
    for inside, field in NETS.items():
        if copy.HasField(inside):
            setattr(copy, field, in_file(getattr(copy, inside), files))
            copy.ClearField(inside)
    tests = [in_file(net, files) for net in copy.test_net_param] + list(copy.test_net)  # in Caffe's order
    copy.ClearField("test_net_param")
    copy.test_net[:] = tests
    copy.snapshot, copy.snapshot_after_train, copy.display = 0, False, 0
    return copy


def in_file(net, files):
    for layer in net.layer or net.layers:
        check_files(layer)
    return files.enter_context(temporary(net))


def where(output):
    """What fails, by what the process has printed: the marks, or Caffe's log, which is on there."""
    last = output.rsplit(trial.LOADED, 1)[-1]
    if trial.LOADED in output and "Creating training net" not in last:
        if TESTS in last:
            return "the TEST phase fails in the test after the first iteration"
        trains = "the TRAIN phase fails in its first iteration"
        return trains if TRAINS in last else "the TEST phase fails in the first test"
    if SHARES in last:
        return "the TEST phase cannot share the weights of TRAIN"
    if "Creating test net" in last:
        return "Caffe does not load the TEST phase"
    not_a_net = "Creating training net" not in last or "Network initialization done" in last
    return "Caffe does not make the solver" if not_a_net else "Caffe does not load the TRAIN phase"


# In the process of its own


def main(task):
    """What the process of its own does: the task is JSON."""
    trial.tell(attempt(**json.loads(task)))


def attempt(paths, labels, weights, gpu, seconds):
    """What `run` returns, of solvers in these files. Caffe may end the process."""
    result = None
    import caffe

    if gpu is not None:
        caffe.set_mode_gpu()
        caffe.set_device(gpu)
    for path in paths:
        solver = None  # before the next one opens the same sources
        caffe.set_random_seed(1)
        solver = caffe.get_solver(path)
        try:
            start([solver.net, *solver.test_nets], weights)
        except (ValueError, OSError) as refusal:
            return {"refused": " ".join(str(refusal).split())}
        print(SHARES, flush=True)
        for net in solver.test_nets:
            net.share_with(solver.net)
        print(trial.LOADED, flush=True)
        floats = sum(blob.count for blob in solver.net.blobs.values())
        if result is None or (8 * floats < MEMORY and result["seconds"] * floats / result["floats"] < seconds):
            start_of = time.monotonic()
            result = dict(iteration(solver, labels), floats=floats)
            result["seconds"] = time.monotonic() - start_of
            print(RAN, flush=True)
    return result


def iteration(solver, labels):
    """Have a solver train for an iteration, and test."""
    tests, learns = list(solver.test_nets), []
    untrained = max([0, *(statistics(net) for net in tests)])
    trial.fill(solver.net, labels.get("TRAIN", {}))
    fill_all(tests, labels)

    def begin():
        print(TRAINS, flush=True)

    def learn():
        learns.append(any(blob.diff.any() for blobs in solver.net.params.values() for blob in blobs))

    solver.add_callback(begin, learn)
    solver.step(1)
    first, train = any(map(is_wrong, tests)), is_wrong(solver.net)
    fill_all(tests, labels)  # a layer may have changed its bottom in place
    print(TESTS, flush=True)
    for net in tests:
        net.share_with(solver.net)
        net.forward()
    test = any(map(is_wrong, tests))
    return {"learns": learns[0], "untrained": untrained, "first": first, "train": train, "test": test}


def fill_all(tests, labels):
    for net in tests:
        trial.fill(net, labels.get("TEST", {}))


def statistics(net):
    """How many BatchNorm layers have stored statistics of nothing."""
    norms = [layer.blobs for layer in net.layers if layer.type == "BatchNorm" and len(layer.blobs) == 3]
    return sum(not blobs[2].data.any() for blobs in norms)


def is_wrong(net):
    """Whether an output, or what an output is made of, is not finite."""
    outputs, names = set(net.outputs), set(net.outputs)
    for layer in net._layer_names:
        if outputs.issuperset(net.top_names[layer]):
            names.update(net.bottom_names[layer])
    return not all(np.isfinite(net.blobs[name].data).all() for name in names)
