"""Tries a net in real Caffe, in a process of its own: Caffe ends the process for a net that it cannot load or run."""

import json
import os
import subprocess
import sys

from .prototxt import temporary
from .reasons import reason

MARK, LOADED = "=== tried ===", "=== loaded ==="  # amid whatever else is printed
PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = "import sys; sys.path[:] = {folders}; from caffe_losses.net import trial; trial.main(sys.argv[1])"


class Failure(ValueError):
    """Caffe does not load or run a net; the reason in one line.

    loaded  whether it was loaded
    """

    loaded = False


def shapes(net, phase, folders=None):
    """{blob: its shape, a list} of a net that is loaded in a phase.

    net      NetParameter
    phase    "TRAIN" or "TEST"
    folders  where modules of Python layers are searched; None: where `caffe train` does, which leaves out this folder

    Failure, with Caffe's reason, if the net does not load.
    """
    text = f"check: Caffe does not load the {phase} phase"
    return in_process(net, text, folders, {"phase": phase, "run": False})["shapes"]


def run(net, phase, labels):
    """Load a net and run it forward and, in TRAIN, backward. Returns whether a gradient reaches weights.

    labels  {blob of an Input layer: n}: it is filled with whole numbers below n. Others: with normal numbers

    Failure if it does not load or does not run.
    """
    text = f"check: the {phase} phase fails in its first iteration"
    return in_process(net, text, None, {"phase": phase, "run": True, "labels": labels})["learns"]


def in_process(net, text, folders, task):
    searched = "[folder for folder in sys.path if folder] + " + repr([PACKAGE]) if folders is None else repr(folders)
    environment = dict(os.environ, GLOG_minloglevel="2")
    with temporary(net) as path:
        command = [sys.executable, "-c", COMMAND.format(folders=searched), json.dumps(dict(task, path=path))]
        process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.decode(errors="replace")
    if process.returncode:
        failure = Failure(f"{text}: {reason(process)}")
        failure.loaded = LOADED in output
        raise failure
    return json.loads(output.split(MARK)[1])


def main(task):
    """What the process of its own does: the task is JSON, as `attempt` takes it."""
    result = attempt(**json.loads(task))
    print(MARK + json.dumps(result) + MARK)


def attempt(path, phase, run, labels=None):
    """Load the net in a file, and run it if asked to. Caffe may end the process.

    Returns {"shapes": those of its blobs, "learns": whether weights got a gradient}.
    """
    import caffe
    import numpy as np

    caffe.set_random_seed(1)
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
    return {
        "shapes": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
        "learns": run and any(blob.diff.any() for blobs in net.params.values() for blob in blobs),
    }
