"""The shapes that labels must have, from the shapes of the scores: through Slice, Concat and the like."""

from ..net.heads import CLASS_AXIS, head_of, takes_indices
from ..net.kinds import is_known_loss, is_ours, our_loss
from ..options import parse

SAME = ("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Eltwise", "Exp", "Log", "Power", "ReLU", "Sigmoid", "Split",
        "Swish", "TanH", "Threshold")  # fmt: skip


def label_shapes(view, tops, blobs):
    """{top: shape} of what the losses and metrics want.

    Args:
        view: the View of the net.
        tops: data layers' tops whose shapes are wanted.
        blobs: {blob: shape} of those that are known.
    """
    wanted = {}
    for layer in reversed(view.layers):
        for blob, shape in wants(view, layer, blobs, wanted).items():
            if blob not in blobs:
                wanted.setdefault(blob, shape)
    return {top: wanted[top] for top in tops if top in wanted}


def wants(view, layer, blobs, wanted):
    ours = is_ours(layer, "MultiLabelMetrics")
    if len(layer.bottom) > 1 and (is_known_loss(layer) or layer.type == "Accuracy" or ours):
        return wants_of_loss(view, layer, blobs)
    tops = [wanted.get(top) for top in layer.top]
    if not any(tops):
        return {}
    shape = next(filter(None, tops))
    if layer.type in SAME:
        return dict.fromkeys(layer.bottom, shape)
    if layer.type in ("Flatten", "Reshape"):
        return {layer.bottom[0]: [shape[0], product(shape[1:])]}
    if layer.type == "Slice":
        return {layer.bottom[0]: before_slice(layer, tops, shape)}
    if layer.type == "Concat":
        return before_concat(layer, blobs, shape)
    return {}


def wants_of_loss(view, layer, blobs):
    head = head_of(view, layer) if is_known_loss(layer) else None
    scores, labels = (head.scores, head.labels) if head else layer.bottom[:2]
    if scores not in blobs:
        return {}
    shape = blobs[scores]
    axis = (head.axis if head else CLASS_AXIS) % max(1, len(shape))
    rows, before, after = shape[:axis] + shape[axis + 1 :], shape[:axis], shape[axis + 1 :]
    if is_ours(layer, "MultiLabelMetrics"):
        index = parse("MultiLabelMetrics", layer.python_param.param_str).get("label_format") == "INDEX"
    else:
        index = head is not None and takes_indices(layer)
    if (head and index and our_loss(layer) is None) or layer.type == "Accuracy":
        wanted = rows
    else:
        wanted = [*before, 1, *after] if index else shape
    return {labels: wanted, **dict.fromkeys(layer.bottom[2:], rows)}


def before_slice(layer, tops, shape):
    """The shape that is sliced, whose part beyond what is known is as long as the slice points need."""
    param = layer.slice_param
    axis = (param.slice_dim if param.HasField("slice_dim") else param.axis) % len(shape)
    points = list(param.slice_point)
    if not points:
        return [*shape[:axis], shape[axis] * len(tops), *shape[axis + 1 :]]
    last = tops[-1][axis] if tops[-1] else 1
    return [*shape[:axis], points[-1] + last, *shape[axis + 1 :]]


def before_concat(layer, blobs, shape):
    """The shapes of the bottoms: of one that is not known, what the others leave; of several, equal parts."""
    param = layer.concat_param
    axis = (param.concat_dim if param.HasField("concat_dim") else param.axis) % len(shape)
    unknown = [blob for blob in layer.bottom if blob not in blobs]
    left = shape[axis] - sum(blobs[blob][axis] for blob in layer.bottom if blob in blobs)
    part = left // max(1, len(unknown))
    if part < 1:
        return {}
    return {blob: [*shape[:axis], part, *shape[axis + 1 :]] for blob in unknown}


def product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result
