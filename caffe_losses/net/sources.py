"""What a data layer says: its options and files, the shape of its images, and how it prepares them."""

import warnings

import numpy as np

from ..data import TRANSFORM_OPTIONS, Transform, lists
from . import contents
from .kinds import image_options, kind, title
from .published import published_images

BATCH_PARAMS = {"Data": "data_param", "HDF5Data": "hdf5_data_param", "ImageData": "image_data_param"}


def batch_param(layer):
    """The part of a Data, HDF5Data or ImageData layer that tells source and batch_size."""
    return getattr(layer, BATCH_PARAMS[layer.type])


def batch_size(layer):
    """Images at a time; None if the layer does not tell."""
    options = image_options(layer) or published_images(layer)
    if options is not None:
        return options["batch_size"]
    return batch_param(layer).batch_size if layer.type in BATCH_PARAMS else None


def class_names(layer, path, classes):
    """The names of the classes: of the file `path`, or of the file that a MultiLabelImageData names, or their numbers.

    Args:
        layer: a data layer, or None.
        path: a file with one name a line, or None.
        classes: how many there have to be; ValueError otherwise.
    """
    if path is None and layer is not None:
        file = (image_options(layer) or {}).get("classes")
        path = file if isinstance(file, str) else None
    names = list(map(str, range(classes))) if path is None else lists.read_classes(path)
    if len(names) != classes:
        raise ValueError(f"{path} has {len(names)} names, and the net has {classes} classes; give one name a class")
    return names


# Shapes and transforms


def channels(layer):
    """How many channels the images of one of Caffe's data layers have; None if nothing tells it."""
    transform, first = layer.transform_param, contents.first_shape(layer)
    if published_images(layer):
        return 3
    if layer.HasField("image_data_param") or layer.type == "ImageData":
        return 3 if layer.image_data_param.is_color else 1
    if layer.type in ("MemoryData", "WindowData"):
        return layer.memory_data_param.channels or 3
    if first is not None:
        return first[0] if len(first) == 3 else None
    if transform.force_color or transform.force_gray:
        return 3 if transform.force_color else 1
    return len(transform.mean_value) if len(transform.mean_value) > 1 else None


def known_shape(layer, top):
    """The shape of a batch of one image in a data layer's top. ValueError if the layer does not tell."""
    place = list(layer.top).index(top)
    shape = shape_of_top(layer, place) if layer.type in ("Input", "DummyData") else None
    if place == 0 and shape is None:
        shape = shape_of_images(layer)
    if shape is None:
        raise ValueError(
            f"layer {title(layer)} ({kind(layer)}) does not tell the shape of {top}; give e.g. --shape "
            f"{top}=1,3,224,224"
        )
    return [1, *shape]


def shape_of_top(layer, place):
    """Of one row of an Input or DummyData layer's top; None if it does not tell."""
    shapes = layer.input_param.shape if layer.type == "Input" else layer.dummy_data_param.shape
    return list(shapes[place if place < len(shapes) else 0].dim)[1:] if shapes else None


def shape_of_images(layer):
    """(channels, height, width) of a layer that reads images; None if it does not tell."""
    image, transform, memory = layer.image_data_param, layer.transform_param, layer.memory_data_param
    options = image_options(layer) or published_images(layer)
    if options is not None:
        return transform_of(dict(options, mean_file=None)).shape()
    if transform.crop_size and layer.type in ("Data", "ImageData", "WindowData"):
        return channels(layer) or 3, transform.crop_size, transform.crop_size
    if image.new_height and image.new_width:
        return channels(layer), image.new_height, image.new_width
    if layer.type == "MemoryData":
        return memory.channels, memory.height, memory.width
    return contents.first_shape(layer)


def transform_of(options):
    """The Transform of the options of a MultiLabelImageData, of which it takes its own."""
    known = {option.name for option in TRANSFORM_OPTIONS}
    return Transform(**{name: value for name, value in options.items() if name in known})


def transform_for_testing(layer, resize=None):
    """The Transform of a data layer in the TEST phase.

    Args:
        layer: a MultiLabelImageData, ImageData or Data layer; ValueError for any other.
        resize: (height, width) that the images had before they got into an LMDB; None: as the layer says, or the first
            picture of its LMDB.
    """
    options = options_for_testing(layer)
    if options is None:
        raise ValueError(
            f"layer {title(layer)} ({layer.type}) does not tell how it made its numbers of pictures; predict needs a "
            "MultiLabelImageData, ImageData or Data layer"
        )
    if resize is None and layer.type == "Data" and "new_height" not in options:
        shape = contents.first_shape(layer)
        if shape is None or len(shape) != 3:
            warnings.warn(
                f"layer {layer.name} (Data) does not tell the size that its pictures had before they got into "
                f"{layer.data_param.source}: pictures are cut as large as they are; give --resize H,W",
                RuntimeWarning,
                stacklevel=3,
            )
        else:
            resize = shape[1:]
    if resize:
        options.update(new_height=resize[0], new_width=resize[1])
    return transform_of(options)


def options_for_testing(layer):
    """The options of a data layer's Transform in the TEST phase; None if it does not tell."""
    options = image_options(layer)
    if options is None and (layer.type in ("Data", "ImageData") or published_images(layer)):
        options = transform_options(layer)
    return options and dict(options, mirror=False)  # mirroring is for training


def transform_options(layer):
    """What a Data or ImageData layer, or a published one, does to an image, as options of MultiLabelImageData."""
    public = published_images(layer)
    if public is not None:
        return {name: value for name, value in public.items() if name != "batch_size"}
    transform, image, options = layer.transform_param, layer.image_data_param, {}
    options.update({field: getattr(image, field) for field in ("new_height", "new_width") if getattr(image, field)})
    options.update({field: getattr(transform, field) for field in ("crop_size", "mean_file", "mirror")
                    if getattr(transform, field)})  # fmt: skip
    if channels(layer) == 1:
        options["color"] = "GRAY"
    if transform.mean_value:
        options["mean_value"] = [float(f"{mean:.7g}") for mean in transform.mean_value]
    if transform.scale != 1:
        options["scale"] = float(f"{transform.scale:.7g}")  # as it was written, not as float32 has it
    return options


def prepared(layer):
    """What the data layer does to an image besides cropping, as text: the user's to do before an Input."""
    transform, options = layer.transform_param, image_options(layer) or {}
    means = np.ravel(options.get("mean_value") or transform.mean_value)
    scale, file = options.get("scale", transform.scale), options.get("mean_file") or transform.mean_file
    steps = [f"minus {', '.join(f'{mean:g}' for mean in means)}"] if len(means) else []
    steps += [f"minus {file}"] if file else []
    steps += [f"times {scale:g}"] if scale != 1 else []
    return " and ".join(steps)
