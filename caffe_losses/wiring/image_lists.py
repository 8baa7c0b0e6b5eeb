"""Has a net read image files and labels from a list, instead of what it reads now."""

from ..net.kinds import kind
from ..net.make import copy_rules, our_layer
from ..net.sources import batch_size, image_options, transform_options
from ..net.view import is_in
from .partners import drop_dead, for_phase, groups, makers, release, silence_no_more, tops_of

CONSTANT = "DummyData", "Input", "Parameter"  # data layers that read no images


def add_image_lists(wiring, losses, labels, image_lists):
    """Put MultiLabelImageData in the place of each data layer that makes the losses' scores."""
    old, image_tops = tops_of(wiring, losses, 1), tops_of(wiring, losses, 0)
    images = makers(wiring, image_tops)
    partners = [maker for maker in images if maker.type not in CONSTANT or is_only(wiring, maker, images)]
    check_alone(wiring, partners, image_tops)
    drop_dead(wiring, losses)
    for maker in makers(wiring, old):
        if not is_in(maker, partners):
            release(wiring, maker, old, losses, labels)
    for partner in partners:
        (data,) = [top for top in partner.top if top in image_tops]
        others = [top for top in partner.top if top != data]
        taken = [blob for blob in others if blob != labels and is_used(wiring, blob, losses)]
        if taken:
            raise ValueError(f"layer {partner.name}: {taken[0]} is in use besides the loss; give --labels {taken[0]}")
    for partner in partners:
        replace(wiring, partner, partners, image_tops, labels, image_lists)
    check_one_source(wiring, losses, partners)


def is_only(wiring, maker, images):
    return all(len(group) == 1 for group in groups(wiring, images) if is_in(maker, group))


def is_used(wiring, blob, losses):
    return wiring.is_taken(blob, besides=[*losses, *wiring.silences()])


def check_alone(wiring, partners, image_tops):
    """A list gives one image and its labels, in the place of one layer."""
    for group in groups(wiring, partners):
        if len(group) > 1:
            names = ", ".join(maker.name for maker in group)
            raise ValueError(f"the scores are made of what {names} read, and a list takes the place of one layer only")
    for partner in partners:
        images = [top for top in partner.top if top in image_tops]
        if len(images) > 1:
            raise ValueError(f"layer {partner.name} makes {', '.join(images)} for the scores, and a list has one image")


def check_one_source(wiring, losses, partners):
    """No other layer may read images or labels of its own beside a list: they would be of other images."""
    for phase in wiring.phases:
        view = wiring.view(phase)
        for maker in view.layers:
            read = not maker.bottom and maker.type not in CONSTANT and not is_in(maker, partners)
            if read and any(is_used(wiring, top, []) for top in maker.top):
                raise ValueError(
                    f"layer {maker.name} ({kind(maker)}) is in use besides the loss, and would give what is of other "
                    "images than those of the list; take out what takes it, or give --label-source instead"
                )


def replace(wiring, partner, partners, image_tops, labels, image_lists):
    (data,) = [top for top in partner.top if top in image_tops]
    options = options_of(wiring, partner, partners, image_lists)
    layer = our_layer("MultiLabelImageData", options, name=partner.name, top=[data, labels])
    copy_rules(partner, layer)
    for field, text in wiring.fields(partner).items():
        wiring.tell(partner, f"{field.split()[1]} {text} dropped: the list tells it")
    wiring.foreign.pop(id(partner), None)
    wiring.tell(partner, f"{kind(partner)} -> MultiLabelImageData {layer.python_param.param_str}")
    gone = type(partner)()
    gone.CopyFrom(partner)
    partner.CopyFrom(layer)
    silence_no_more(wiring, [gone])


def options_of(wiring, partner, partners, image_lists):
    """The options of MultiLabelImageData that do what a data layer does, with a list."""
    source = for_phase(wiring, partner, partners, image_lists.sources, "a source")
    old = image_options(partner)
    options = dict(source=source, classes=image_lists.classes, **transform_options(partner))
    if old is not None:
        options = dict(old, source=source, classes=image_lists.classes)
    options["batch_size"] = batch_of(wiring, partner, partners)
    if partner.HasField("image_data_param"):  # of ImageData, or of a layer of another Caffe
        param = partner.image_data_param
        options.update({field: getattr(param, field) for field in ("root_folder", "shuffle") if getattr(param, field)})
    if image_lists.mean is not None:
        for field in ("mean_file", "mean_value"):
            options.pop(field, None)
        options["mean_file" if isinstance(image_lists.mean, str) else "mean_value"] = image_lists.mean
    if image_lists.resize:
        options.update(new_height=image_lists.resize[0], new_width=image_lists.resize[1])
    elif "new_height" not in options:
        if not options.get("crop_size"):
            raise ValueError(
                f"layer {partner.name} ({kind(partner)}) does not tell how large its images are; give --resize H,W"
            )
        if "crop_scale" not in options:
            wiring.tell(
                partner, "images keep the size of their files; give --resize H,W if they are not all large enough"
            )
    if "label_format" in wiring.options:
        options["label_format"] = wiring.options["label_format"]
    return options


def batch_of(wiring, partner, partners):
    told = [
        param.batch_size for param in (partner.image_data_param, partner.data_param) if param.HasField("batch_size")
    ]
    batch = batch_size(partner) or max(told, default=None)  # a data layer of another Caffe has them too
    if wiring.batches:
        batch = for_phase(wiring, partner, partners, wiring.batches, "a --batch")
    if not batch:
        raise ValueError(f"layer {partner.name} ({kind(partner)}) does not tell how many images it reads; give --batch")
    return batch
