"""What a data layer holds: its options, how many images, of which shape, and how it prepares them."""

import os

import numpy as np

from .. import files
from ..data import TRANSFORM_OPTIONS, Transform, lists
from ..options import parse
from .kinds import is_ours, kind
from .published import published_images

BATCH_PARAMS = {"Data": "data_param", "HDF5Data": "hdf5_data_param", "ImageData": "image_data_param"}


def image_options(layer):
    """The options of a MultiLabelImageData layer; None for any other."""
    if not is_ours(layer, "MultiLabelImageData"):
        return None
    return parse("MultiLabelImageData", layer.python_param.param_str)


def batch_param(layer):
    """The part of a Data, HDF5Data or ImageData layer that tells source and batch_size."""
    return getattr(layer, BATCH_PARAMS[layer.type])


def batch_size(layer):
    """Images at a time; None if the layer does not tell."""
    options = image_options(layer) or published_images(layer)
    if options is not None:
        return options["batch_size"]
    return batch_param(layer).batch_size if layer.type in BATCH_PARAMS else None


# Files


def named_files(layer):
    """The files that a data layer reads, without a database's."""
    paths = [param.source for param in (layer.hdf5_data_param, layer.image_data_param, layer.window_data_param)]
    options = image_options(layer) or {}
    paths += [layer.transform_param.mean_file, *(options.get(key) for key in ("source", "classes", "mean_file"))]
    return [path for path in paths if path and isinstance(path, str)]


def missing_files(layer):
    """The files and folders that a data layer names and that are not there."""
    return [path for path in [layer.data_param.source, *named_files(layer)] if path and not os.path.exists(path)]


def check_files(layer):
    """ValueError for what a data layer reads and what is no file: for a FIFO, Caffe waits without end."""
    for path in named_files(layer):
        files.check_regular(path)
    for path in listed(layer.hdf5_data_param.source):
        files.check_regular(path)


def listed(source):
    """The files that an HDF5Data's list names; none if it is not there."""
    try:
        return files.read(source).decode(errors="replace").split() if source else []
    except OSError:
        return []


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


# How many images


def count(layer):
    """How many images a data layer reads before it starts again; ValueError if that is not known, with the reason."""
    options = image_options(layer)
    if options is not None:
        return count_list(options)
    if layer.type == "HDF5Data":
        return count_hdf5(layer.hdf5_data_param.source, layer.top[0])
    if layer.type == "Data":
        return count_lmdb(layer.data_param)
    if layer.type == "ImageData":
        return sum(1 for line in files.read(layer.image_data_param.source).splitlines() if line.strip())
    raise ValueError(f"layer {layer.name} ({layer.type}) does not tell how many images it has")


def count_list(options):
    if options.get("resample"):
        raise ValueError("MultiLabelImageData repeats images, as resample is true")
    classes = options.get("classes")
    return len(lists.read(options["source"], lists.read_classes(classes) if isinstance(classes, str) else classes))


def count_hdf5(source, top):
    import h5py

    images = 0
    for path in files.read(source).decode().split():
        files.check_regular(path)
        with h5py.File(path, "r") as file:
            images += len(file[top])
    return images


def count_lmdb(data):
    if data.backend != data.LMDB:
        raise ValueError(f"{data.source} is no LMDB, so that its images cannot be counted")
    import lmdb

    with lmdb.open(data.source, readonly=True, lock=False) as environment:
        return environment.stat()["entries"]


# Shapes and transforms


def is_gray(layer):
    """Whether a data layer of a Caffe makes images of one channel. Of Data, one mean_value is taken to tell so."""
    transform = layer.transform_param
    if layer.type == "ImageData" or layer.HasField("image_data_param"):
        return not layer.image_data_param.is_color
    return bool(transform.force_gray or len(transform.mean_value) == 1)


def known_shape(layer, top):
    """The shape of a batch of one image in a data layer's top. ValueError if the layer does not tell."""
    place = list(layer.top).index(top)
    shape = shape_of_top(layer, place) if layer.type in ("Input", "DummyData") else None
    if place == 0 and shape is None:
        shape = shape_of_images(layer)
    if shape is None:
        raise ValueError(
            f"layer {layer.name} ({kind(layer)}) does not tell the shape of {top}; give e.g. --shape {top}=1,3,224,224"
        )
    return [1, *shape]


def shape_of_top(layer, place):
    """Of one row of an Input or DummyData layer's top; None if it does not tell."""
    shapes = layer.input_param.shape if layer.type == "Input" else layer.dummy_data_param.shape
    return list(shapes[place if place < len(shapes) else 0].dim)[1:] if shapes else None


def shape_of_images(layer):
    """(channels, height, width) of a layer that reads images; None if it does not tell."""
    image, transform, memory = layer.image_data_param, layer.transform_param, layer.memory_data_param
    channels, options = 1 if is_gray(layer) else 3, image_options(layer) or published_images(layer)
    if options is not None:
        return transform_of(dict(options, mean_file=None)).shape()
    if transform.crop_size and layer.type in ("Data", "ImageData", "WindowData"):
        return channels, transform.crop_size, transform.crop_size
    if image.new_height and image.new_width:
        return channels, image.new_height, image.new_width
    return (memory.channels, memory.height, memory.width) if layer.type == "MemoryData" else None


def transform_of(options):
    """The Transform of the options of a MultiLabelImageData, of which it takes its own."""
    known = {option.name for option in TRANSFORM_OPTIONS}
    return Transform(**{name: value for name, value in options.items() if name in known})


def transform_for_testing(layer, resize=None):
    """The Transform of a data layer in the TEST phase.

    Args:
        layer: a MultiLabelImageData, ImageData or Data layer; ValueError for any other.
        resize: (height, width) that the images had before they got into an LMDB; None: as the layer says.
    """
    options = options_for_testing(layer)
    if options is None:
        raise ValueError(
            f"layer {layer.name} ({layer.type}) does not tell how it made its numbers of pictures; predict needs a "
            "MultiLabelImageData, ImageData or Data layer"
        )
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
    if is_gray(layer):
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
