"""Small nets in real Caffe, from prototxt text."""

import json
import os
import subprocess
import sys
import tempfile

import caffe

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where docker/install-caffe has left Caffe's source: here, or beside the environment of another checkout.
BUILD = os.environ.get("CAFFE_BUILD") or os.path.join(
    ROOT if os.path.isdir(os.path.join(ROOT, "build", "source")) else os.path.dirname(sys.prefix), "build"
)
CAFFE = os.path.join(os.path.dirname(sys.executable), "caffe")  # the program of the environment under test


def input_layer(name, shape):
    dims = " ".join(f"dim: {d}" for d in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


def loss_layer(layer, bottoms, tops=("loss",), loss_weight=1, param=None, name="loss"):
    """A loss of ours; `param` is its options, or a param_str as it is."""
    param_str = param if isinstance(param, str) else json.dumps(param or {})
    lines = [f'bottom: "{b}"' for b in bottoms] + [f'top: "{t}"' for t in tops]
    lines += [f"loss_weight: {w}" for w in [loss_weight] + [0] * (len(tops) - 1)] if loss_weight is not None else []
    quoted = param_str.replace("\\", "\\\\").replace("'", "\\'")
    return (
        f'layer {{ name: "{name}" type: "Python" {" ".join(lines)} '
        f'python_param {{ module: "caffe_losses.layers" layer: "{layer}" param_str: \'{quoted}\' }} }}\n'
    )


def net(text, phase=caffe.TRAIN, force_backward=True):
    handle, path = tempfile.mkstemp(suffix=".prototxt")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(("force_backward: true\n" if force_backward else "") + text)
        return caffe.Net(path, phase)
    finally:
        os.remove(path)


def loss_net(layer, scores, labels, weights=None, phase=caffe.TRAIN, **loss):
    """A net of one loss of ours, its inputs filled."""
    arrays = {"scores": scores, "labels": labels}
    if weights is not None:
        arrays["weights"] = weights
    text = "".join(input_layer(name, array.shape) for name, array in arrays.items())
    loaded = net(text + loss_layer(layer, list(arrays), **loss), phase)
    fill(loaded, **arrays)
    return loaded


def fill(loaded, **arrays):
    for name, array in arrays.items():
        loaded.blobs[name].reshape(*array.shape)
        loaded.blobs[name].data[...] = array


def run(loaded, loss="loss"):
    """(loss, gradient of the scores) after a forward and a backward."""
    value = float(loaded.forward()[loss].flat[0])
    loaded.blobs["scores"].diff[...] = 123  # must be overwritten
    loaded.backward()
    return value, loaded.blobs["scores"].diff.copy()


def caffe_program(*arguments, cwd, check=True, **more):
    """Run the caffe program; returns the finished process."""
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "GLOG_minloglevel")}
    env["GLOG_logtostderr"] = "1"  # and to no file
    done = subprocess.run(
        [CAFFE, *arguments], cwd=str(cwd), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )
    assert not check or done.returncode == 0, done.stdout[-3000:]
    return done
