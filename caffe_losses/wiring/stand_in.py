"""Nets to try out: with Input layers for data that are not there yet, and with small batches."""

import json

from ..net import trial
from ..net.contents import missing_files
from ..net.heads import takes_indices
from ..net.kinds import LEARNED, image_options, is_known_loss, is_ours
from ..net.make import input_layer
from ..net.sources import BATCH_PARAMS, batch_param, batch_size, known_shape
from ..net.view import PHASES, DataTop, is_in, may_be_in
from ..options import parse
from .label_shapes import label_shapes
from .wiring import reaches

SMALL = 2  # images


def with_stand_ins(net, phases, shapes):
    """(a copy of a net with Input layers for data that are not there, {phase: the first file that is not there}).

    phases  {phase: View}. The Input layers of a phase are in the net in that phase
    shapes  {top: shape} as the user gives them; the key None is for any top
    """
    made, missing = {}, {}
    for phase, view in phases.items():
        absent = [layer for layer in view.layers if not layer.bottom and missing_files(layer)]
        if absent:
            missing[phase] = missing_files(absent[0])[0]
            known = known_shapes(net, view, absent, shapes)
        for layer in absent:
            inputs = [input_layer(top, known[top]) for top in layer.top if top in known]
            made[id(layer)] = made.get(id(layer), []) + [of_phase(one, layer, phase) for one in inputs]
    whole = type(net)()
    whole.CopyFrom(net)
    del whole.layer[:]
    for layer in net.layer:
        whole.layer.extend(made.get(id(layer), [layer]))
    return whole, missing


def of_phase(made, layer, phase):
    """Have a layer that was made be in the net in a phase alone, and keep what Caffe refuses of rules."""
    made.include.add(phase=PHASES.index(phase))
    made.exclude.extend(layer.exclude if layer.include else ())
    return made


def known_shapes(net, view, absent, shapes):
    """{top: shape} of the tops of absent data layers that are taken."""
    tops = [DataTop(layer, top) for layer in absent for top in layer.top if view.takers(layer, top)]
    known = {}
    for layer, top in tops:
        shape = shapes.get(top) or told_shape(layer, top)
        if shape is None and feeds_learned(view, layer, top):
            shape = shapes.get(None) or known_shape(layer, top)
        if shape is not None:
            known[top] = shape
    unknown = [top for top in tops if top.top not in known]
    if unknown:
        wanted = label_shapes(view, {top.top for top in unknown}, blobs_of(net, view, absent, known))
        for layer, top in unknown:
            known[top] = wanted.get(top) or unread(view, layer, top) or shapes.get(None) or known_shape(layer, top)
    return known


def told_shape(layer, top):
    """The shape of a data layer's top, as the layer tells it; None if it does not."""
    batch, place = batch_size(layer) or 1, list(layer.top).index(top)
    if place and layer.type in ("Data", "ImageData", "MemoryData", "WindowData"):
        return [batch]
    if place == 2 and image_options(layer) is not None:
        return [batch]
    try:
        return [batch, *known_shape(layer, top)[1:]]
    except ValueError:
        return None


def unread(view, layer, top):
    """The shape of a top that is only silenced: any will do."""
    silenced = all(taker.type == "Silence" for taker in view.takers(layer, top))
    return [batch_size(layer) or 1, 1] if silenced else None


def feeds_learned(view, layer, top):
    takers = view.takers(layer, top)
    return any(taker.type in LEARNED for maker in takers for taker in (maker, *reaches(view, maker)))


def blobs_of(net, view, absent, known):
    """{blob: shape} of what can be made without tops of absent data layers whose shapes are not known."""
    layers, made = [], set()
    for layer in view.layers:
        if is_in(layer, absent):
            layers += [input_layer(top, known[top]) for top in layer.top if top in known]
            made.update(top for top in layer.top if top in known)
        elif made.issuperset(layer.bottom):
            layers.append(layer)
            made.update(layer.top)
    small = type(net)(layer=layers)
    for layer in small.layer:
        layer.ClearField("include")
        layer.ClearField("exclude")
    return trial.shapes(small, view.phase)


def label_limits(view):
    """{top of an Input layer: n} of those with labels, whole numbers below n: no layer learns from them."""
    limits = {}
    for layer in view.layers:
        for top in layer.top if layer.type == "Input" else ():
            if view.takers(layer, top) and not feeds_learned(view, layer, top):
                takers = [t for maker in view.takers(layer, top) for t in (maker, *reaches(view, maker))]
                index = any(is_known_loss(taker) and takes_indices(taker) for taker in takers)
                limits[top] = 1 if index else 2  # class 0 is in every net
    return limits


def smaller(net):
    """A copy of the net on SMALL images at most; None if it is not known how."""
    data = [layer for layer in net.layer if not layer.bottom]
    sizes = [{size for layer in data if may_be_in(layer, phase) for size in sizes_of(layer)} for phase in PHASES]
    if any(len(of_one) > 1 or None in of_one for of_one in sizes):
        return None
    small = type(net)()
    small.CopyFrom(net)
    for layer in small.layer:
        options = image_options(layer)
        if options is not None:
            layer.python_param.param_str = json.dumps(dict(options, batch_size=min(SMALL, options["batch_size"])))
        elif layer.type in BATCH_PARAMS:
            batch_param(layer).batch_size = min(SMALL, batch_param(layer).batch_size)
        elif layer.type == "Input":
            for shape in layer.input_param.shape:
                shape.dim[0] = min(SMALL, shape.dim[0])
        elif is_ours(layer, "MultiLabelMetrics"):
            options = parse("MultiLabelMetrics", layer.python_param.param_str)
            # two batches, of which one is run: two images may have no label to measure
            layer.python_param.param_str = json.dumps(dict(options, test_iter=2, images=None))
    return small


def sizes_of(layer):
    """How many images there are in each top of a data layer; [None] if that is not known, or not to be changed."""
    if layer.type == "Input":
        return [shape.dim[0] if shape.dim else None for shape in layer.input_param.shape]
    return [batch_size(layer)]
