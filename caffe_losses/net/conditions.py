"""What has to hold in each phase of a net, whoever wrote it: weights go by name, and labels belong to their images."""

from .contents import check_files, check_in_step, missing_files
from .heads import head_of
from .kinds import image_options, is_known_loss, kind, title
from .sources import BATCH_PARAMS, batch_param


def check_labels(view):
    """ValueError for a loss whose labels are read beside its images, and are those of other images.

    Data layers read on by themselves: they have to have as many records, in one order. What is not there is not looked
    at.
    """
    for layer in view.layers:
        if not is_known_loss(layer) or len(layer.bottom) < 2:
            continue
        head = head_of(view, layer)
        images, labels = (readers(view, layer, blob) for blob in (head.scores, head.labels))
        for reader in labels:
            if images and not any(reader is other for other in images):
                check_beside(images[0], reader)


def readers(view, layer, blob):
    """The layers with files that a bottom is made of."""
    makers = dict.fromkeys(id(top.layer) for top in view.made_of(layer, blob))
    return [maker for maker in view.layers if id(maker) in makers and is_reader(maker)]


def is_reader(layer):
    return layer.type in BATCH_PARAMS or image_options(layer) is not None


def check_beside(images, labels):
    """ValueError if the layer `labels` does not read the labels of what the layer `images` reads."""
    for layer in (images, labels):
        for field in leaving_order(layer):
            raise ValueError(
                f"layer {title(layer)} ({kind(layer)}) has {field}, and layer {title(labels)} reads the labels of "
                f"layer {title(images)}: labels get to other images; take {field} out, and shuffle both sources instead"
            )
    if not missing_files(images) + missing_files(labels):
        for layer in (images, labels):
            check_files(layer)
        check_in_step(images, labels)


def leaving_order(layer):
    """The options that a data layer says and by which it leaves the order of its file."""
    if layer.type not in BATCH_PARAMS:
        return ["shuffle"] if image_options(layer).get("shuffle") else []
    return [field for field in ("shuffle", "rand_skip") if getattr(batch_param(layer), field, False)]
