"""Trains a folder that `caffe-losses template` wrote: warm-up, training and tests in one go, and the best weights."""

import glob
import os
import re
import shutil

from . import files
from .evaluation import read_log
from .net import prototxt, states
from .net.kinds import is_ours
from .net.weights import read as read_weights
from .parallel import comm, launch, records
from .parallel.lines import log_to, say, write

SOLVER, WARMUP, LOG, BEST = "solver.prototxt", "warmup_solver.prototxt", "train.log", "best.caffemodel"


def train(folder, *, keep=None, force=False, weights=None, gpu=None, scale_lr=False, stall_timeout=None):
    """Train the solver.prototxt of a folder, from the last snapshot that there is.

    What Caffe prints goes to train.log. After the last iteration, the weights of the kept snapshot with the best value
    of the first test metric are copied to best.caffemodel: without a metric, the last ones. The process is in the
    folder from then on.

    Args:
        folder: with solver.prototxt and what that names. If warmup_solver.prototxt is there, too, it tells the warm-up.
        keep: how many snapshots are kept, the last and the best ones. None: 2, or 1 without a metric.
        force: train anew, and write over the files of a training that was there.
        weights: files to start from, as of `caffe-losses train`; not if it goes on.
        gpu, scale_lr, stall_timeout: as of `launch.train`.

    Returns:
        The exit code of `launch.train`.

    Raises:
        ValueError: the folder has no solver, or one that leaves no .caffemodel at its end; a longer training was there;
            other files are where log and weights are to go; or what `launch.train` refuses.
        OSError: a file cannot be read or written.
    """
    path = os.path.join(folder, SOLVER)
    if not os.path.exists(path):
        raise ValueError(f"{path} is not there; give a folder that caffe-losses template wrote")
    solver = prototxt.read_solver(path)
    if solver.snapshot_format == solver.HDF5 or not solver.snapshot_after_train:
        raise ValueError(f"{path}: expected snapshot_format BINARYPROTO and snapshot_after_train true; correct it")
    weights = weights and ",".join(os.path.abspath(path) for path in weights.split(","))
    if comm.launched_rank() == 0:
        say(f"{folder}: what Caffe prints goes to {os.path.join(folder, LOG)}")
    os.chdir(folder)
    this = Folder(folder, metric_of(solver), force, weights)
    warmup = prototxt.read_solver(WARMUP) if os.path.exists(WARMUP) else None
    return launch.train(
        solver=SOLVER,
        weights=weights,
        gpu=gpu,
        scale_lr=scale_lr,
        warmup=warmup.max_iter if warmup else 0,
        warmup_lr=warmup and warmup.base_lr,
        keep=keep or (2 if this.metric else 1),
        best=this.metric if keep != 1 else None,
        stall_timeout=stall_timeout,
        folder=this,
    )


def metric_of(solver):
    """The first output of the net's first MultiLabelMetrics layer; None if it has none."""
    layers = prototxt.parse(solver.net).layer if solver.net else ()
    return next((layer.top[0] for layer in layers if is_ours(layer, "MultiLabelMetrics")), None)


class Folder:
    """The current folder, in which rank 0 trains: where it goes on, its log, and its best weights.

    name     as the user calls it
    metric   by which snapshots are compared, or None
    force    whether it is trained anew
    weights  that the user wants to start from, or None
    """

    def __init__(self, name, metric, force, weights):
        self.name, self.metric, self.force, self.weights = name, metric, force, weights

    def plan(self, solver, prefix):
        """The .solverstate to go on from; None to start, and False if all is trained, and published.

        Nothing is written. No other training has this prefix.
        """
        there = {} if self.force else tests(prefix)
        while there and self.damaged(prefix, max(there)):
            del there[max(there)]
        last = max(there, default=None)
        if last is not None and last > solver.max_iter:
            raise ValueError(
                f"{os.path.join(self.name, SOLVER)} ends at iteration {solver.max_iter}, and {self.name} has a "
                f"training up to {last}; give another folder, or --force to train anew"
            )
        if last == solver.max_iter:
            if os.path.exists(BEST):
                write(1, f"{self.name} is trained: {os.path.join(self.name, BEST)}; --force trains it anew\n")
            else:
                self.publish(prefix)
            return False
        self.check_others(prefix, there)
        if last is None:
            return None
        told = ", and leaves --weights out" if self.weights else ""
        say(f"{self.name} goes on from iteration {last}{told}; --force trains it anew")
        return f"{prefix}_iter_{last}.solverstate"

    def damaged(self, prefix, iteration):
        """Whether a snapshot is, which is said."""
        try:
            read_weights(states.read_state(f"{prefix}_iter_{iteration}.solverstate").learned_net)
        except (ValueError, OSError) as error:
            say(f"{self.name}: the snapshot of iteration {iteration} is left out: {error}")
            return True
        return False

    def check_others(self, prefix, there):
        """Refuse to write over snapshots and weights that no training here has left."""
        others = [] if there else [BEST, *sorted(glob.glob(glob.escape(prefix) + "_iter_*"))]
        try:
            files.Outputs([LOG, BEST], force=True)
            files.Outputs(others, force=self.force)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def start(self, prefix, *, anew):
        """Have what Caffe prints go to the log. Returns the descriptor of the terminal."""
        if anew:  # records of the training before, whose snapshots are written over one by one
            for iteration in records.read_all(prefix):
                records.remove(prefix, iteration)
        return log_to(LOG, anew=anew)

    def publish(self, prefix):
        """Copy the best weights, and say which they are."""
        there = tests(prefix)
        chosen = records.best(there, self.metric)
        while len(there) > 1 and self.damaged(prefix, chosen):
            del there[chosen]
            chosen = records.best(there, self.metric)
        with open(f"{prefix}_iter_{chosen}.caffemodel", "rb") as source:
            files.Outputs([BEST], force=True).write([lambda file: shutil.copyfileobj(source, file)])
        value = there[chosen].get(self.metric)
        told = f", {self.metric} {value:.4g}" if value is not None else ""
        write(1, f"{os.path.join(self.name, BEST)}: iteration {chosen} of {max(there)}{told}\n")


def tests(prefix):
    """{iteration: means of its test} of the snapshots that trainings in this folder have left, with their weights.

    Those without a record are of an older version, and train.log has their means; others are not of this folder.
    """
    known = {k: record.get("tests", {}) for k, record in records.read_all(prefix).items()}
    if not known and os.path.exists(LOG):
        known = of_log(prefix)
    return {k: means for k, means in known.items() if os.path.exists(f"{prefix}_iter_{k}.caffemodel")}


def of_log(prefix):
    """What an older version's train.log tells: {iteration: means of its test}."""
    text = files.read(LOG).decode("utf-8", "replace")
    iterations = re.findall(rf"Snapshot {re.escape(prefix)}_iter_(\d+)\.solverstate$", text, re.MULTILINE)
    if not iterations:
        return {}
    series = read_log(LOG).test
    return {k: {name: of_one[k] for name, of_one in series.items() if k in of_one} for k in map(int, iterations)}
