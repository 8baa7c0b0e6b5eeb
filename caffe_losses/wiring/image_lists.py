"""Has a net read image files and labels from a list, instead of what it reads now."""

from ..net.make import copy_rules, our_layer
from ..net.sources import batch_param, batch_size, transform_options
from .label_layers import label_makers, source_for


def add_image_lists(wiring, losses, labels, image_lists):
    """Put MultiLabelImageData in the place of each data layer that makes the losses' labels."""
    partners = label_makers(wiring, losses)
    for partner in partners:
        if partner.type not in ("Data", "ImageData"):
            raise ValueError(
                f"layer {partner.name} ({partner.type}) reads no images, so that a list cannot take its place; "
                "give --label-source"
            )
    for partner in partners:
        data, *others = partner.top
        taken = [blob for blob in others if blob != labels and wiring.is_taken(blob, besides=losses)]
        if taken:
            raise ValueError(f"layer {partner.name}: {taken[0]} is in use besides the loss; give --labels {taken[0]}")
        options = options_of(wiring, partner, image_lists)
        layer = our_layer("MultiLabelImageData", options, name=partner.name, top=[data, labels])
        copy_rules(partner, layer)
        wiring.tell(partner, f"{partner.type} -> MultiLabelImageData {layer.python_param.param_str}")
        partner.CopyFrom(layer)


def options_of(wiring, partner, image_lists):
    """The options of MultiLabelImageData that do what a data layer does, with a list."""
    source = source_for(wiring, partner, image_lists.sources)
    options = dict(source=source, classes=image_lists.classes, **transform_options(partner))
    options["batch_size"] = batch_size(partner)
    if partner.type == "ImageData":
        param = batch_param(partner)
        options.update({field: getattr(param, field) for field in ("root_folder", "shuffle") if getattr(param, field)})
    if image_lists.resize:
        options.update(new_height=image_lists.resize[0], new_width=image_lists.resize[1])
    elif "new_height" not in options:
        wiring.tell(partner, "images keep the size of their files; give --resize H,W if they are not all large enough")
    if "label_format" in wiring.options:
        options["label_format"] = wiring.options["label_format"]
    return options
