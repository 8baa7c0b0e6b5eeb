"""Makes the net for inference of a net for training: Input for data, probabilities for the loss."""

import numpy as np

from .. import losses
from .. import options as params
from ..data import TRANSFORM_OPTIONS, Transform
from .net import LABEL_LOSSES, copies, image_options, is_loss, is_ours, kind, views, weight


def deploy(net, heads=None, shapes=None):
    """The deploy net, and what was done, a line each.

    heads   names of the loss layers whose scores are wanted; None: those of the largest loss_weight
    shapes  {top: shape} of the data; the one of None is for the only top that there is

    Only the layers that these scores are made of stay, so that auxiliary heads go. Dropout stays: in the
    TEST phase it does nothing. ValueError for a loss that is not known, or a shape that is not given.
    """
    view = main_view(net)
    chosen = main_heads(view, heads)
    kept = needed(view, chosen)
    lines = [f"{layer.name}: dropped ({kind(layer)})" for layer in view.layers if is_loss(layer)]
    lost = [layer.name for layer in view.layers if layer.bottom and not is_loss(layer) and not is_in(layer, kept)]
    lines += [f"dropped, as the scores do not need them: {', '.join(lost)}"] if lost else []
    inputs = input_layers(kept, dict(shapes or {}), lines)
    deployed = type(net)(name=net.name)
    deployed.layer.extend(inputs + [without_training(layer) for layer in kept if layer.bottom])
    for head in chosen:
        add_probabilities(deployed, view, head, len(chosen) == 1, lines)
    return deployed, lines


def main_view(net):
    """The net in the TEST phase, or in TRAIN if only that has a loss."""
    found = views(copies(net.layer), net.state)
    for phase in ("TEST", "TRAIN"):
        if phase in found and any(is_loss(layer) for layer in found[phase].layers):
            return found[phase]
    raise ValueError("the net has no loss, so that it is not clear what its scores are; give a train_val")


def main_heads(view, names):
    found = [layer for layer in view.layers if is_loss(layer)]
    for name in names or []:
        if name not in [layer.name for layer in found]:
            known = ", ".join(layer.name for layer in found)
            raise ValueError(f"expected a loss layer, got --head {name}; the net has {known}")
    if names:
        heads = [layer for layer in found if layer.name in names]
    else:
        heads = [layer for layer in found if weight(layer) == max(map(weight, found))]
    for layer in heads:
        if layer.type not in LABEL_LOSSES and not is_ours(layer):
            raise ValueError(
                f"layer {layer.name} ({kind(layer)}) is a loss that is not known here, nor are its scores; "
                "name those to keep with --head"
            )
    return heads


def needed(view, heads):
    """The layers that the heads' scores are made of."""
    kept, left = [], [view.maker(head, scores_of(view, head)) for head in heads]
    while left:
        layer = left.pop()
        if not is_in(layer, kept):
            kept.append(layer)
            left += [view.maker(layer, bottom) for bottom in layer.bottom]
    return sorted(kept, key=view.index)


def is_in(layer, layers):
    return any(layer is other for other in layers)


def scores_of(view, head):
    """The head's scores: the first bottom, but EuclideanLoss takes its two in any order."""
    swapped = head.type == "EuclideanLoss" and view.are_labels(head, head.bottom[0], head.bottom[1])
    return head.bottom[int(swapped)]


def without_training(layer):
    """The layer without what only training reads, nor rules that might leave it out."""
    for field in ("include", "exclude", "loss_weight", "propagate_down"):
        layer.ClearField(field)
    if not any(param.name for param in layer.param):
        layer.ClearField("param")
    for param in (layer.convolution_param, layer.inner_product_param):
        param.ClearField("weight_filler")
        param.ClearField("bias_filler")
    for field in ("convolution_param", "inner_product_param"):
        if not getattr(layer, field).ListFields():
            layer.ClearField(field)
    return layer


def input_layers(kept, shapes, lines):
    """An Input layer for each top of a data layer that is needed."""
    taken = {blob for layer in kept for blob in layer.bottom}
    tops = [(layer, top) for layer in kept if not layer.bottom for top in layer.top if top in taken]
    names = [top for _, top in tops]
    unknown = [name for name in shapes if name is not None and name not in names]
    if unknown or (None in shapes and len(names) != 1):
        raise ValueError(f"--shape: the net takes {', '.join(names)}; give --shape {names[0]}=1,3,224,224 or the like")
    inputs = []
    for layer, top in tops:
        shape = shapes.get(top, shapes.get(None)) or known_shape(layer, top)
        one = type(layer)(name=top, type="Input", top=[top])
        one.input_param.shape.add().dim.extend(shape)
        lines.append(f"{top}: {kind(layer)} -> Input {' x '.join(map(str, shape))}{prepared(layer)}")
        inputs.append(one)
    return inputs


def known_shape(layer, top):
    """The shape of one image, if the data layer tells."""
    image, transform, memory = layer.image_data_param, layer.transform_param, layer.memory_data_param
    gray = transform.force_gray or len(transform.mean_value) == 1 or (layer.type == "ImageData" and not image.is_color)
    channels = 1 if gray else 3
    place = list(layer.top).index(top)
    ours = image_options(layer)
    if ours is not None and place == 0 and shape_of_images(ours):
        return [1, *shape_of_images(ours)]
    if layer.type in ("Input", "DummyData"):
        given = layer.input_param.shape if layer.type == "Input" else layer.dummy_data_param.shape
        if given:
            return [1] + list(given[place if place < len(given) else 0].dim)[1:]
    elif place == 0 and transform.crop_size and layer.type in ("Data", "ImageData", "WindowData"):
        return [1, channels, transform.crop_size, transform.crop_size]
    elif place == 0 and layer.type == "ImageData" and image.new_height and image.new_width:
        return [1, channels, image.new_height, image.new_width]
    elif place == 0 and layer.type == "MemoryData":
        return [1, memory.channels, memory.height, memory.width]
    raise ValueError(
        f"layer {layer.name} ({kind(layer)}) does not tell the shape of {top}; give e.g. --shape {top}=1,3,224,224"
    )


def shape_of_images(options):
    """(channels, height, width) that MultiLabelImageData gives, or None if that is the files'."""
    known = {option.name for option in TRANSFORM_OPTIONS} - {"mean_file"}
    return Transform(**{name: options[name] for name in options if name in known}).shape()


def prepared(layer):
    """What the data layer did to an image besides cropping: the user's to do before an Input."""
    transform, ours = layer.transform_param, image_options(layer) or {}
    means, scale = np.ravel(ours.get("mean_value") or transform.mean_value), ours.get("scale", transform.scale)
    file = ours.get("mean_file") or transform.mean_file
    done = [f"minus {', '.join(f'{mean:g}' for mean in means)}"] if len(means) else []
    done += [f"minus {file}"] if file else []
    done += [f"times {scale:g}"] if scale != 1 else []
    return f"; give it images {' and '.join(done)}" if done else ""


def add_probabilities(net, view, head, only, lines):
    """A Softmax or Sigmoid on the scores, as the loss has it."""
    scores = scores_of(view, head)
    activation = getattr(losses, head.python_param.layer).activation if is_ours(head) else LABEL_LOSSES[head.type]
    if activation is None:
        lines.append(f"{scores}: the output, as {kind(head)} takes it")
        return
    name = "prob" if only else f"{head.name}/prob"
    while any(name == layer.name or name in layer.top for layer in net.layer):
        name += "_"
    added = net.layer.add(name=name, type=activation, bottom=[scores], top=[name])
    axis = head.softmax_param.axis
    if is_ours(head):
        axis = params.parse(kind(head), head.python_param.param_str).get("axis", axis)
    if activation == "Softmax" and axis != 1:
        added.softmax_param.axis = axis
    lines.append(f"{name}: {activation} of {scores}")
