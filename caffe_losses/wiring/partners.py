"""The data layers that the losses' scores and labels are made of, and what is no longer needed of them."""

from collections import Counter

from ..net.kinds import kind, title
from ..net.make import copy_rules, layer
from ..net.sources import BATCH_PARAMS
from ..net.view import PHASES, is_in, may_be_in, rules_of


def tops_of(wiring, losses, bottom):
    """The names of the data layers' tops that a bottom of the losses, by its number, is made of, in any phase."""
    tops = {}
    for phase in wiring.phases:
        view = wiring.view(phase)
        for loss in losses:
            if view.has(loss):
                tops.update((top.top, None) for top in view.made_of(loss, loss.bottom[bottom]))
    return list(tops)


def makers(wiring, tops):
    """The layers without bottoms that make one of these tops, also those that stages leave out."""
    alike = [maker for maker in wiring.layers if not maker.bottom and set(maker.top) & set(tops)]
    for maker in alike:
        if not phases_read(wiring, maker, alike):
            wiring.tell(maker, "left as it is: its rules leave it out, and do not say of TRAIN or TEST")
    return [maker for maker in alike if phases_read(wiring, maker, alike)]


def groups(wiring, layers):
    """These layers in lists, one for each phase that has some, and for each rule of those that no phase has."""
    by_rule = {}
    for phase in wiring.phases:
        view = wiring.view(phase)
        by_rule[phase] = [maker for maker in layers if view.has(maker)]
    for maker in layers:
        if not any(is_in(maker, group) for group in by_rule.values()):
            by_rule.setdefault(rules_of(maker), []).append(maker)
    return [group for group in by_rule.values() if group]


def chosen(wiring, images, label_makers):
    """Of the layers that make images, one for each phase: that which makes labels too, or else the first."""
    partners = []
    for group in groups(wiring, images):
        both = [maker for maker in group if is_in(maker, label_makers)]
        reading = [maker for maker in group if maker.type in BATCH_PARAMS]
        partner = (both or reading or group)[0]
        partners += [] if is_in(partner, partners) else [partner]
    return partners


def phases_read(wiring, partner, siblings):
    """The phases that a data layer reads for; of one that stages leave out, that which it may be in.

    siblings  the layers that read the like: where a layer may be in both phases, one that has some needs no other
    """
    phases = [phase for phase in PHASES if wiring.view(phase).has(partner)]
    if phases:
        return phases
    possible = [phase for phase in PHASES if may_be_in(partner, phase)]
    if len(possible) > 1:
        return [phase for phase in possible if not any(wiring.view(phase).has(other) for other in siblings)]
    return possible


def for_phase(wiring, partner, siblings, values, what):
    """Of one or two values, for TRAIN and for TEST, that of a data layer."""
    phases = phases_read(wiring, partner, siblings)
    if len(values) != len(PHASES) and phases != ["TRAIN"]:
        raise ValueError(f"layer {title(partner)} reads for the TEST phase; give {what} for TRAIN and one for TEST")
    if len(phases) > 1 and len(set(values)) > 1:
        raise ValueError(f"layer {title(partner)} reads for both phases; give the same {what.split()[-1]} twice")
    return values[PHASES.index(phases[0]) if phases else 0]


def drop_dead(wiring, losses):
    """Remove the layers between the data and the losses' old labels that nothing else takes."""
    between = set()
    for phase in wiring.phases:
        view = wiring.view(phase)
        makers_of = [view.maker(loss, loss.bottom[1]) for loss in losses if view.has(loss)]
        between.update(id(maker) for maker in view.needed(makers_of) if maker.bottom)
    others = [other for other in wiring.layers if other.type != "Silence" and not is_in(other, losses)]
    taken = Counter(blob for other in others for blob in other.bottom)
    dead = []
    for maker in reversed(wiring.layers):
        if id(maker) in between and not any(taken[top] for top in maker.top):
            dead.append(maker)
            taken.subtract(maker.bottom)
    wiring.remove_all(dead, "nothing else takes the old labels")
    silence_no_more(wiring, dead)


def is_needed(wiring, maker, losses):
    """Whether something takes what a layer makes, besides these losses and what silences it."""
    return any(wiring.is_taken(top, besides=[*losses, *wiring.silences()]) for top in maker.top)


def silence_no_more(wiring, gone):
    """Take the tops of layers that have gone from what silences them."""
    made = {top for other in wiring.layers for top in other.top}
    hanging = {top for maker in gone for top in maker.top} - made
    for silence in wiring.silences():
        left = [blob for blob in silence.bottom if blob not in hanging]
        if len(left) < len(silence.bottom):
            lost = ", ".join(blob for blob in silence.bottom if blob in hanging)
            silence.bottom[:] = left
            if not left:
                wiring.remove(silence, f"nothing makes {lost} now")


def release(wiring, maker, blobs, losses, labels):
    """Take old labels from the layer that makes them, or remove it if nothing takes its tops."""
    if not is_needed(wiring, maker, losses):
        wiring.remove(maker, f"nothing else takes what this {kind(maker)} reads")
        silence_no_more(wiring, [maker])
        return
    for blob in blobs:
        if blob in maker.top:
            drop_top(wiring, maker, blob, labels)


def drop_top(wiring, maker, blob, labels):
    """Take a top from a data layer; where it cannot be taken, hide it."""
    place = list(maker.top).index(blob)
    if maker.type == "HDF5Data" or (maker.type == "Data" and place):
        maker.top.remove(blob)
        wiring.tell(maker, f"top {blob} removed")
        return
    maker.top[place] = hidden = f"{blob}_single" if blob == labels else blob
    silence = layer(name=f"{hidden}_silence", type="Silence", bottom=[hidden])
    copy_rules(maker, silence)
    wiring.put_after(maker, [silence])
    wiring.tell(maker, f"top {hidden} silenced")
