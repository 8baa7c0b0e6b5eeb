"""New layers: Input, and the layers of ours."""

import json

from .kinds import OURS


def layer(**fields):
    """A LayerParameter."""
    from caffe.proto import caffe_pb2

    return caffe_pb2.LayerParameter(**fields)


def input_layer(top, shape):
    """An Input layer of that name."""
    made = layer(name=top, type="Input", top=[top])
    made.input_param.shape.add().dim.extend(shape)
    return made


def our_layer(kind, options, **fields):
    """The layer `kind` of caffe_losses.layers; an empty dict of options is not written."""
    made = layer(type="Python", **fields)
    made.python_param.module, made.python_param.layer = OURS, kind
    if options:
        made.python_param.param_str = json.dumps(options)
    return made


def copy_rules(source, target):
    """Have `target` be in the net where `source` is."""
    target.include.extend(source.include)
    target.exclude.extend(source.exclude)
