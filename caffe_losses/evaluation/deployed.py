"""A deploy net with its JSON, as `caffe-losses deploy` writes them, made a train_val for evaluate and predict."""

import json
import os
from collections import namedtuple
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import numpy as np

from .. import files
from ..net import prototxt
from ..net.kinds import kind, title
from ..net.make import our_layer
from ..net.testing import ACTIVATIONS
from ..options import shortened
from ..wiring import is_deploy

BATCH = 16
NEEDED = "inputs", "outputs", "color", "background", "mean", "scale"


class Model(namedtuple("Model", "net json classes thresholds")):
    """A net that was trained.

    net         NetParameter of a train_val, or one that was made of a deploy net and its JSON
    json        the path of that JSON; None for a train_val
    classes     the names that the JSON has, or None
    thresholds  a probability for each class that the JSON has, or None
    """

    __slots__ = ()


def json_of(model, net):
    """The path of the JSON that belongs to a deploy net, read from `model`; None for a train_val."""
    return os.path.splitext(model)[0] + ".json" if is_deploy(net) else None


@contextmanager
def read_model(model, *, resize=None, classes=None):
    """The Model of a prototxt; its net names files that are there as long as the block lasts.

    Args:
        model: path of a train_val, or of a deploy net that has its JSON beside it.
        resize: (height, width) of the pictures, in place of what the JSON says.
        classes: a file with the names, if the JSON has none.

    Raises:
        ValueError: a deploy net has no JSON, or one that does not say all that is needed.
        OSError: a file cannot be read.
    """
    net = prototxt.read(model).net
    path = json_of(model, net)
    if path is None:
        yield Model(net, None, None, None)
        return
    if not os.path.exists(path):
        raise ValueError(
            f"{model} is a net for inference, and {path} is not there, which says how its input is made of pictures "
            "and what its output means; write it as docs/deployment.md has it, or give the train_val"
        )
    spec = read(path)
    if resize:
        spec["resize"] = list(resize)
    if "resize" not in spec:
        raise ValueError(
            f"{path} does not say resize, the size of pictures before they are cropped; write it there, or give "
            "predict --resize H,W"
        )
    with TemporaryDirectory() as folder:
        made = train_val(net, path, spec, folder, classes)
        yield Model(made, path, spec.get("classes"), spec.get("thresholds"))


def read(path):
    """The JSON as a dict, in which what is needed is there, for one input and one output."""
    try:
        spec = json.loads(files.read(path).decode("utf-8-sig"))
    except ValueError:
        raise ValueError(f"{path} is no JSON; write it as docs/deployment.md has it") from None
    absent = [key for key in NEEDED if not isinstance(spec, dict) or key not in spec]
    if absent:
        raise ValueError(f"{path} does not say {', '.join(absent)}; write that there, as docs/deployment.md has it")
    for key, (expected, is_right) in VALUES.items():
        if spec.get(key) is not None and not is_right(spec[key]):
            raise ValueError(f"{path}: expected {key} to be {expected}, got {shortened(spec[key])}")
    classes, thresholds = (spec.get(key) or () for key in ("classes", "thresholds"))
    if len(thresholds) not in (0, len(classes)):
        raise ValueError(f"{path}: expected a threshold for each of {len(classes)} classes, got {len(thresholds)}")
    return spec


def is_list(value, kind, count=None):
    return (
        isinstance(value, list)
        and count in (None, len(value))
        and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)
    )


VALUES = {
    "inputs": (
        "one blob with its shape, images, channels, height, width",
        lambda value: isinstance(value, dict) and len(value) == 1 and is_list(next(iter(value.values())), int, 4),
    ),
    "outputs": (
        "one blob with Softmax, Sigmoid or null",
        lambda value: (
            isinstance(value, dict) and len(value) == 1 and all(item in (*ACTIVATIONS, None) for item in value.values())
        ),
    ),
    "resize": ("[height, width] or null", lambda value: is_list(value, int, 2)),
    "classes": ("a list of names", lambda value: is_list(value, str)),
    "thresholds": ("a list of numbers", lambda value: is_list(value, (int, float))),
}


def train_val(net, path, spec, folder, classes=None):
    """The deploy net with a data layer that does to pictures what the JSON says, and metrics of its output.

    path    of the JSON
    folder  for the files that the data layer names
    """
    options = data_options(path, spec, folder)
    if "classes" not in options and classes is not None:
        options["classes"] = os.path.abspath(classes)
    (top,), (output,) = spec["inputs"], spec["outputs"]
    layers = [layer for layer in net.layer if layer.type != "Input"]
    made = [blob for layer in net.layer for blob in layer.top]
    if [blob for layer in net.layer if layer.type == "Input" for blob in layer.top] != [top] or output not in made:
        raise ValueError(f"{path} tells of the input {top} and the output {output}, and the net has not both of them")
    activation = spec["outputs"][output]
    maker = [layer for layer in net.layer if output in layer.top][-1]
    if activation not in (None, maker.type):
        raise ValueError(
            f"{path}: outputs says {activation} of {output}, and layer {title(maker)} ({kind(maker)}) makes it; write "
            f"null, or the blob that the {activation} makes"
        )
    labels = "labels"
    while labels in made:
        labels += "_"
    replaced = type(net)(name=net.name)
    data = our_layer("MultiLabelImageData", options, name=top, top=[top, labels])
    metrics = our_layer("MultiLabelMetrics", {"test_iter": 1}, name="metrics", bottom=[output, labels], top=["mAP"])
    replaced.layer.extend([data, *layers, metrics])
    return replaced


def data_options(path, spec, folder):
    """The options of MultiLabelImageData."""
    (shape,), (height, width) = spec["inputs"].values(), spec["resize"] or (0, 0)
    if shape[1] != (1 if spec["color"] == "GRAY" else 3):
        raise ValueError(f"{path}: color is {spec['color']}, and the input has {shape[1]} channels; give what fits")
    options = {name: spec[name] for name in ("color", "background", "scale")}
    options.update(batch_size=BATCH, new_height=height, new_width=width, crop_size=shape[2:])
    try:
        mean = np.asarray(spec["mean"], np.float32)
    except (TypeError, ValueError):
        raise ValueError(
            f"{path}: expected mean to be a number for each channel, or rows of pixels with them, got "
            f"{shortened(spec['mean'])}"
        ) from None
    if mean.ndim == 3:
        options["mean_file"] = os.path.join(folder, "mean.npy")
        np.save(options["mean_file"], mean.transpose(2, 0, 1))
    else:
        options["mean_value"] = spec["mean"]
    if spec.get("classes"):
        options["classes"] = os.path.join(folder, "classes.txt")
        with open(options["classes"], "w", encoding="utf-8") as file:
            file.write("".join(f"{name}\n" for name in spec["classes"]))
    return options
