"""Nets, solvers and Python layers for the tests of Caffe itself, and its program."""

import os
import re
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import h5py
import numpy as np
from caffe import layers as L
from caffe.proto import caffe_pb2

BIN = os.path.dirname(sys.executable)
PROGRAM = os.path.join(BIN, "caffe")
# No VIRTUAL_ENV, no activated PATH; on PYTHONPATH this checkout alone.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BARE = {"PATH": os.defpath, "GLOG_logtostderr": "1", "PYTHONPATH": ROOT}
MAX_ITER = 40

generator = np.random.default_rng(0)
DATA = generator.standard_normal((20, 6)).astype("float32")
LABELS = (DATA[:, :4] > 0).astype("float32")
LABELS[0] = 0.25, 0.5, 0, 3


class Refusal(Exception):
    """No type that Caffe or Boost would raise."""


class Multiply(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff


class Phase(Multiply):
    def setup(self, bottom, top):
        self.factor = self.phase


class Shift(Multiply):
    def setup(self, bottom, top):
        self.blobs.add_blob(*bottom[0].shape[1:])

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum(0)
        bottom[0].diff[...] = top[0].diff


class Refuse(Multiply):
    def __getattribute__(self, name):
        if name in ("setup", "reshape", "forward", "backward") and name == self.param_str:
            raise Refusal(name)
        return super().__getattribute__(name)

    def setup(self, bottom, top):
        self.factor = 1


def run(folder, *arguments, program=PROGRAM, code=0, **environment):
    """The program's output, log included; it has to end with the exit code."""
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={**BARE, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout[-2000:]
    return done.stdout


def write_net(folder, **tops):
    spec = caffe.NetSpec()
    for top in tops:
        spec[top] = tops[top]
    path = folder / "net.prototxt"
    path.write_text(f"force_backward: true\n{spec.to_proto()}")
    return str(path)


def write_solver(folder, name, **fields):
    path = folder / f"{name}.prototxt"
    fields = {"net": "net.prototxt", "lr_policy": "fixed", "base_lr": 0.1, "random_seed": 1, **fields}
    path.write_text(str(caffe_pb2.SolverParameter(snapshot_prefix=str(folder / name), **fields)))
    return str(path)


def write_data(folder):
    with h5py.File(str(folder / "data.h5"), "w") as file:
        file["data"], file["labels"] = DATA, LABELS
    (folder / "list.txt").write_text(str(folder / "data.h5"))
    return str(folder / "list.txt")


def python_layer(bottom, layer, param_str="", module=__name__):
    return L.Python(bottom, module=module, layer=layer, param_str=param_str)


def our_loss(scores, labels, **fields):
    return L.Python(scores, labels, module="caffe_losses.layers", layer="MultiLabelSoftmaxLoss", **fields)


def linear_net(folder, **fields):
    """Inputs x to scores of 3 classes and the squared distance to y."""
    x, y = (L.Input(shape={"dim": [2, size]}) for size in (5, 3))
    scores = L.InnerProduct(x, num_output=3, weight_filler={"type": "gaussian", "std": 1}, **fields)
    return write_net(folder, x=x, y=y, scores=scores, loss=L.EuclideanLoss(scores, y))


def linear_solver(folder, kind="SGD", **fields):
    path = write_solver(folder, "linear", net=linear_net(folder), type=kind, max_iter=10, **fields)
    solver = getattr(caffe, kind + "Solver")(path)
    solver.net.blobs["x"].data[...] = DATA[:2, :5]
    solver.net.blobs["y"].data[...] = 1
    return solver


def python_net(folder, layer, param_str="", phase=caffe.TRAIN):
    x = L.Input(shape={"dim": [2, 3]})
    return caffe.Net(write_net(folder, x=x, y=python_layer(x, layer, param_str)), phase)


def losses(log):
    return {int(at): float(loss) for at, loss in re.findall(r"Iteration (\d+)\b.*, loss = (\S+)", log)}


def weights(path):
    if str(path).endswith(".h5"):
        with h5py.File(str(path), "r") as file:
            return [np.array(blob) for blob in file["data/scores"].values()]
    net = caffe_pb2.NetParameter.FromString(Path(path).read_bytes())
    blobs = next(layer.blobs for layer in net.layer if layer.name == "scores")
    return [caffe.io.blobproto_to_array(blob) for blob in blobs]
