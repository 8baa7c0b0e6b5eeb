"""The `caffe` program, run with a progress bar; its log, read; and its snapshots, used."""

import os
import re
import shutil
import subprocess
import sys

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from tqdm import tqdm


def read_solver(path):
    return text_format.Parse(path.read_text(), caffe_pb2.SolverParameter())


def train(folder, solver, title):
    """Run `caffe train` in the folder; its log, also kept as <title>.log there. Exits where caffe fails."""
    bar = tqdm(total=read_solver(solver).max_iter, desc=title, unit=" iterations")
    lines = []
    with bar, caffe_train(folder, solver) as process, (folder / f"{title}.log").open("w") as log:
        for line in process.stderr:
            log.write(line)
            lines.append(line)
            iteration = re.search(r"Iteration (\d+)", line)
            bar.update(int(iteration.group(1)) - bar.n if iteration else 0)
    if process.returncode:
        sys.exit(f"caffe train: status {process.returncode}; its last lines:\n{''.join(lines[-25:])}")
    return "".join(lines)


def caffe_train(folder, solver):
    """The running process, with its whole log, which is read, and one thread, as the matrices are small."""
    beside = os.path.dirname(sys.executable)  # a virtual environment need not be activated
    program = shutil.which("caffe", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if not program:
        sys.exit("the caffe program is neither beside this Python nor on PATH; `make` builds it")
    environment = {**os.environ, "GLOG_minloglevel": "0", "OPENBLAS_NUM_THREADS": "1"}
    command = [program, "train", "--solver", str(solver)]
    return subprocess.Popen(command, cwd=str(folder), env=environment, stderr=subprocess.PIPE, text=True)


def losses(log):
    """{"training": (iterations, losses), "test": ...}, the former averaged over average_loss iterations."""
    training = re.findall(r"Iteration (\d+) \(.*\), loss = (\S+)", log)
    test = re.findall(r"Iteration (\d+), Testing net[\s\S]*?Test net output #0: loss = (\S+)", log)
    return {name: np.array(pairs, float).T for name, pairs in (("training", training), ("test", test))}


def probabilities(folder, loss, iteration, features):
    """What the snapshot of an iteration gives for the features."""
    weights = folder / f"{loss}_iter_{iteration}.caffemodel"
    net = caffe.Net(str(folder / f"{loss}_deploy.prototxt"), caffe.TEST, weights=str(weights))
    net.blobs["data"].reshape(*features.shape)
    net.blobs["data"].data[...] = features
    return net.forward()["probability"]
