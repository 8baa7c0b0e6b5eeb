"""Losses for several labels that others have published: what they compute, and their parameters in our terms.

Python layers are known by their class, whatever the module, and layers of other Caffes by their type.
"""

import re
from collections import namedtuple

from ..options import parse


class Published(namedtuple("Published", "activation labels options lost has_weights")):
    """A loss of others.

    activation  "Softmax" or "Sigmoid", which it makes probabilities with; None if versions of it differ
    labels      "DENSE", "INDEX", or what its labels are, in words, if we have no such labels
    options     {option of ours: value} of what it always does
    lost        what else is to be known of it, in words; "" for nothing
    has_weights whether it takes weights of rows, as a third bottom
    """

    __slots__ = ()

    def __new__(cls, activation, labels, options, lost, has_weights=False):
        return super().__new__(cls, activation, labels, options, lost, has_weights)


BATCH = {"normalization": "BATCH_SIZE"}
SIGNS = "-1 for no, 1 for yes and 0 for ignored; write 0, 1 and -1, and give --param ignore_label=-1"
FROM_1 = "class numbers from 1, filled with 0; write class numbers from 0, filled with -1, and give label_format=INDEX"
NAMES = {"focusing_parameter": "gamma", "gamma": "gamma", "alpha": "alpha"}  # of parameters, there and here

PYTHON = {
    "CustomSoftmaxLoss": Published("Softmax", "DENSE", BATCH, ""),
    "FocalLoss": Published(
        "Sigmoid", "DENSE", dict(BATCH, alpha=None),
        "class balances that it reads from a file are --param class_weight=FILE here",
    ),
    "SoftmaxSoftLabel": Published(
        "Softmax", "INDEX", BATCH, "a version of it does not read its third bottom, the weights of images", True,
    ),
}  # fmt: skip
PASCAL = "PascalMultilabelDataLayerSync", "PascalMultilabelDataLayerAsync"
WEIGHTS = "weights of classes are --param class_weight"
UNSCALED = dict(BATCH, label_scale="NONE")
TYPES = {
    "FocalLoss": Published(None, "INDEX", {}, "some versions take a softmax and some a sigmoid"),
    "MultiLabelLoss": Published("Sigmoid", SIGNS, BATCH, "some versions balance the labels of an image"),
    "MultiLabelSigmoidLoss": Published("Sigmoid", "DENSE", {}, "labels outside of [0, 1] are refused, not ignored"),
    "MultilabelMultinomialLogisticLoss": Published(None, "DENSE", UNSCALED, "it takes probabilities"),
    "SigmoidFocalLoss": Published("Sigmoid", "DENSE", {"alpha": None}, WEIGHTS),
    "SigmoidMultiLabelLoss": Published("Sigmoid", FROM_1, {}, "a weight of the labels 0 is --param pos_weight"),
    "SoftmaxFocalLoss": Published("Softmax", "INDEX", {}, ""),
    "SoftmaxMultilabelLoss": Published("Softmax", "DENSE", UNSCALED, ""),
    "SoftmaxWithFocalLoss": Published("Softmax", "INDEX", {}, ""),
    "WeightedSigmoidCrossEntropyLoss": Published("Sigmoid", "DENSE", {}, WEIGHTS),
}


def published(layer):
    """The Published of a layer with scores and labels, and weights if it takes them; None for any other."""
    known = PYTHON.get(layer.python_param.layer) if layer.type == "Python" else TYPES.get(layer.type)
    return known if known is not None and len(layer.bottom) == 2 + known.has_weights else None


def published_images(layer):
    """What a data layer of Caffe's Pascal example does, as options of MultiLabelImageData; None for any other layer.

    It shuffles and mirrors the images of all splits. Those of val and test stay as they are here.
    """
    if layer.python_param.layer not in PASCAL:
        return None
    try:
        options = parse(layer.name, layer.python_param.param_str)
        (height, width), batch_size = options["im_shape"], options["batch_size"]
    except (ValueError, TypeError, KeyError):
        return None
    images = {"batch_size": batch_size, "new_height": height, "new_width": width, "mean_value": 128}
    return images if options.get("split") in ("val", "test") else dict(images, mirror=True, shuffle=True)


def published_options(layer, fields):
    """What such a layer says, in our losses' terms.

    fields  {name: text} of its fields that only another Caffe knows
    """
    options = dict(published(layer).options)
    for name, value in said(layer, fields).items():
        if is_translated(layer, name, value):
            options[NAMES[name]] = value
    return options


def is_translated(layer, name, value):
    """Whether a parameter is one of ours. The alpha of a softmax is a factor of all, and ours balances two sides."""
    if name == "alpha" and published(layer).activation != "Sigmoid":
        return False
    return name in NAMES and isinstance(value, (int, float)) and not isinstance(value, bool)


def lost_parameters(layer, fields):
    """The names of its parameters that have no place here."""
    return [name for name, value in said(layer, fields).items() if not is_translated(layer, name, value)]


def said(layer, fields):
    """{name: value} of what the layer says in a param_str, and in the fields of another Caffe."""
    if layer.type == "Python":
        try:
            return parse(layer.name, layer.python_param.param_str)
        except ValueError:
            return {"param_str": layer.python_param.param_str}
    values = {}
    for text in fields.values():
        for name, value in re.findall(r"(\w+)\s*:\s*([^\s{}]+)", text):
            values.setdefault(name, []).append(number(value))
    return {name: value[0] if len(value) == 1 else value for name, value in values.items()}


def number(text):
    try:
        return float(text)
    except ValueError:
        return text
