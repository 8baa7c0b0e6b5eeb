"""What a deploy net promises, so that other programs than Caffe can run it. docs/deployment.md has the whole list."""

import sys

from ..net import trial
from ..net.kinds import kind, title

PASSING = "Dropout", "Split"  # in the phase TEST, they only hand on their bottom


def without_passing(layers, lines):
    """Take out the layers that only hand on what they take.

    Args:
        layers: LayerParameters in their order; their bottoms and tops are renamed where that is needed.
        lines: gets a line that names those taken out.

    Returns:
        (layers, names): those that stay; and what the net's blobs are called now, where that is another name.
    """
    names, kept, gone = {}, [], []
    in_place = {blob for layer in layers if layer.type not in PASSING for blob in layer.top if blob in layer.bottom}
    for layer in layers:
        layer.bottom[:] = [names.get(blob, blob) for blob in layer.bottom]
        # the tops of a Split have one memory, so that a layer in place changes all of them
        if layer.type in PASSING and not (layer.type == "Split" and in_place.intersection(layer.top)):
            names.update((top, layer.bottom[0]) for top in layer.top)
            gone.append(title(layer))
        else:
            kept.append(layer)
            for top in layer.top:  # no other name is of what it overwrites: Caffe lets only one layer take that
                names.pop(top, None)
    lines += [f"taken out, as they do nothing in TEST: {', '.join(gone)}"] if gone else []
    return kept, names


def check_statistics(layers):
    """ValueError for a BatchNorm that takes the statistics of each batch in TEST: its output depends on the batch."""
    for layer in layers:
        param = layer.batch_norm_param
        if layer.type == "BatchNorm" and param.HasField("use_global_stats") and not param.use_global_stats:
            raise ValueError(
                f"layer {title(layer)} (BatchNorm) says use_global_stats: false, so that its output depends on the "
                "other images of the batch; take that out of the net, and train again"
            )


def say_global_stats(layers, lines):
    """Have each BatchNorm say that it takes the learned statistics, as it does in TEST if it says nothing."""
    params = [layer.batch_norm_param for layer in layers if layer.type == "BatchNorm"]
    silent = [param for param in params if not param.HasField("use_global_stats")]
    for param in silent:
        param.use_global_stats = True
    lines += [f"use_global_stats: true added to {len(silent)} BatchNorm layers"] if silent else []


def count_axes_from_the_front(net):
    """Write axes that are counted from the last one, such as -1, as numbers from 0 on. Caffe tells the shapes."""
    negative = [
        (layer, field, part, name)
        for layer in net.layer
        for field, part in layer.ListFields()
        if hasattr(part, "ListFields")
        for name in ("axis", "end_axis")
        if getattr(part, name, 0) < 0 and part.HasField(name)
    ]
    shapes = trial.shapes(net, "TEST", sys.path) if negative else {}
    for layer, field, part, name in negative:
        # a Reshape's axis is a place between axes, of which there is one more
        axes = len(shapes[layer.bottom[0]]) + (field.name == "reshape_param")
        setattr(part, name, getattr(part, name) + axes)


def check_contract(net):
    """ValueError for a layer that only this Caffe can run, or one that no program but Caffe makes the same of."""
    import caffe

    own = set(caffe.layer_type_list())
    for layer in net.layer:
        if layer.type == "Python" or layer.type not in own:
            raise ValueError(
                f"layer {title(layer)} ({kind(layer)}) is none of Caffe's own, and other programs cannot run it; "
                "replace it by layers that Caffe has"
            )
        if layer.type == "Split":
            raise ValueError(
                f"layer {title(layer)} (Split): a layer works in place on one of {', '.join(layer.top)}, and so "
                "changes all of them; give that layer a top of another name"
            )
