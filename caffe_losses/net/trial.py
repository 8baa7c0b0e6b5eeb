"""Tries a net in real Caffe, in a process of its own: Caffe ends the process for a net that it cannot load or run."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack

from .contents import check_files
from .prototxt import temporary
from .reasons import reason

MARK, LOADED = "=== tried ===", "=== loaded ==="  # amid whatever else is printed
PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = "import sys; sys.path[:] = {folders}; from caffe_losses.net import trial; trial.main(sys.argv[1])"


class Failure(ValueError):
    """Caffe does not load or run a net; the reason in one line.

    loaded  how many nets it had loaded by then
    """

    loaded = 0


def shapes(net, phase, folders=None):
    """{blob: its shape, a list} of a net that is loaded in a phase.

    net      NetParameter
    phase    "TRAIN" or "TEST"
    folders  where modules of Python layers are searched; None: where `caffe train` does, which leaves out this folder

    Failure, with Caffe's reason, if the net does not load.
    """
    return in_process([net], folders, phase=phase, run=False, labels={})["shapes"]


def run(nets, phase, labels):
    """Load nets one after the other, and run the last forward and, in TRAIN, backward.

    labels  {blob of an Input layer: n}: it is filled with whole numbers below n. Others: with normal numbers

    Returns whether a gradient reaches weights. Failure if one does not load, or the last does not run.
    """
    return in_process(nets, None, phase=phase, run=True, labels=labels)["learns"]


def measure(net, labels):
    """{"parameters": how many numbers a net learns, "seconds": what a forward and a backward of TRAIN take}.

    labels  as in `run`. Failure if the net does not load or run
    """
    result = in_process([net], None, phase="TRAIN", run=True, labels=labels, seconds=0.3)
    return {name: result[name] for name in ("parameters", "seconds")}


def in_process(nets, folders, **task):
    for net in nets:
        for layer in net.layer:
            check_files(layer)
    searched = "[folder for folder in sys.path if folder] + " + repr([PACKAGE]) if folders is None else repr(folders)
    environment = dict(os.environ, GLOG_minloglevel="2")
    with ExitStack() as files:
        paths = [files.enter_context(temporary(net)) for net in nets]
        command = [sys.executable, "-c", COMMAND.format(folders=searched), json.dumps(dict(task, paths=paths))]
        process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.decode(errors="replace")
    if process.returncode:
        loaded, phase = output.count(LOADED), task["phase"]
        what = f"the {phase} phase fails in its first iteration" if loaded else f"Caffe does not load the {phase} phase"
        failure = Failure(f"check: {what}: {reason(process)}")
        failure.loaded = loaded
        raise failure
    return json.loads(output.split(MARK)[1])


def main(task):
    """What the process of its own does: the task is JSON, as `attempt` takes it."""
    result = attempt(**json.loads(task))
    print(MARK + json.dumps(result) + MARK)


def attempt(paths, phase, run, labels, seconds=0.0):
    """Load the nets in these files, and run the last if asked to; then again for so many seconds. Caffe may end the
    process.

    Returns {"shapes": those of its blobs, "learns": whether weights got a gradient, "parameters": how many weights it
    learns, "seconds": of the fastest forward and backward, None if it was not timed}.
    """
    import caffe
    import numpy as np

    caffe.set_random_seed(1)
    for path in paths:
        net = None  # before the next one opens the same sources
        net = caffe.Net(path, getattr(caffe, phase))
        print(LOADED, flush=True)
    if run:
        random = np.random.RandomState(1)
        for name in net.inputs:
            data, below = net.blobs[name].data, labels.get(name)
            data[...] = random.randint(0, below, data.shape) if below else random.standard_normal(data.shape)
        net.forward()
        if phase == "TRAIN":
            net.backward()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        net.forward()
        net.backward()
        times.append(time.monotonic() - start)
    statistics = {name for name, layer in zip(net._layer_names, net.layers) if layer.type == "BatchNorm"}
    return {
        "seconds": min(times, default=None),
        "parameters": sum(blob.count for name in net.params if name not in statistics for blob in net.params[name]),
        "shapes": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
        "learns": run and any(blob.diff.any() for blobs in net.params.values() for blob in blobs),
    }
