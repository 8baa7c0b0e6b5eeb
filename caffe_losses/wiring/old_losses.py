"""Which losses of a net are replaced."""

from ..net.heads import check_names, head_of
from ..net.kinds import LEARNED, is_known_loss, is_loss, kind, title
from ..net.view import is_in


def old_losses(wiring, names):
    """The loss layers to replace, their bottoms in the order scores, labels."""
    views = {phase: wiring.view(phase) for phase in wiring.phases}
    known = []
    for layer in filter(is_loss, wiring.layers):
        if any(view.has(layer) for view in views.values()):
            known.append(layer)
        else:
            wiring.tell(layer, f"left as it is: its rules leave it out of {' and of '.join(wiring.phases)}")
    check_names(names, known)
    old = [layer for layer in known if is_to_replace(wiring, views, layer, names)]
    if not old:
        raise ValueError("the net has no loss that compares scores with labels; give a train_val, not a deploy net")
    if not names:
        for view in views.values():
            check_same_labels(view, [layer for layer in old if is_in(layer, view.layers)])
    return old


def is_to_replace(wiring, views, layer, names):
    if names and title(layer) not in names:
        wiring.tell(layer, f"left as it is ({kind(layer)})")
        return False
    if not names and not is_known_loss(layer):
        raise ValueError(
            f"layer {title(layer)} ({kind(layer)}) is a loss that is not known here; name those to replace with --head"
        )
    if len(layer.bottom) < 2:
        raise ValueError(f"layer {title(layer)} ({kind(layer)}): expected two bottoms, got {len(layer.bottom)}")
    mine = [view for view in views.values() if view.has(layer)]
    if not is_known_loss(layer) and len([blob for blob in layer.bottom if mine[0].ancestry(layer, blob)[1]]) > 1:
        raise ValueError(
            f"layer {title(layer)} ({kind(layer)}) compares learned blobs, not scores with labels; replace it by hand"
        )
    in_order(layer, head_of(mine[0], layer).scores)
    scores, labels = layer.bottom[:2]
    if all(view.are_labels(layer, labels, scores) for view in mine):
        return True
    if names:
        raise ValueError(f"layer {title(layer)}: expected labels, got {labels}, made of what {scores} are made of")
    wiring.tell(layer, f"left as it is: {kind(layer)} of {scores} and {labels}, which are not labels")
    return False


def in_order(layer, scores):
    """Have the scores first, and with each bottom what is said of its gradient."""
    if layer.bottom[0] != scores:
        layer.bottom[0], layer.bottom[1] = layer.bottom[1], layer.bottom[0]
        if len(layer.propagate_down) > 1:
            layer.propagate_down[0], layer.propagate_down[1] = layer.propagate_down[1], layer.propagate_down[0]


def check_same_labels(view, layers):
    """One kind of labels cannot take the place of several."""
    origins = {(id(top.layer), top.top) for top in (view.origin(layer, layer.bottom[1]) for layer in layers)}
    if len(origins) > 1:
        reads = ", ".join(f"{title(layer)} reads {layer.bottom[1]}" for layer in layers)
        raise ValueError(f"the losses have different labels: {reads}; name those to replace with --head")


def last_learned(wiring, layer):
    """The learned layers (their identities) below the scores of a layer, without another one between, in any phase."""
    last, seen = set(), set()
    for view in map(wiring.view, wiring.phases_of(layer)):
        left = [view.maker(layer, layer.bottom[0])]
        while left:
            maker = left.pop()
            if maker.type in LEARNED:
                last.add(id(maker))
            elif id(maker) not in seen:
                seen.add(id(maker))
                left += [view.maker(maker, blob) for blob in maker.bottom]
    return last


def drop_accuracies(wiring, loss):
    """Remove each Accuracy of the loss's scores, also one of another Caffe; tell what else has the labels."""
    for layer in [layer for layer in wiring.layers if "Accuracy" in layer.type]:
        if last_learned(wiring, layer) & last_learned(wiring, loss):
            reason = "takes one label an image" if layer.type == "Accuracy" else "is of another Caffe"
            if any(wiring.is_taken(top) for top in layer.top):
                raise ValueError(f"layer {title(layer)} ({layer.type}) {reason}, but its top is in use")
            wiring.remove(layer, f"{layer.type} {reason}")
    for layer in wiring.layers:
        if loss.bottom[1] in layer.bottom and not is_loss(layer) and layer.type != "Silence":
            wiring.tell(layer, f"takes {loss.bottom[1]} too ({kind(layer)}); see that it fits")
