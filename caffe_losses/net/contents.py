"""What is in the files that data layers read: how many records there are, in which order, and of which shape."""

import os
import re

from .. import files
from ..data import lists
from .kinds import image_options, kind, title

HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file starts
NUMBER = re.compile(r"^\D*(\d+)", re.MULTILINE)  # the first of each key


def count(layer):
    """How many images a data layer reads before it starts again; ValueError if that is not known, with the reason."""
    options = image_options(layer)
    if options is not None:
        return count_list(options)
    if layer.type == "HDF5Data":
        return count_hdf5(layer)
    if layer.type == "Data":
        if layer.data_param.backend != layer.data_param.LMDB:
            raise ValueError(f"{layer.data_param.source} is no LMDB, so that its images cannot be counted")
        with records(layer) as transaction:
            return transaction.stat()["entries"]
    if layer.type == "ImageData":
        return sum(1 for line in files.read(layer.image_data_param.source).splitlines() if line.strip())
    raise ValueError(f"layer {title(layer)} ({layer.type}) does not tell how many images it has")


def count_list(options):
    if options.get("resample"):
        raise ValueError("MultiLabelImageData repeats images, as resample is true")
    classes = options.get("classes")
    return len(lists.read(options["source"], lists.read_classes(classes) if isinstance(classes, str) else classes))


def count_hdf5(layer):
    import h5py

    images = 0
    for path in listed(layer.hdf5_data_param.source):
        files.check_regular(path)
        with h5py.File(path, "r") as file:
            images += len(file[layer.top[0]])
    return images


def listed(source):
    """The files that an HDF5Data's list names; none if it is not there."""
    try:
        return files.read(source).decode(errors="replace").split() if source else []
    except OSError:
        return []


def records(layer):
    """The records of a Data layer's LMDB, to be used in a `with`: an lmdb.Transaction."""
    import lmdb

    return lmdb.open(layer.data_param.source, readonly=True, lock=False).begin()


# Shapes


def first_shape(layer):
    """The shape of the first image in a layer's files, (channels, height, width) or as HDF5 has it; None if they are
    not there, or do not tell."""
    try:
        if layer.type == "HDF5Data":
            return hdf5_shape(layer)
        return lmdb_shape(layer) if layer.type == "Data" and layer.data_param.source else None
    except (OSError, KeyError, ImportError):  # what is wrong with the files is said where they are read
        return None


def hdf5_shape(layer):
    import h5py

    for path in listed(layer.hdf5_data_param.source)[:1]:
        with h5py.File(path, "r") as file:
            return file[layer.top[0]].shape[1:]
    return None


def lmdb_shape(layer):
    import lmdb
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    try:
        with records(layer) as transaction:
            first = next(iter(transaction.cursor()), None)
    except lmdb.Error:
        return None
    if first is None:
        return None
    try:
        datum = caffe_pb2.Datum.FromString(first[1])
    except DecodeError:  # said where it is read
        return None
    if not datum.encoded:
        return datum.channels, datum.height, datum.width
    return encoded_shape(datum.data, layer.transform_param)


def encoded_shape(picture, transform):
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        return None
    own = 1 if image.ndim == 2 else 3
    return (3 if transform.force_color else 1 if transform.force_gray else own, *image.shape[:2])


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
    """ValueError, with the remedy, for what a data layer names and that is there, and is not what it reads.

    For a FIFO, Caffe waits without end.
    """
    if layer.type == "HDF5Data":
        check_hdf5(layer)
    if layer.type == "Data":
        check_lmdb(layer)
    for path in named_files(layer):
        files.check_regular(path)


def check_hdf5(layer):
    source, name = layer.hdf5_data_param.source, f"layer {title(layer)} (HDF5Data)"
    if os.path.isdir(source):
        raise ValueError(f"{name}: its source {source} is a folder; give a text file that names HDF5 files, or Data")
    if not os.path.exists(source):
        return
    if files.read(source).startswith(HDF5):
        raise ValueError(f"{name}: its source {source} is an HDF5 file; give a text file that names it")
    paths = listed(source)
    if not paths:
        raise ValueError(f"{name}: its source {source} names no file; write the names of HDF5 files into it")
    for path in paths:
        files.check_regular(path)
        check_hdf5_file(layer, path)


def check_hdf5_file(layer, path):
    named = f"layer {title(layer)} (HDF5Data): {layer.hdf5_data_param.source} names {path}, which is"
    if not os.path.exists(path):
        raise ValueError(f"{named} not there; paths start in the current folder")
    try:
        import h5py
    except ImportError:
        return  # Caffe reads it without
    if not h5py.is_hdf5(path):
        raise ValueError(f"{named} no HDF5 file, or not all of one")
    with h5py.File(path, "r") as file:
        check_datasets(layer, path, file)


def check_datasets(layer, path, file):
    for top in layer.top:
        if top not in file:
            raise ValueError(
                f"layer {title(layer)} (HDF5Data): {path} has no dataset {top}, but {', '.join(file) or 'none'}; "
                "call tops and datasets the same"
            )
    rows = {top: len(file[top]) for top in layer.top}
    if len(set(rows.values())) > 1 or 0 in rows.values():
        told = ", ".join(f"{rows[top]} in {top}" for top in rows)
        raise ValueError(
            f"layer {title(layer)} (HDF5Data): {path} has {told}; write as many rows of each, one at least"
        )


def check_lmdb(layer):
    param, name = layer.data_param, f"layer {title(layer)} (Data)"
    if not os.path.exists(param.source):
        return
    if not os.path.isdir(param.source):
        what = "an HDF5 file" if files.read(param.source).startswith(HDF5) else "a file"
        raise ValueError(f"{name}: its source {param.source} is {what}; give the folder of an LMDB, or use HDF5Data")
    is_lmdb = os.path.exists(os.path.join(param.source, "data.mdb"))
    if not is_lmdb and param.backend == param.LMDB:
        raise ValueError(f"{name}: its source {param.source} is no LMDB, as data.mdb is not in it")
    if is_lmdb and param.backend != param.LMDB:
        raise ValueError(f"{name}: its source {param.source} is an LMDB; write backend: LMDB into data_param")
    if is_lmdb:
        check_lmdb_file(layer)


def check_lmdb_file(layer):
    try:
        import lmdb
    except ImportError:
        return  # Caffe reads it without
    try:
        with records(layer) as transaction:
            entries = transaction.stat()["entries"]
    except lmdb.Error as error:
        raise ValueError(
            f"layer {title(layer)} (Data): the LMDB {layer.data_param.source} is damaged: {error}"
        ) from None
    if not entries:
        raise ValueError(f"layer {title(layer)} (Data): the LMDB {layer.data_param.source} has no record; fill it")


# Records side by side


def check_in_step(images, labels):
    """ValueError if the records of two data layers do not belong together, as far as their files tell."""
    try:
        counts = [count(layer) for layer in (images, labels)]
    except (ValueError, OSError, ImportError):
        return
    names = (
        f"layer {title(labels)} ({kind(labels)}) reads the labels of what layer {title(images)} ({kind(images)}) reads"
    )
    if counts[0] != counts[1]:
        raise ValueError(
            f"{names}, and has {counts[1]} records, not {counts[0]}: labels get to other images; "
            "write one record of labels for each image, in the order of the images"
        )
    place = differing(images, labels)
    if place is not None:
        raise ValueError(
            f"{names}, and its record {place[0]} is {place[2]}, beside {place[1]}: an LMDB sorts its keys as text, 10 "
            "before 9; write both with keys such as 00000009"
        )


def differing(images, labels):
    """(the number of the record, both keys) where two layers number the same records in another order; None elsewhere.

    Keys have numbers from 0 or 1 on: 00000007_cat.jpg and 7. HDF5 has rows in their order. Of other keys, only the user
    knows which belong together.
    """
    if labels.type == images.type == "Data" and os.path.samefile(images.data_param.source, labels.data_param.source):
        return None
    keys = [keys_of(layer) for layer in (images, labels)]
    places = [ranks(of_one) for of_one in keys]
    if keys[0] == keys[1] or None in places or places[0] == places[1]:
        return None
    k = next(k for k, (a, b) in enumerate(zip(*places)) if a != b)
    return k, keys[0][k], keys[1][k]


def keys_of(layer):
    """The keys of an LMDB in its order; numbers for what has none."""
    if layer.type != "Data":
        return list(map(str, range(count(layer))))
    with records(layer) as transaction:
        return [key.decode(errors="replace") for key in transaction.cursor().iternext(values=False)]


def ranks(keys):
    """The first numbers of these keys from 0 on, if each number from the lowest to the highest is there; else None."""
    numbers = [int(number) for number in NUMBER.findall("\n".join(keys))]
    if not numbers or len(numbers) != len(keys) or len(set(numbers)) != max(numbers) - min(numbers) + 1:
        return None
    return [number - min(numbers) for number in numbers]
