"""Tries whether a net trains: real Caffe loads it and runs it once, in a process of its own."""

from ..net import trial
from ..net.conditions import check_labels
from ..net.contents import missing_files
from ..net.kinds import LEARNED, is_loss, weight
from ..net.view import NO_STAGES, views, without_rules
from .stand_in import label_limits, sizes_of, smaller, stand_in


def check(net, shapes=None, stages=NO_STAGES):
    """Load the net in each phase that it was made for, and run it forward, and in TRAIN backward.

    Input layers take the place of data layers whose sources do not exist. Other data layers read their sources. The
    net runs on two images, if its layers allow that.

    Args:
        net: NetParameter.
        shapes: {top: shape} of data whose layer does not tell it; the key None is for any top.
        stages: the stages that the solver adds in TRAIN, and those in TEST.

    Returns:
        A line for each phase.

    Raises:
        ValueError: with the reason, if the net does not load, or would fail in the first iteration.
    """
    lines, phases = [], views(net.layer, net.state, stages)
    check_names(shapes or {}, phases.values())
    for phase, view in phases.items():
        check_labels(view)
        whole, absent = of_phase(net, view, shapes or {})
        learns = try_out(whole, phase)
        how = f" with Input layers for data, as {absent[0]} does not exist" if absent else ""
        lines.append(f"check: {phase} loads{how}, and runs forward{' and backward' if phase == 'TRAIN' else ''}")
        if phase == "TRAIN" and not learns and is_to_learn(view):
            lines.append("check: TRAIN learns nothing: no gradient reaches any weights; see loss_weight and lr_mult")
    return lines


def of_phase(net, view, shapes):
    """(the net of one phase, files that data layers name and that are not there: Input layers take their place)."""
    absent = [path for layer in view.layers for path in missing_files(layer)]
    whole = type(net)()
    whole.CopyFrom(net)
    whole.ClearField("state")
    del whole.layer[:]
    whole.layer.extend(map(without_rules, stand_in(net, view, shapes) if absent else view.layers))
    return whole, absent


def cost(net):
    """{"parameters": how many numbers a net learns, "seconds": what a forward and backward take for each image}.

    Failure if it does not load or run. ValueError if data that are not there do not tell their shape.
    """
    whole, _ = of_phase(net, views(net.layer, net.state)["TRAIN"], {})
    small = smaller(whole) or whole
    images = next(size for layer in small.layer if not layer.bottom for size in sizes_of(layer))
    found = trial.measure(small, label_limits(small, "TRAIN"))
    return dict(found, seconds=found["seconds"] / images)


def check_names(shapes, phases):
    """ValueError for a shape of what no data layer makes."""
    tops = dict.fromkeys(top for view in phases for layer in view.layers if not layer.bottom for top in layer.top)
    for name in shapes:
        if name is not None and name not in tops:
            raise ValueError(f"--shape: expected a top of a data layer, {', '.join(tops)}, got {name}")


def is_to_learn(view):
    losses = [layer for layer in view.layers if is_loss(layer) and weight(layer)]
    return bool(losses) and any(layer.type in LEARNED for layer in view.layers)


def try_out(net, phase):
    """Load all of a net, and run a small one of it. Whether a gradient reaches weights."""
    small, limits = smaller(net), label_limits(net, phase)
    if small is not None:
        try:
            return trial.run([net, small], phase, limits)
        except trial.Failure as failure:
            if failure.loaded != 1:
                raise
    return trial.run([net], phase, limits)  # some layers hold for one size of batch only
