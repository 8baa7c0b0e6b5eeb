"""Adds layers that read label vectors, in step with the layers that read the images."""

from ..net.make import copy_rules, layer
from ..net.sources import BATCH_PARAMS, batch_param, batch_size
from ..net.view import PHASES


def add_label_layers(wiring, losses, labels, sources):
    """Have `labels` read from `sources` beside each data layer that made the losses' labels."""
    old = {loss.bottom[1] for loss in losses}
    others = {blob for blob in old | {labels} if wiring.is_taken(blob, besides=losses)}
    makers = [maker for maker in wiring.layers if labels in maker.top]
    if makers and (labels not in old or labels in others):
        raise ValueError(f"layer {makers[0].name} makes {labels} already; give --labels another name, or no source")
    for partner in label_makers(wiring, losses):
        keep_in_step(wiring, partner)
        added = [label_layer(wiring, partner, labels, source_for(wiring, partner, sources))]
        for blob in old - others:
            if blob in partner.top:
                added += drop_top(wiring, partner, blob, labels)
        place = next(i for i, other in enumerate(wiring.layers) if other is partner) + 1
        wiring.layers[place:place] = added


def label_makers(wiring, losses):
    """The data layers that make the losses' labels."""
    old = {loss.bottom[1] for loss in losses}
    makers = [maker for maker in wiring.layers if not maker.bottom and old & set(maker.top)]
    if not makers:
        raise ValueError(f"no data layer makes {', '.join(sorted(old))}; add a layer for the labels by hand")
    return makers


def source_for(wiring, partner, sources):
    phases = [k for k, phase in enumerate(PHASES) if wiring.view(phase).has(partner)]
    if len(sources) != len(PHASES) and phases != [0]:
        raise ValueError(f"layer {partner.name} reads for the TEST phase; give a source for TRAIN and one for TEST")
    if len(phases) > 1 and len(set(sources)) > 1:
        raise ValueError(f"layer {partner.name} reads for both phases; give the same source twice")
    return sources[phases[0] if phases else 0]


def label_layer(wiring, partner, labels, source):
    if partner.type not in BATCH_PARAMS:
        raise ValueError(f"layer {partner.name} ({partner.type}) has no batch size to follow; add the labels by hand")
    hdf5 = source.endswith(".txt")
    added = layer(name=labels, type="HDF5Data" if hdf5 else "Data", top=[labels])
    copy_rules(partner, added)
    param = batch_param(added)
    param.source, param.batch_size = source, batch_size(partner)
    if not hdf5:
        param.backend = param.LMDB
    wiring.tell(
        added, f"added ({added.type}), {param.batch_size} at a time from {source}, in the order of {partner.name}"
    )
    return added


def keep_in_step(wiring, partner):
    """Images that are shuffled or skipped would get the labels of others."""
    if partner.type not in BATCH_PARAMS:
        return
    param = batch_param(partner)
    for field in ("shuffle", "rand_skip"):
        if field in param.DESCRIPTOR.fields_by_name and getattr(param, field):
            param.ClearField(field)
            wiring.tell(partner, f"{field} off, for labels to stay with their images; shuffle both sources instead")


def drop_top(wiring, partner, blob, labels):
    """Take the old labels from a data layer; a layer that hides them, where they cannot be taken."""
    if partner.type != "ImageData":
        partner.top.remove(blob)
        wiring.tell(partner, f"top {blob} removed")
        return []
    place = list(partner.top).index(blob)
    partner.top[place] = hidden = f"{blob}_single" if blob == labels else blob
    silence = layer(name=f"{hidden}_silence", type="Silence", bottom=[hidden])
    copy_rules(partner, silence)
    wiring.tell(partner, f"top {hidden} silenced")
    return [silence]
