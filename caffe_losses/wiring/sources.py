"""Adds layers that read label vectors, in step with the layers that read the images."""

from .net import PHASES

SIZES = {"Data": "data_param", "HDF5Data": "hdf5_data_param", "ImageData": "image_data_param"}


def add_sources(wiring, heads, labels, sources):
    """Have `labels` read from `sources` beside each data layer that made the heads' labels."""
    old = {head.bottom[1] for head in heads}
    others = {blob for layer in wiring.layers if not any(layer is head for head in heads) for blob in layer.bottom}
    makers = [layer for layer in wiring.layers if labels in layer.top]
    if makers and (labels not in old or labels in others):
        raise ValueError(f"layer {makers[0].name} makes {labels} already; give --labels another name, or no source")
    for partner in label_makers(wiring, heads):
        keep_in_step(wiring, partner)
        added = [label_layer(wiring, partner, labels, source_for(wiring, partner, sources))]
        for blob in old - others:
            if blob in partner.top:
                added += drop_top(wiring, partner, blob, labels)
        place = next(i for i, layer in enumerate(wiring.layers) if layer is partner) + 1
        wiring.layers[place:place] = added


def label_makers(wiring, heads):
    """The data layers that make the heads' labels."""
    old = {head.bottom[1] for head in heads}
    makers = [layer for layer in wiring.layers if not layer.bottom and old & set(layer.top)]
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
    if partner.type not in SIZES:
        raise ValueError(f"layer {partner.name} ({partner.type}) has no batch size to follow; add the labels by hand")
    hdf5 = source.endswith(".txt")
    layer = type(partner)(name=labels, type="HDF5Data" if hdf5 else "Data", top=[labels])
    layer.include.extend(partner.include)
    layer.exclude.extend(partner.exclude)
    read = layer.hdf5_data_param if hdf5 else layer.data_param
    read.source, read.batch_size = source, getattr(partner, SIZES[partner.type]).batch_size
    if not hdf5:
        read.backend = read.LMDB
    wiring.tell(
        layer, f"added ({layer.type}), {read.batch_size} at a time from {source}, in the order of {partner.name}"
    )
    return layer


def keep_in_step(wiring, partner):
    """Images that are shuffled or skipped would get the labels of others."""
    read = getattr(partner, SIZES.get(partner.type, "data_param"))
    for field in ("shuffle", "rand_skip"):
        if field in read.DESCRIPTOR.fields_by_name and getattr(read, field):
            read.ClearField(field)
            wiring.tell(partner, f"{field} off, for labels to stay with their images; shuffle both sources instead")


def drop_top(wiring, partner, blob, labels):
    """Take the old labels from a data layer; a layer that hides them, where they cannot be taken."""
    if partner.type != "ImageData":
        partner.top.remove(blob)
        wiring.tell(partner, f"top {blob} removed")
        return []
    place = list(partner.top).index(blob)
    partner.top[place] = hidden = f"{blob}_single" if blob == labels else blob
    silence = type(partner)(name=f"{hidden}_silence", type="Silence", bottom=[hidden])
    silence.include.extend(partner.include)
    silence.exclude.extend(partner.exclude)
    wiring.tell(partner, f"top {hidden} silenced")
    return [silence]
