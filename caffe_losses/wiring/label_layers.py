"""Adds layers that read label vectors, in step with the layers that read the images."""

import json

from ..net.conditions import leaving_order
from ..net.kinds import image_options, kind, title
from ..net.make import copy_rules, layer
from ..net.sources import BATCH_PARAMS, batch_param, batch_size
from ..net.view import is_in
from .partners import chosen, drop_dead, for_phase, makers, phases_read, release, tops_of

SINGLE = "Data", "ImageData", "MemoryData", "WindowData"  # their second top has one number an image


def set_batches(wiring, batches):
    """Have each data layer of a kind that says it read so many images at a time."""
    data = [maker for maker in wiring.layers if not maker.bottom and batch_size(maker) is not None]
    for maker in data:
        if not phases_read(wiring, maker, data):
            continue
        batch = for_phase(wiring, maker, data, batches, "a --batch")
        if batch_size(maker) == batch:
            continue
        wiring.tell(maker, f"batch size {batch_size(maker)} -> {batch}")
        options = image_options(maker)
        if options is None:
            batch_param(maker).batch_size = batch
        else:
            maker.python_param.param_str = json.dumps(dict(options, batch_size=batch))
    wiring.batches = batches


def add_label_layers(wiring, losses, labels, sources):
    """Have `labels` read from `sources` beside the data layers that the losses' scores are made of."""
    old, image_tops = tops_of(wiring, losses, 1), tops_of(wiring, losses, 0)
    drop_dead(wiring, losses)
    others = {blob for blob in {*old, labels} if wiring.is_taken(blob, besides=losses)}
    clash = [maker for maker in wiring.layers if labels in maker.top]
    if clash and (labels not in old or labels in others):
        raise ValueError(f"layer {title(clash[0])} makes {labels} already; give --labels another name, or no source")
    images, label_makers = makers(wiring, image_tops), makers(wiring, old)
    left = list(label_makers)
    partners = chosen(wiring, images, label_makers)
    for partner in images:
        keep_in_step(wiring, partner)
    for partner in partners:
        source = for_phase(wiring, partner, partners, sources, "a source")
        added = label_layer(wiring, partner, labels, source)
        if is_in(partner, left):
            left = [maker for maker in left if maker is not partner]
            release(wiring, partner, [blob for blob in old if blob not in others], losses, labels)
        wiring.put_after(partner, [added])
    for maker in left:
        keep_in_step(wiring, maker)
        release(wiring, maker, [blob for blob in old if blob not in others], losses, labels)


def label_layer(wiring, partner, labels, source):
    batch = batch_of(wiring, partner)
    hdf5 = source.endswith(".txt")
    added = layer(name=labels, type="HDF5Data" if hdf5 else "Data", top=[labels])
    copy_rules(partner, added)
    param = batch_param(added)
    param.source, param.batch_size = source, batch
    if not hdf5:
        param.backend = param.LMDB
    wiring.tell(
        added, f"added ({added.type}), {param.batch_size} at a time from {source}, in the order of {partner.name}"
    )
    return added


def batch_of(wiring, partner):
    """Images at a time of a data layer, as it says or as the user does. ValueError if neither does."""
    batch = batch_size(partner) if partner.type in BATCH_PARAMS else None
    if image_options(partner) is not None:
        raise ValueError(f"layer {title(partner)} ({kind(partner)}) reads a list in its own order; give --image-list")
    if not batch and wiring.batches:
        batch = for_phase(wiring, partner, [], wiring.batches, "a --batch")
        wiring.tell(partner, f"see that this {kind(partner)} gives {batch} images at a time, and does not shuffle them")
    if not batch:
        raise ValueError(
            f"layer {title(partner)} ({kind(partner)}) has no batch size to follow; give --batch, or add labels by hand"
        )
    return batch


def keep_in_step(wiring, partner):
    """Images that are shuffled or skipped would get the labels of others."""
    for field in leaving_order(partner) if partner.type in BATCH_PARAMS else ():
        batch_param(partner).ClearField(field)
        wiring.tell(partner, f"{field} off, for labels to stay with their images; shuffle both sources instead")


def take_labels(wiring, loss, labels):
    """Have a loss take these labels."""
    if loss.bottom[1] != labels:
        wiring.tell(loss, f"labels {loss.bottom[1]} -> {labels}")
        loss.bottom[1] = labels
    for phase in wiring.phases_of(loss):
        view = wiring.view(phase)
        before = view.layers[: view.index(loss)]
        if not any(labels in other.top for other in before):
            raise ValueError(
                f"layer {title(loss)}: no layer before it makes {labels}; name a top of the net with --labels, "
                "or say where the labels are with --label-source"
            )
        warn_of_single(wiring, *view.origin(loss, labels))


def warn_of_single(wiring, maker, labels):
    """Tell of a data layer that cannot give several labels."""
    single = maker.type in SINGLE and labels != maker.top[0]
    if single and wiring.options.get("label_format") != "INDEX":
        wiring.tell(
            maker,
            f"{labels} has one number an image ({maker.type}), and the loss wants one a class: "
            "say where they are with --label-source, or give --param label_format=INDEX",
        )
