"""What a program has to know to run a deploy net on pictures, as JSON has it."""

import os

import numpy as np

from ..net.kinds import image_options, title
from ..net.sources import class_names, options_for_testing, transform_of


def describe(inference, shapes, classes=None):
    """How to make a deploy net's input of a picture, and what its output means.

    Args:
        inference: an Inference.
        shapes: {blob: its shape} of its net.
        classes: a file with one class name a line; None: that of the data layer.

    Returns:
        (description, unknown): a dict, of which docs/deployment.md has the keys; and for each key that is not known,
        and left out, "key (the reason)".

    Raises:
        ValueError: there are not as many names as classes.
        OSError: `classes` cannot be read.
    """
    description = {
        "inputs": {top: list(shapes[top]) for top in inference.sources},
        "outputs": {output.blob: output.activation for output in inference.outputs},
    }
    unknown = []
    if len(inference.sources) == 1 and len(inference.outputs) == 1:
        ((top, source),), ((output, _),) = inference.sources.items(), inference.outputs
        describe_picture(source, shapes[top], description, unknown)
        describe_classes(source, shapes[output][1], classes, description, unknown)
    else:
        unknown.append("all but inputs and outputs (there are several)")
    return description, unknown


def describe_picture(source, shape, description, unknown):
    """Add what the data layer does to a picture in the TEST phase."""
    options = options_for_testing(source)
    if options is None:
        unknown.append(
            f"color, background, resize, mean, scale (layer {title(source)} ({source.type}) reads no pictures)"
        )
        return
    if shape[1] == 1:
        options["color"] = "GRAY"  # as --shape says, where a Data layer does not
    transform = transform_of(dict(options, mean_file=None))
    description.update(color=transform.color, background=transform.background)
    if transform.crop_scale:
        unknown.append("resize (crop_scale cuts out the largest window of the shape of crop_size, and resizes it)")
    elif transform.new_height or source.type != "Data":
        description["resize"] = [transform.new_height, transform.new_width] if transform.new_height else None
    else:
        unknown.append("resize (the pictures' size in the LMDB)")
    mean_file = options.get("mean_file")
    if mean_file and not os.path.exists(mean_file):
        unknown.append(f"mean ({mean_file} is not there)")
    else:
        description["mean"] = mean_of(transform_of(options))
    description["scale"] = transform.scale


def mean_of(transform):
    """What is subtracted: a number for each channel, or an image of rows of pixels, cropped as the picture is."""
    if transform.mean is None:
        return [0.0] * transform.channels
    mean = transform.mean
    if mean.shape[1:] == (1, 1):
        return [round_trip(value) for value in mean.ravel()]
    shape = transform.shape()
    if shape is not None:
        top, left = ((mean.shape[1] - shape[1]) // 2, (mean.shape[2] - shape[2]) // 2)
        mean = mean[:, top : top + shape[1], left : left + shape[2]]
    return [[[round_trip(value) for value in pixel] for pixel in row] for row in mean.transpose(1, 2, 0)]


def round_trip(value):
    """The shortest number that is the same as a float32."""
    return float(str(np.float32(value)))


def describe_classes(source, count, classes, description, unknown):
    """Add the names of the classes."""
    file = (image_options(source) or {}).get("classes")
    if classes is not None or (isinstance(file, str) and os.path.exists(file)):
        description["classes"] = class_names(source, classes, count)
    else:
        reason = f"{file} is not there" if isinstance(file, str) else f"layer {title(source)} has no names"
        unknown.append(f"classes ({reason}; give --classes)")
