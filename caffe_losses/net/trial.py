"""Tries a net in real Caffe, in a process of its own: Caffe ends the process for a net that it cannot load or run."""

import json
import subprocess
import sys

from .prototxt import temporary
from .reasons import reason

# The folder of the process is not on the path, as `caffe train` has it neither.
TRY = """
import json, os, sys
sys.path[:] = [folder for folder in sys.path if folder]
os.environ["GLOG_minloglevel"] = "2"
import caffe, numpy
task = json.loads(sys.argv[1])
caffe.set_random_seed(1)
net = caffe.Net(task["path"], getattr(caffe, task["phase"]))
print(task["loaded"], flush=True)
if task["run"]:
    random = numpy.random.RandomState(1)
    for name in net.inputs:
        data, below = net.blobs[name].data, task["labels"].get(name)
        data[...] = random.randint(0, below, data.shape) if below else random.standard_normal(data.shape)
    net.forward()
    if task["phase"] == "TRAIN":
        net.backward()
learns = any(blob.diff.any() for blobs in net.params.values() for blob in blobs) if task["run"] else None
shapes = {name: list(blob.data.shape) for name, blob in net.blobs.items()}
print(task["mark"] + json.dumps([shapes, learns]) + task["mark"])
"""
MARK, LOADED = "=== tried ===", "=== loaded ==="  # amid whatever else is printed


class Failure(ValueError):
    """Caffe does not load or run a net; the reason in one line.

    loaded  whether it was loaded
    """

    loaded = False


def shapes(net, phase):
    """{blob: its shape, a list} of a net that is loaded in a phase.

    net    NetParameter
    phase  "TRAIN" or "TEST"

    Failure, with Caffe's reason, if the net does not load.
    """
    return in_process(net, phase, f"check: Caffe does not load the {phase} phase", run=False)[0]


def run(net, phase, labels):
    """Load a net and run it forward and, in TRAIN, backward. Returns whether a gradient reaches weights.

    labels  {blob of an Input layer: n}: it is filled with whole numbers below n. Others: with normal numbers

    Failure if it does not load or does not run.
    """
    return in_process(net, phase, f"check: the {phase} phase fails in its first iteration", run=True, labels=labels)[1]


def in_process(net, phase, text, **task):
    with temporary(net) as path:
        task = json.dumps(dict(task, path=path, phase=phase, mark=MARK, loaded=LOADED))
        command = [sys.executable, "-c", TRY, task]
        process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.decode(errors="replace")
    if process.returncode:
        failure = Failure(f"{text}: {reason(process)}")
        failure.loaded = LOADED in output
        raise failure
    return json.loads(output.split(MARK)[1])
