"""Tries a net in real Caffe, in a process of its own: Caffe ends the process for a net that it cannot load or run."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

from .contents import check_files
from .prototxt import temporary
from .reasons import reason

MARK, LOADED = "=== tried ===", "=== loaded ==="  # amid whatever else is printed
PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = "import sys; sys.path[:] = {folders}; from caffe_losses.net import {module}; {module}.main(sys.argv[1])"
AT_WORK = 5  # seconds


class Failure(ValueError):
    """Caffe does not load or run a net; the reason in one line.

    output  all that the process has printed
    killed  whether a signal ended it from outside, as one does that takes too much memory
    """

    def __init__(self, text, output, killed=False):
        super().__init__(text)
        self.output, self.killed = output, killed

    @property
    def loaded(self):
        """How many nets, or solvers, had been loaded by then."""
        return self.output.count(LOADED)


def shapes(net, phase, folders=None):
    """{blob: its shape, a list} of a net that is loaded in a phase.

    net      NetParameter
    phase    "TRAIN" or "TEST"
    folders  where modules of Python layers are searched; None: where `caffe train` does, which leaves out this folder

    Failure, with Caffe's reason, if the net does not load.
    """
    return of_net(net, phase, folders)["shapes"]


def forward(net, labels):
    """Load a net in TEST, and run it forward. Failure if it does not load or run.

    labels  {blob of an Input layer: n}: it is filled with whole numbers below n. Others: with numbers in [0, 1)
    """
    of_net(net, "TEST", run=True, labels=labels)


def measure(net, labels):
    """{"parameters": how many numbers a net learns, "seconds": what a forward and a backward of TRAIN take}.

    labels  as in `forward`. Failure if the net does not load or run
    """
    result = of_net(net, "TRAIN", run=True, labels=labels, seconds=0.3)
    return {name: result[name] for name in ("parameters", "seconds")}


def of_net(net, phase, folders=None, **task):
    for layer in net.layer:
        check_files(layer)
    try:
        return in_process("trial", [net], folders, dict(task, phase=phase))
    except Failure as failure:
        what = f"the {phase} phase does not run" if failure.loaded else f"Caffe does not load the {phase} phase"
        raise Failure(f"check: {what}: {failure}", failure.output) from None


def in_process(module, messages, folders, task, meanwhile=None):
    """What `attempt` of a module of this folder gives for files of these messages, in a process of its own.

    task       its other arguments, as JSON has them
    meanwhile  is called every few seconds; None: nothing is

    Failure, with the reason alone, if the process ends otherwise.
    """
    searched = "[folder for folder in sys.path if folder] + " + repr([PACKAGE]) if folders is None else repr(folders)
    command = [sys.executable, "-c", COMMAND.format(folders=searched, module=module)]
    environment = dict(os.environ, GLOG_minloglevel="0", GLOG_logtostderr="1")
    with ExitStack() as files:
        paths = [files.enter_context(temporary(message)) for message in messages]
        words = [*command, json.dumps(dict(task, paths=paths))]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        printed = output_of(process, meanwhile)
    output = printed.decode(errors="replace")
    if process.returncode:
        why = reason(subprocess.CompletedProcess(words, process.returncode, printed))
        raise Failure(why, output, killed=process.returncode == -signal.SIGKILL)
    return json.loads(output.split(MARK)[1])


def output_of(process, meanwhile):
    """All that a process prints until it ends. It does not outlive this one's patience."""
    try:
        while True:
            try:
                return process.communicate(timeout=AT_WORK)[0]
            except subprocess.TimeoutExpired:
                if meanwhile:
                    meanwhile()
    except BaseException:
        process.kill()
        process.wait()
        raise


def main(task):
    """What the process of its own does: the task is JSON."""
    tell(attempt(**json.loads(task)))


def tell(result):
    print(MARK + json.dumps(result) + MARK)


def attempt(paths, phase, run=False, labels=None, seconds=0.0):
    """Load the net in this file, and run it if asked to; then again for so many seconds. Caffe may end the process.

    Returns {"shapes": those of its blobs, "parameters": how many weights it learns, "seconds": of the fastest forward
    and backward, None if it was not timed}.
    """
    import caffe

    caffe.set_random_seed(1)
    net = caffe.Net(paths[0], getattr(caffe, phase))
    print(LOADED, flush=True)
    if run:
        fill(net, labels)
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
    }


def fill(net, labels):
    """Fill the Input layers' blobs. Numbers of [0, 1) have a root and a logarithm, and are indices, too: 0."""
    import numpy as np

    random = np.random.RandomState(1)
    for name in net.inputs:
        data, below = net.blobs[name].data, labels.get(name)
        data[...] = random.randint(0, below, data.shape) if below else random.random_sample(data.shape)
