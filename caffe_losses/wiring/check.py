"""Tries whether real Caffe loads a net."""

from ..net import prototxt
from ..net.heads import head_of
from ..net.kinds import our_loss
from ..net.make import input_layer
from ..net.sources import known_shape, missing_files
from ..net.view import data_tops, views


def check(net, shapes=None):
    """Load the net in the phases that it was made for, in a process of its own.

    Where a data layer's source does not exist, Input layers take the data layers' place.

    Args:
        net: NetParameter.
        shapes: {top: shape} of data whose layer does not tell it; the key None is for any top.

    Returns:
        A line for each phase.

    Raises:
        ValueError: with Caffe's reason, if the net does not load.
    """
    lines = []
    for phase, view in views(net.layer, net.state).items():
        absent = [path for layer in view.layers for path in missing_files(layer)]
        if absent:
            prototxt.shapes(stand_in(net, view, shapes or {}), phase)
            lines.append(f"check: {phase} loads with Input layers for data, as {absent[0]} does not exist")
        else:
            prototxt.shapes(net, phase)
            lines.append(f"check: {phase} loads")
    return lines


def stand_in(net, view, shapes):
    """The net in a phase with Input layers for data, and for labels of the shapes that the scores ask for."""
    losses = [layer for layer in view.layers if our_loss(layer) is not None]
    labels = {blob for layer in losses for blob in layer.bottom[1:]}
    body = [layer for layer in view.layers if layer.bottom and layer.type != "Silence"]
    body = [layer for layer in body if not labels & set(layer.bottom)]
    tops = data_tops([layer for layer in view.layers if not layer.bottom] + body)
    inputs = [input_layer(top, shape_of(layer, top, shapes)) for layer, top in tops]
    blobs = prototxt.shapes(type(net)(layer=inputs + body), view.phase)
    labels = {layer.name: layer for loss in losses for layer in label_inputs(head_of(view, loss), blobs)}
    return type(net)(layer=[*labels.values(), *inputs, *body, *losses])


def shape_of(layer, top, shapes):
    return shapes.get(top) or shapes.get(None) or known_shape(layer, top)


def label_inputs(head, blobs):
    """Input layers for the labels and row weights that a loss takes, whose scores have their shape in `blobs`."""
    batch, *rest = scores = blobs[head.scores]
    index = head.options.get("label_format") == "INDEX"
    labels = input_layer(head.labels, [batch, 1, *rest[1:]] if index else scores)
    return [labels] + [input_layer(weights, [batch, *rest[1:]]) for weights in head.layer.bottom[2:]]
