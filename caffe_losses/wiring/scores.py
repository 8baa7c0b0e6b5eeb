"""What scores a new loss takes: before or after the Softmax or Sigmoid, and without what would bound them."""

from .. import losses
from ..net.bounds import ACTIVATIONS, bounding, bounds
from ..net.kinds import LEARNED, is_loss, kind, title
from ..net.view import is_in
from .wiring import reaches

PROBABILITIES = {getattr(losses, name).activation for name in losses.__all__} - {None}


def take_scores(wiring, phase, loss):
    """Have a loss of scores read them before, and one of probabilities after, the Softmax or Sigmoid."""
    view, blob, new = wiring.view(phase), loss.bottom[0], wiring.loss
    maker = view.maker(loss, blob)
    if not new.has_probabilities:
        activation = getattr(losses, new.of_scores).activation
        if maker.type != activation:
            raise ValueError(
                f"layer {title(loss)}: {new.name()} takes probabilities from a {activation} layer, and {blob} "
                f"comes from {title(maker)} ({kind(maker)}); use {new.of_scores}, which takes scores"
            )
    elif maker.type in PROBABILITIES:
        bypass(wiring, view, loss, maker)


def bypass(wiring, view, loss, maker):
    scores, probabilities = maker.bottom[0], maker.top[0]
    others = [title(taker) for taker in view.takers(maker, probabilities) if taker is not loss]
    if scores != probabilities:
        loss.bottom[0] = scores
        wiring.tell(loss, f"takes {scores}, before the {maker.type} {title(maker)}")
        if not wiring.is_taken(probabilities):
            wiring.remove(maker, f"nothing else takes this {maker.type}")
    elif not others:
        wiring.remove(maker, f"{wiring.loss.name()} takes scores, before the {maker.type}")
    else:
        raise ValueError(
            f"layer {title(maker)} makes probabilities in place, for {title(loss)} and for {', '.join(others)}; "
            "give it a top of its own"
        )


def unbound(wiring, phase, loss, old):
    """Take out what keeps the scores of a loss from probabilities near 0 or near 1; refuse what cannot be taken out.

    old  all losses that are replaced
    """
    while True:
        view, layer, activation = wiring.view(phase), loss, wiring.loss.activation
        if not wiring.loss.has_probabilities:
            layer = view.maker(loss, loss.bottom[0])
            activation = layer.type
        hindrance = bounding(view, layer, layer.bottom[0], activation)
        if hindrance is None:
            return
        limits = bounds(view, layer, layer.bottom[0])
        text = f"{kind(hindrance)} lets no score be {limits}, so that {wiring.loss.name()} could not learn"
        others = in_the_way(view, hindrance, old)
        if others or hindrance.type not in ACTIVATIONS:
            reason = f", and {title(others[0])} needs it" if others else ""
            raise ValueError(
                f"layer {title(loss)}: its scores come through {title(hindrance)}, and {text}{reason}; "
                "have the loss take scores from before it, by hand"
            )
        take_out(wiring, hindrance)
        wiring.tell(hindrance, f"removed: {text}")


def in_the_way(view, layer, old):
    """What would not be the same without a layer: layers that learn from it, and losses that stay."""
    return [taker for taker in reaches(view, layer)
            if not is_in(taker, old) and (taker.type in LEARNED or is_loss(taker))]  # fmt: skip


def take_out(wiring, layer):
    """Remove a layer of one bottom and one top, and have those that take its top take its bottom."""
    (bottom,), (top,) = layer.bottom, layer.top
    takers = [taker for phase in wiring.phases_of(layer) for taker in wiring.view(phase).takers(layer, top)]
    for taker in takers if top != bottom else ():
        taker.bottom[:] = [bottom if blob == top else blob for blob in taker.bottom]
    wiring.layers = [other for other in wiring.layers if other is not layer]
