"""Files of weights: what is in them, whether a net can take them, and into the net."""

import sys

from ..options import shortened
from . import prototxt, trial

HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file starts


def load(net, path):
    """The net in Caffe, in the TEST phase, with the weights of a file.

    Args:
        net: NetParameter.
        path: a .caffemodel or .caffemodel.h5.

    Returns:
        The caffe.Net.

    Raises:
        ValueError: the net does not load, the file has no weights, or a layer finds none or those of another shape.
            Caffe would end the process for it.
        OSError: the file cannot be read.
    """
    stored = shapes_in(path)
    trial.shapes(net, "TEST", sys.path)
    loaded = prototxt.load(net, "TEST")
    for name in loaded._layer_names:
        blobs = loaded.params.get(name, [])
        check(path, name, stored, [tuple(blobs[k].data.shape) for k in range(len(blobs))])
    copy(loaded, path)
    return loaded


def copy(net, path):
    """Copy the weights of a file, of either format, into the layers of a caffe.Net that have the same names."""
    (net.load_hdf5 if is_hdf5(path) else net.copy_from)(path)


def is_hdf5(path):
    with open(path, "rb") as file:
        return file.read(len(HDF5)) == HDF5


def check(path, name, stored, expected):
    """Refuse the weights of a layer of which Caffe could not copy all."""
    if expected and name not in stored:
        raise ValueError(f"{path} has no weights for layer {name} of the net, but for {shortened(sorted(stored))}")
    if [squeezed(shape) for shape in stored.get(name, [])] != [squeezed(shape) for shape in expected]:
        raise ValueError(f"{path}: layer {name} has weights of shapes {stored[name]} there and {expected} in the net")


def squeezed(shape):
    """The shape without leading ones: blobs of an older Caffe have four axes always."""
    shape = [int(dim) for dim in shape]
    while shape[:1] == [1]:
        shape = shape[1:]
    return shape


def shapes_in(path):
    """{layer: shapes of its blobs} in a file of weights. ValueError if there are none."""
    shapes = shapes_in_hdf5(path) if is_hdf5(path) else shapes_in_proto(path)
    if not shapes:
        raise ValueError(f"{path} has no weights; give the .caffemodel that training snapshots")
    return shapes


def shapes_in_proto(path):
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    net = caffe_pb2.NetParameter()
    with open(path, "rb") as file:
        try:
            net.ParseFromString(file.read())
        except DecodeError:
            raise ValueError(f"{path} is no .caffemodel; give the file that training snapshots") from None
    return {layer.name: [shape_of(blob) for blob in layer.blobs] for layer in [*net.layer, *net.layers] if layer.blobs}


def shape_of(blob):
    return tuple(blob.shape.dim) if blob.HasField("shape") else (blob.num, blob.channels, blob.height, blob.width)


def shapes_in_hdf5(path):
    import h5py

    with h5py.File(path, "r") as file:
        layers = file["data"].items() if "data" in file else []
        return {name: [group[key].shape for key in sorted(group, key=int)] for name, group in layers if len(group)}
