"""Trains a folder that `caffe-losses template` wrote: warm-up, training and tests in one go, and the best weights."""

import glob
import math
import os
import re
import shutil
import signal
import subprocess
import sys

from . import files
from .evaluation import read_log
from .net import prototxt
from .net.kinds import is_ours
from .parallel import comm
from .parallel.keep import names_a_loss
from .parallel.snapshots import final_prefix

SOLVER, WARMUP, LOG, BEST = "solver.prototxt", "warmup_solver.prototxt", "train.log", "best.caffemodel"


def train(folder, *, keep=None, force=False, weights=None, words=()):
    """Train the solver.prototxt of a folder, from the last snapshot that there is.

    The log is shown, and written to train.log. After the last iteration, the weights of the kept snapshot with the best
    value of the first test metric are copied to best.caffemodel: without a metric, the last ones.

    Args:
        folder: with solver.prototxt and what that names. If warmup_solver.prototxt is there, too, it tells the warm-up.
        keep: how many snapshots are kept, the last and the best ones. None: 2, or 1 without a metric.
        force: train anew, and write over the files of a training that was there.
        weights: files to start from, as of `caffe-losses train`; not if it goes on.
        words: more arguments of `caffe-losses train`.

    Returns:
        The exit code of `caffe-losses train`.

    Raises:
        ValueError: the folder has no solver, or one that leaves no .caffemodel at its end; a longer training was there;
            or other files are where log and weights are to go.
        OSError: a file cannot be read or written.
    """
    path = os.path.join(folder, SOLVER)
    if not os.path.exists(path):
        raise ValueError(f"{path} is not there; give a folder that caffe-losses template wrote")
    solver = prototxt.read_solver(path)
    check(path, solver)
    last = None if force else last_snapshot(folder, solver)
    log, best, metric = os.path.join(folder, LOG), os.path.join(folder, BEST), metric_of(folder, solver)
    if last and last > solver.max_iter:
        raise ValueError(
            f"{path} ends at iteration {solver.max_iter}, and {folder} has a training up to {last}; give another "
            "folder, or --force to train anew"
        )
    if last == solver.max_iter and os.path.exists(best):
        print(f"{folder} is trained: {best}; --force trains it anew")
        return 0
    if comm.launched_rank() == 0:
        others = sorted(glob.glob(glob.escape(os.path.join(folder, prefix_of(solver))) + "_iter_*"))
        files.Outputs([log, best, *others], force=force or last is not None)
    arguments = ["--keep", str(keep or (2 if metric else 1))]
    arguments += ["--best", metric] if metric and keep != 1 else []
    arguments += [*warmup(folder), *words]
    if last:
        if comm.launched_rank() == 0:
            told = ", and leaves --weights out" if weights else ""
            print(f"{folder} goes on from iteration {last}{told}; --force trains it anew", flush=True)
        arguments += ["--snapshot", f"{prefix_of(solver)}_iter_{last}.solverstate"]
    elif weights:
        arguments += ["--weights", ",".join(os.path.abspath(path) for path in weights.split(","))]
    code = run(folder, log, arguments, anew=last is None)
    if code == 0 and comm.launched_rank() == 0:
        publish_best(folder, solver, metric, best)
    return code


def prefix_of(solver):
    return final_prefix(solver, SOLVER)


def check(path, solver):
    """ValueError for a solver that leaves no .caffemodel at its end."""
    if solver.snapshot_format == solver.HDF5 or not solver.snapshot_after_train:
        raise ValueError(f"{path}: expected snapshot_format BINARYPROTO and snapshot_after_train true; correct it")


def snapshots(folder, solver):
    """The iterations of the snapshots that train.log tells of and that are there. Those of other trainings are not."""
    path = os.path.join(folder, LOG)
    if not os.path.exists(path):
        return []
    text = files.read(path).decode("utf-8", "replace")
    iterations = re.findall(rf"Snapshot {re.escape(prefix_of(solver))}_iter_(\d+)\.solverstate$", text, re.MULTILINE)
    return [k for k in map(int, iterations) if os.path.exists(model(folder, solver, k))]


def last_snapshot(folder, solver):
    """The iteration of the last snapshot; None if there is none."""
    return max(snapshots(folder, solver), default=None)


def model(folder, solver, iteration):
    return os.path.join(folder, f"{prefix_of(solver)}_iter_{iteration}.caffemodel")


def metric_of(folder, solver):
    """The first output of the net's first MultiLabelMetrics layer; None if it has none."""
    path = os.path.join(folder, solver.net)
    layers = prototxt.parse(path).layer if solver.net else ()
    return next((layer.top[0] for layer in layers if is_ours(layer, "MultiLabelMetrics")), None)


def warmup(folder):
    """The arguments that make the main solver warm up as the other one does."""
    path = os.path.join(folder, WARMUP)
    if not os.path.exists(path):
        return []
    solver = prototxt.read_solver(path)
    return ["--warmup", str(solver.max_iter), "--warmup-lr", f"{solver.base_lr:.9g}"]


def run(folder, log, arguments, anew):
    """`caffe-losses train` in the folder; what it prints is shown and, by the first process, written to the log."""
    command = [sys.executable, "-m", "caffe_losses", "train", "--solver", SOLVER, *arguments]
    writes = comm.launched_rank() == 0
    with open(log if writes else os.devnull, "w" if anew else "a") as file:
        process = subprocess.Popen(
            command, cwd=folder, stderr=subprocess.PIPE, universal_newlines=True, errors="replace"
        )
        before = pass_on_signals(process)
        try:
            for line in process.stderr:
                file.write(line)
                file.flush()
                sys.stderr.write(line)
                sys.stderr.flush()
            return process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def pass_on_signals(process):
    """Have the process decide what a signal does. Ctrl-C reaches it from the terminal. Returns the handlers before."""

    def pass_on(number, _):
        process.send_signal(number)

    handlers = {signal.SIGINT: lambda *_: None, signal.SIGTERM: pass_on, signal.SIGHUP: pass_on}
    return {number: signal.signal(number, handler) for number, handler in handlers.items()}


def publish_best(folder, solver, metric, best):
    """Copy the best weights, and say which they are."""
    values = read_log(os.path.join(folder, LOG)).test.get(metric, {}) if metric else {}
    values = {k: value for k, value in values.items() if not math.isnan(value)}
    worst, sign = (math.inf, -1) if metric and names_a_loss(metric) else (-math.inf, 1)
    chosen = max(snapshots(folder, solver), key=lambda k: (sign * values.get(k, worst), k))
    with open(model(folder, solver, chosen), "rb") as source:
        files.Outputs([best], force=True).write([lambda file: shutil.copyfileobj(source, file)])
    told = f", {metric} {values[chosen]:.4g}" if chosen in values else ""
    print(f"{best}: iteration {chosen} of {solver.max_iter}{told}")
