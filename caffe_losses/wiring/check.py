"""Loads a net in real Caffe, in a process of its own: what Caffe cannot take, it ends the process for."""

import json
import os
import subprocess
import sys
import tempfile

from .. import options as params
from .deploy import known_shape
from .net import PHASES, image_options, is_ours, kind, last_line, views, write

LOAD = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
net = caffe.Net(sys.argv[1], int(sys.argv[2]))
print(sys.argv[3] + json.dumps({name: list(blob.data.shape) for name, blob in net.blobs.items()}) + sys.argv[3])
"""
MARK = "=== shapes ==="  # amid whatever else is printed


def check(net, shapes=None):
    """Load the net in the phases that it was made for; returns a line for each.

    Where a data layer's source does not exist, Input layers take the data layers' place: of `shapes` or
    of what the layer tells for the data, and for the labels as the scores and label_format want them. ValueError with
    Caffe's reason if the net does not load.
    """
    lines = []
    for phase, view in views(net.layer, net.state).items():
        absent = missing(view.layers)
        if absent:
            load(stand_in(net, view, phase, shapes or {}), phase)
            lines.append(f"check: {phase} loads with Input layers for data, as {absent[0]} does not exist")
        else:
            load(net, phase)
            lines.append(f"check: {phase} loads")
    return lines


def load(net, phase):
    """Each blob's shape."""
    handle, path = tempfile.mkstemp(suffix=".prototxt")
    os.close(handle)
    try:
        write(net, path)
        command = [sys.executable, "-c", LOAD, path, str(PHASES.index(phase)), MARK]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    finally:
        os.remove(path)
    if done.returncode:
        raise ValueError(f"check: Caffe does not load the {phase} phase: {last_line(done.stdout)}")
    return json.loads(done.stdout.decode().split(MARK)[1])


def missing(layers):
    """The files and folders that data layers name and that are not there."""
    named = []
    for layer in layers:
        for param in (layer.data_param, layer.hdf5_data_param, layer.image_data_param, layer.window_data_param):
            named += [param.source] if param.source else []
        named += [layer.transform_param.mean_file] if layer.transform_param.mean_file else []
        said = image_options(layer) or {}
        named += [said[key] for key in ("source", "classes", "mean_file") if isinstance(said.get(key), str)]
    return [name for name in named if not os.path.exists(name)]


def stand_in(net, view, phase, shapes):
    """The net in a phase with Input layers for data and labels, whose shapes are found by loading it without them."""
    layers = view.layers
    heads = [layer for layer in layers if is_ours(layer)]
    labels = {blob for head in heads for blob in head.bottom[1:]}
    body = [layer for layer in layers if layer.bottom and layer.type != "Silence" and not labels & set(layer.bottom)]
    taken = {blob for layer in body for blob in layer.bottom}
    tops = [(layer, top) for layer in layers if not layer.bottom for top in layer.top if top in taken]
    body = [input_layer(one, top, shape_of(one, top, shapes)) for one, top in tops] + body
    found = load(type(net)(layer=body), phase)
    return type(net)(layer=label_layers(heads, found) + body + heads)


def shape_of(layer, top, shapes):
    return shapes.get(top) or shapes.get(None) or known_shape(layer, top)


def label_layers(heads, found):
    """Input layers for the labels and row weights that the losses take."""
    layers = {}
    for head in heads:
        batch, *rest = scores = found[head.bottom[0]]
        options = params.parse(kind(head), head.python_param.param_str)
        index = options.get("label_format") == "INDEX"
        layers[head.bottom[1]] = input_layer(head, head.bottom[1], [batch, 1, *rest[1:]] if index else scores)
        for weights in head.bottom[2:]:
            layers[weights] = input_layer(head, weights, [batch, *rest[1:]])
    return list(layers.values())


def input_layer(like, top, shape):
    layer = type(like)(name=top, type="Input", top=[top])
    layer.input_param.shape.add().dim.extend(shape)
    return layer
