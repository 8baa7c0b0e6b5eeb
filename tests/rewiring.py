"""Stock and small nets for the tests of net/ and wiring/, and both as one calls them there."""

import json
import os
from contextlib import ExitStack

import h5py  # noqa: F401  (its first import starts a process, which fast tests may not)
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from nets import BUILD

from caffe_losses import losses, wiring
from caffe_losses.__main__ import parser
from caffe_losses.net import iteration, prototxt, trial
from caffe_losses.net.view import View

STOCK = os.path.join(BUILD, "source", "models")
MODELS = "bvlc_alexnet", "bvlc_reference_caffenet", "bvlc_googlenet", "finetune_flickr_style"
OF_SCORES = [name for name in losses.__all__ if getattr(losses, name).has_probabilities]
CLASSES = 7

DATA = """
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "x" batch_size: 2 shuffle: true } }
"""
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 5 } }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'
SINGLE = """
name: "single"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.00390625 crop_size: 12 mean_value: 10 }
  data_param { source: "train" batch_size: 4 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.00390625 crop_size: 12 mean_value: 10 }
  data_param { source: "test" batch_size: 2 backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" param { lr_mult: 1 }
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def layer(name, kind, bottom, top, more=""):
    blobs = " ".join([f'bottom: "{b}"' for b in bottom.split()] + [f'top: "{t}"' for t in top.split()])
    return f'layer {{ name: "{name}" type: "{kind}" {blobs} {more} }}\n'


def python(name, module, kind, bottom, top, more=""):
    return layer(name, "Python", bottom, top, f'python_param {{ module: "{module}" layer: "{kind}" }} {more}')


def parsed(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


def our_data(**options):
    param = json.dumps(options)
    text = layer("data", "Python", "", "data labels", "python_param { module: 'caffe_losses.layers' layer: 'L' }")
    net = parsed(text.replace("'L'", "'MultiLabelImageData'"))
    net.layer[0].python_param.param_str = param
    return net.layer[0]


def one(kind, more, tops="data label"):
    return parsed(layer("data", kind, "", tops, more)).layer[0]


def view_of(text, phase="TEST"):
    net = parsed(text)
    return View(net.layer, net.state, phase)


def command(*arguments):
    """Run a command; its exit code, or the error that it raises."""
    options = parser().parse_args([str(argument) for argument in arguments])
    return options.run(options)


def wire(text, loss="MultiLabelSoftmaxLoss", **options):
    """The wired net's layers by name, and the lines that tell of it."""
    net, lines = wiring.wire(parsed(text), loss, **options)
    return {layer.name: layer for layer in net.layer}, lines


def refused(text, loss="MultiLabelSoftmaxLoss", **options):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as refusal:
        wiring.wire(parsed(text), loss, **options)
    return str(refusal.value)


def deployed(text, **options):
    inference = wiring.deploy(parsed(text), **options)
    return {layer.name: layer for layer in inference.net.layer}, inference.lines


def check_here(net, shapes=None, **options):
    """`wiring.check` of a net that is right, without the processes of its own that it takes for one that is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "in_process", attempt_here)
        return wiring.check(net, shapes, **options)


def attempt_here(module, messages, folders, task, meanwhile=None):
    with ExitStack() as files:
        paths = [files.enter_context(prototxt.temporary(message)) for message in messages]
        return {"trial": trial, "iteration": iteration}[module].attempt(paths=paths, **task)


def stock(model):
    net, upgraded = prototxt.read(os.path.join(STOCK, model, "train_val.prototxt"))
    assert not upgraded
    return net


def with_random_data(net, classes):
    """The net on DummyData for data, one image at a time, that has the first of the classes."""
    copy = caffe_pb2.NetParameter()
    size = next(layer.transform_param.crop_size for layer in net.layer if not layer.bottom)
    data = copy.layer.add(name="data", type="DummyData", top=["data", "one", "zeros"])
    for shape in ([1, 3, size, size], [1, 1], [1, classes - 1]):
        data.dummy_data_param.shape.add().dim.extend(shape)
    data.dummy_data_param.data_filler.add(type="gaussian", std=50)
    for value in (1, 0):
        data.dummy_data_param.data_filler.add(type="constant", value=value)
    copy.layer.add(name="label", type="Concat", bottom=["one", "zeros"], top=["label"])
    copy.layer.extend(layer for layer in net.layer if layer.bottom)
    return copy
