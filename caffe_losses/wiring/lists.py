"""Has a net read image files and labels from a list, instead of what it reads now."""

import json

from .net import OURS
from .sources import SIZES, label_makers, source_for


def add_lists(wiring, heads, labels, sources, classes, resize):
    """Put MultiLabelImageData in the place of each data layer that makes the heads' labels.

    sources  lists of images, for TRAIN and for TEST
    classes  the file of class names, or how many classes there are
    resize   (height, width) that images are resized to before a crop; None: what ImageData says, or nothing
    """
    partners = label_makers(wiring, heads)
    for partner in partners:
        if partner.type not in ("Data", "ImageData"):
            raise ValueError(
                f"layer {partner.name} ({partner.type}) reads no images, so that a list cannot take its place; "
                "give --label-source"
            )
    for partner in partners:
        source = source_for(wiring, partner, sources)
        options = dict(source=source, classes=classes, **options_of(wiring, partner, resize))
        options.update({"label_format": wiring.options["label_format"]} if "label_format" in wiring.options else {})
        old = list(partner.top)
        taken = [blob for blob in old[1:] if blob != labels and wiring.taken_by_others(blob, heads)]
        if taken:
            raise ValueError(f"layer {partner.name}: {taken[0]} is in use besides the loss; give --labels {taken[0]}")
        new = type(partner)(name=partner.name, type="Python", top=[old[0], labels], include=partner.include)
        new.exclude.extend(partner.exclude)
        new.python_param.module, new.python_param.layer = OURS, "MultiLabelImageData"
        new.python_param.param_str = json.dumps(options)
        wiring.tell(partner, f"{partner.type} -> MultiLabelImageData {new.python_param.param_str}")
        partner.CopyFrom(new)


def options_of(wiring, partner, resize):
    """The options of MultiLabelImageData that do what a data layer does."""
    read = getattr(partner, SIZES[partner.type])
    options = dict(transform_options(partner), batch_size=read.batch_size)
    if partner.type == "ImageData":
        options.update({field: getattr(read, field) for field in ("root_folder", "shuffle") if getattr(read, field)})
    if resize:
        options.update(new_height=resize[0], new_width=resize[1])
    elif "new_height" not in options:
        wiring.tell(partner, "images keep the size of their files; give --resize H,W if they are not all large enough")
    return options


def transform_options(layer):
    """What a Data or ImageData layer does to an image, in Transform's terms."""
    transform, image, options = layer.transform_param, layer.image_data_param, {}
    if layer.type == "ImageData":
        gray = not image.is_color
        options.update({field: getattr(image, field) for field in ("new_height", "new_width") if getattr(image, field)})
    else:
        gray = transform.force_gray or len(transform.mean_value) == 1
    options.update({field: getattr(transform, field) for field in ("crop_size", "mean_file", "mirror")
                    if getattr(transform, field)})  # fmt: skip
    if gray:
        options["color"] = "GRAY"
    if transform.mean_value:
        options["mean_value"] = [float(f"{mean:.7g}") for mean in transform.mean_value]
    if transform.scale != 1:
        options["scale"] = float(f"{transform.scale:.7g}")  # as it was written, not as float32 has it
    return options
