"""Has a net read image files and labels from a list, instead of what it reads now."""

from ..net.contents import first_shape
from ..net.kinds import image_options, is_ours, kind, title
from ..net.make import copy_rules, our_layer
from ..net.sources import batch_size, channels, known_shape, transform_options
from ..net.view import is_in
from .partners import drop_dead, for_phase, groups, makers, phases_read, release, silence_no_more, tops_of

CONSTANT = "DummyData", "Input", "Parameter"  # data layers that read no images
FIXED = (*CONSTANT, "MemoryData")  # they say the shape of what they make
COLORS = {1: "GRAY", 3: "BGR"}  # by the number of channels
READERS = ("data_param", "hdf5_data_param", "image_data_param", "input_param", "memory_data_param", "transform_param",
           "window_data_param")  # fmt: skip
# What options of MultiLabelImageData have the place of, and what is of no use with a list.
TAKEN_OVER = ("backend", "batch_size", "channels", "crop_size", "force_color", "force_gray", "height", "is_color",
              "mean_file", "mean_value", "mirror", "new_height", "new_width", "prefetch", "scale", "shape", "shuffle",
              "source", "width")  # fmt: skip


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
        users = [one for one in wiring.layers if set(others) & set(one.bottom) and not is_for(one, losses)]
        if users:
            raise ValueError(
                f"layer {title(partner)}: {title(users[0])} ({kind(users[0])}) takes its old labels, too, and a list "
                "has only new ones; take that layer out, or give --label-source instead"
            )
    for partner in partners:
        replace(wiring, partner, partners, image_tops, labels, image_lists)
    check_one_source(wiring, losses, partners)


def is_only(wiring, maker, images):
    return all(len(group) == 1 for group in groups(wiring, images) if is_in(maker, group))


def is_for(layer, losses):
    """Whether a layer that takes old labels takes those of a list as well, or none."""
    return is_in(layer, losses) or layer.type == "Silence" or is_ours(layer, "MultiLabelMetrics")


def check_alone(wiring, partners, image_tops):
    """A list gives one image and its labels, in the place of one layer."""
    for group in groups(wiring, partners):
        if len(group) > 1:
            names = ", ".join(maker.name for maker in group)
            raise ValueError(f"the scores are made of what {names} read, and a list takes the place of one layer only")
    for partner in partners:
        images = [top for top in partner.top if top in image_tops]
        if len(images) > 1:
            raise ValueError(
                f"layer {title(partner)} makes {', '.join(images)} for the scores, and a list has one image"
            )


def check_one_source(wiring, losses, partners):
    """No other layer may read images or labels of its own beside a list: they would be of other images."""
    for phase in wiring.phases:
        view = wiring.view(phase)
        for maker in view.layers:
            read = not maker.bottom and maker.type not in CONSTANT and not is_in(maker, partners)
            if read and any(wiring.is_taken(top, besides=wiring.silences()) for top in maker.top):
                raise ValueError(
                    f"layer {title(maker)} ({kind(maker)}) is in use besides the loss, and would give what is of other "
                    "images than those of the list; take out what takes it, or give --label-source instead"
                )


def replace(wiring, partner, partners, image_tops, labels, image_lists):
    (data,) = [top for top in partner.top if top in image_tops]
    options = options_of(wiring, partner, partners, image_lists)
    layer = our_layer("MultiLabelImageData", options, name=partner.name, top=[data, labels])
    copy_rules(partner, layer)
    tell_lost(wiring, partner)
    wiring.foreign.pop(id(partner), None)
    wiring.tell(partner, f"{kind(partner)} -> MultiLabelImageData {layer.python_param.param_str}")
    gone = type(partner)()
    gone.CopyFrom(partner)
    partner.CopyFrom(layer)
    silence_no_more(wiring, [gone])


def tell_lost(wiring, partner):
    """Tell what a data layer says and MultiLabelImageData does not: all but where its data are, and how it reads."""
    messages = [message for field, message in partner.ListFields() if field.name in READERS]
    said = [(field.name, value) for message in messages for field, value in message.ListFields()]
    said += [("root_folder", folder) for folder in [(image_options(partner) or {}).get("root_folder")] if folder]
    for name, value in said:
        if name == "root_folder":
            wiring.tell(partner, f"root_folder {value} dropped: the paths of a list start in its folder")
        elif name not in TAKEN_OVER:
            value = f"{value:.7g}" if isinstance(value, float) else value
            wiring.tell(partner, f"{name} {value} dropped: MultiLabelImageData has no such parameter")
    for field, text in wiring.fields(partner).items():
        wiring.tell(partner, f"{field.split()[1]} {text} dropped: MultiLabelImageData has no such parameter")


def options_of(wiring, partner, partners, image_lists):
    """The options of MultiLabelImageData that do what a data layer does, with a list."""
    source = for_phase(wiring, partner, partners, image_lists.sources, "a source")
    options = dict(source=source, classes=image_lists.classes, **images_of(wiring, partner, image_lists))
    options["batch_size"] = batch_of(wiring, partner, partners)
    if "TRAIN" in phases_read(wiring, partner, partners):
        options["shuffle"] = True  # a list is in the order of its classes, or of its pictures' names
    if image_lists.mean is not None:
        for field in ("mean_file", "mean_value"):
            options.pop(field, None)
        options["mean_file" if isinstance(image_lists.mean, str) else "mean_value"] = image_lists.mean
    if image_lists.scale is not None:
        options["scale"] = image_lists.scale
    if image_lists.resize:
        options.update(new_height=image_lists.resize[0], new_width=image_lists.resize[1])
    elif "new_height" not in options:
        check_size(wiring, partner, options)
    if "label_format" in wiring.options:
        options["label_format"] = wiring.options["label_format"]
    return options


def images_of(wiring, partner, image_lists):
    """How a data layer makes its images, as options of MultiLabelImageData; of the same size and channels."""
    old = image_options(partner)
    if old is not None:
        kept = {name: value for name, value in old.items() if name not in ("root_folder", "source", "classes")}
        return dict(kept, color=image_lists.color) if image_lists.color else kept
    options, shape = transform_options(partner), first_shape(partner) or told_shape(partner)
    told = channels(partner) or (shape[0] if shape and len(shape) == 3 else None) or several(image_lists.mean)
    colors = image_lists.color or COLORS.get(told)
    if colors is None:
        raise ValueError(
            f"layer {title(partner)} ({kind(partner)}) does not tell whether its images have colors; give --color BGR "
            "or --color GRAY"
        )
    if partner.type == "HDF5Data" and image_lists.mean is None and image_lists.scale is None:
        wiring.tell(partner, "its numbers are its files', and a list's are 0 to 255: see --mean and --scale")
    options.pop("color", None)
    options.update({"color": colors} if colors != "BGR" else {})
    if shape and len(shape) == 3 and "new_height" not in options:
        options.update(new_height=shape[1], new_width=shape[2])
    if shape and partner.type in FIXED and len(shape) == 3:  # what the net takes, after any crop
        options.pop("crop_size", None)
        if image_lists.resize:
            options["crop_size"] = list(shape[1:]) if shape[1] != shape[2] else shape[1]
    return options


def several(mean):
    """How many numbers a mean has; None for one, which all channels may share, and for a file."""
    return len(mean) if isinstance(mean, list) and len(mean) > 1 else None


def told_shape(partner):
    """The shape of an image of a layer whose images are of one size always; None of any other."""
    if partner.type not in FIXED:
        return None
    try:
        return known_shape(partner, partner.top[0])[1:]
    except ValueError:
        return None


def check_size(wiring, partner, options):
    if not options.get("crop_size"):
        raise ValueError(
            f"layer {title(partner)} ({kind(partner)}) does not tell how large its images are; give --resize H,W"
        )
    if "crop_scale" not in options:
        wiring.tell(partner, "images keep the size of their files; give --resize H,W if they are not all large enough")


def batch_of(wiring, partner, partners):
    told = [
        param.batch_size
        for param in (
            partner.image_data_param,
            partner.data_param,
            partner.memory_data_param,
            partner.window_data_param,
        )
        if param.HasField("batch_size")
    ]
    batch = batch_size(partner) or max(told, default=None)  # a data layer of another Caffe has them too
    if wiring.batches:
        batch = for_phase(wiring, partner, partners, wiring.batches, "a --batch")
    if not batch:
        raise ValueError(
            f"layer {title(partner)} ({kind(partner)}) does not tell how many images it reads; give --batch"
        )
    return batch
