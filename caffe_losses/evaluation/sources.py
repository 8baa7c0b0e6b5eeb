"""What a data layer reads: how many images, and how it prepares them."""

import os

from ..wiring.lists import transform_options
from ..wiring.net import image_options


def count(layer):
    """How many images a data layer reads before it starts again; ValueError if that is not known, with the reason."""
    if image_options(layer) is not None:
        return count_list(image_options(layer))
    if layer.type == "HDF5Data":
        return count_hdf5(layer.hdf5_data_param.source, layer.top[0])
    if layer.type == "Data":
        return count_lmdb(layer.data_param)
    if layer.type == "ImageData":
        with open(layer.image_data_param.source) as lines:
            return sum(1 for line in lines if line.strip())
    raise ValueError(f"layer {layer.name} ({layer.type}) does not tell how many images it has")


def count_list(options):
    from ..data import lists

    if options.get("resample"):
        raise ValueError("MultiLabelImageData repeats images, as resample is true")
    classes = options.get("classes")
    return len(lists.read(options["source"], lists.read_classes(classes) if isinstance(classes, str) else classes))


def count_hdf5(source, top):
    import h5py

    with open(source) as lines:
        paths = lines.read().split()
    total = 0
    for path in paths:
        with h5py.File(path, "r") as file:
            total += len(file[top])
    return total


def count_lmdb(data):
    if data.backend != data.LMDB:
        raise ValueError(f"{data.source} is no LMDB, so that its images cannot be counted")
    try:
        import lmdb
    except ImportError:
        raise ValueError("the Python module lmdb is not installed, which counts the images of an LMDB") from None
    with lmdb.open(data.source, readonly=True, lock=False) as environment:
        return environment.stat()["entries"]


def transform_of(layer, resize=None):
    """The Transform of a data layer in the TEST phase.

    resize  (height, width) that the images were given before they got into an LMDB; None: none
    """
    from ..data import TRANSFORM_OPTIONS, Transform

    options = image_options(layer)
    if options is None and layer.type in ("Data", "ImageData"):
        options = transform_options(layer)
    if options is None:
        raise ValueError(
            f"layer {layer.name} ({layer.type}) does not tell how it made its numbers of pictures; predict needs a "
            "MultiLabelImageData, ImageData or Data layer"
        )
    if resize:
        options.update(new_height=resize[0], new_width=resize[1])
    known = {option.name for option in TRANSFORM_OPTIONS} - {"mirror"}  # which is for training
    return Transform(train=False, **{name: value for name, value in options.items() if name in known})


def check_source(layer):
    """Refuse a layer that has no data of its own, and one whose file is not there."""
    if layer.type in ("Input", "MemoryData"):
        raise ValueError(
            f"layer {layer.name} ({layer.type}) has no test set; give a train_val whose TEST phase reads one"
        )
    for param in (layer.data_param, layer.hdf5_data_param, layer.image_data_param):
        if param.source and not os.path.exists(param.source):
            raise ValueError(f"layer {layer.name} ({layer.type}): {param.source} does not exist")
