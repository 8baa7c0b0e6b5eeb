"""Files of weights: what is in them, whether a net can take them, and into the net.

Caffe's own reading ends the process for a file that is cut or does not fit, and passes over one that has nothing for
the net. So the files are read here.
"""

import os
import sys

import numpy as np

from ..options import shortened
from . import prototxt, trial
from .contents import HDF5

DATA = b"\x2a"  # how the numbers of a BlobProto start: field 5, bytes
ZERO = "Convolution", "InnerProduct"  # nothing passes their weights if these are 0
REMEDY = "give the file that training snapshots"


def load(net, path):
    """The net in Caffe, in the TEST phase, with the weights of a file.

    Args:
        net: NetParameter.
        path: a .caffemodel or .caffemodel.h5.

    Returns:
        The caffe.Net.

    Raises:
        ValueError: the net does not load, the file has no weights, or a layer finds none or those of another shape.
        OSError: the file cannot be read.
    """
    stored = read(path)
    trial.shapes(net, "TEST", sys.path)
    loaded = prototxt.load(net, "TEST")
    check_all(loaded, stored, path)
    put(loaded, stored)
    return loaded


def restore(net, path):
    """Copy into a caffe.Net the weights of a snapshot of that very net: the names and shapes of all layers agree."""
    stored = read(path)
    check_all(net, stored, path)
    others = sorted(set(stored) - set(net.params))
    if others:
        raise ValueError(
            f"{path} is of another net: it has layers {shortened(others)}, which this one has not; "
            "give the snapshot of this net, or --weights to start anew with the layers that are the same"
        )
    put(net, stored)


def start(nets, paths):
    """Copy weights into the layers of the same names, as `caffe train --weights` does.

    Args:
        nets: of a solver, the training net first.
        paths: files; a later one counts where both have a layer.

    Returns:
        A line that names the layers without weights, and the weights without a layer; None if there are none.

    Raises:
        ValueError: a file is no file of weights, has those of another shape, or none for any layer.
        OSError: a file cannot be read.
    """
    if not paths:
        return None
    learned, started, unused = list(nets[0].params), set(), []
    for path in paths:
        stored = read(path)
        for net in nets:
            shared = sharing(net)
            for name in sorted(set(stored) & set(net.params)):
                check(path, name, stored, net, shared)
        if not set(stored) & set(learned):
            raise ValueError(
                f"--weights {path} has weights for the layers {shortened(sorted(stored))}, and the net learns those of "
                f"{shortened(learned)}; give layers that shall start from them the same names"
            )
        for net in nets:
            put(net, stored)
        started |= set(stored)
        unused += [name for name in stored if not any(name in net.params for net in nets)]
    random = [name for name in learned if name not in started]
    if not random and not unused:
        return None
    return (
        f"--weights {','.join(paths)}: {len(learned) - len(random)} of {len(learned)} layers start from them"
        + f"; not {shortened(random)}, which start from their fillers" * bool(random)
        + f"; {shortened(unused)} of the file are in no layer of the net" * bool(unused)
    )


def of_zero(net):
    """The names of the layers whose weights are all 0, as without a filler."""
    kinds = {name: layer.type for name, layer in zip(net._layer_names, net.layers)}
    return [name for name, blobs in net.params.items() if kinds[name] in ZERO and not blobs[0].data.any()]


def put(net, stored):
    """Copy arrays into the layers of those names."""
    for name in set(stored) & set(net.params):
        for k, array in stored[name].items():
            data = net.params[name][k].data
            data[...] = array.reshape(data.shape)


def with_weights(net, loaded):
    """A copy of a NetParameter that has the weights of the caffe.Net of it, as a .caffemodel has them."""
    stored = type(net)()
    stored.CopyFrom(net)
    for layer in stored.layer:
        for blob in loaded.params.get(layer.name, ()):
            proto, data = layer.blobs.add(), blob.data.astype("<f4").tobytes()
            proto.shape.dim.extend(blob.data.shape)
            proto.MergeFromString(DATA + varint(len(data)) + data)  # extend would take the numbers one by one
    return stored


def varint(number):
    """A whole number as protobuf has it: seven bits a byte, the lowest first."""
    low, high = number & 127, number >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


# Checks


def check_all(net, stored, path):
    shared = sharing(net)
    for name in net.params:
        check(path, name, stored, net, shared)


def check(path, name, stored, net, shared):
    """Refuse the weights of a layer if not each of its blobs has its own, finite and of its shape.

    Args:
        path: of the file, for messages.
        name: of the layer.
        stored: {layer: {number of the blob: array}}.
        net: a caffe.Net.
        shared: what `sharing` gives for it. A file may leave these out.
    """
    blobs, arrays = net.params[name], stored.get(name, {})
    shapes = {k: tuple(blobs[k].data.shape) for k in range(len(blobs)) if k in arrays or (name, k) not in shared}
    if shapes and not arrays:
        raise ValueError(
            f"{path} has no weights for layer {name} of the net, but for {shortened(sorted(stored))}; give those "
            "of this net"
        )
    there = {k: arrays[k].shape for k in sorted(arrays)}
    if {k: squeezed(shape) for k, shape in there.items()} != {k: squeezed(shape) for k, shape in shapes.items()}:
        raise ValueError(
            f"{path}: layer {name} has weights of shapes {list(there.values())} there and {list(shapes.values())} in "
            "the net; give the file of this net, or the layer another name"
        )
    for array in arrays.values():
        if not np.isfinite(array).all():
            raise ValueError(
                f"{path}: layer {name} has weights that are nan or inf; give those of an earlier iteration"
            )


def sharing(net):
    """{(layer, number of the blob)} of the parameters that have the memory of an earlier one."""
    owners, shared = set(), set()
    for name, blobs in net.params.items():
        for k in range(len(blobs)):
            address = blobs[k].data.__array_interface__["data"][0]
            if address in owners:
                shared.add((name, k))
            owners.add(address)
    return shared


def squeezed(shape):
    """The shape without leading ones: blobs of an older Caffe have four axes always."""
    shape = [int(dim) for dim in shape]
    while shape[:1] == [1]:
        shape = shape[1:]
    return shape


# Reading


def read(path):
    """{layer: {number of the blob: array}} in a file of weights. ValueError if there are none, or it is damaged."""
    stored = read_hdf5(path) if is_hdf5(path) else read_proto(path)
    if not stored:
        raise ValueError(f"{path} has no weights; give the .caffemodel that training snapshots")
    return stored


def is_hdf5(path):
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path} is no file; {REMEDY}")
    with open(path, "rb") as file:
        return file.read(len(HDF5)) == HDF5


def read_proto(path):
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    net = caffe_pb2.NetParameter()
    try:
        with open(path, "rb") as file:
            net.ParseFromString(file.read())
        layers = {layer.name: layer.blobs for layer in [*net.layer, *map(unwrapped, net.layers)] if layer.blobs}
        if not all(map(is_text, layers)):
            raise DecodeError
    except (DecodeError, UnicodeDecodeError):
        raise ValueError(f"{path} is no .caffemodel, or a damaged one; {REMEDY}") from None
    return {name: {k: array_of(blob, path, name) for k, blob in enumerate(blobs)} for name, blobs in layers.items()}


def is_text(value):
    """Whether a string of a message is one: protobuf gives bytes for what is no UTF-8."""
    return isinstance(value, str) and value.isprintable()


def unwrapped(layer):
    """A layer of the first format, which is inside of one of the second."""
    return layer.layer if layer.HasField("layer") else layer


def array_of(blob, path, name):
    shape, numbers = shape_of(blob), values(blob)
    if not is_whole(blob):
        raise ValueError(
            f"{path}: layer {name} has {numbers.size} weights for the shape {shape}; the file is damaged, {REMEDY}"
        )
    return numbers.reshape(shape)


def is_whole(blob):
    """Whether a BlobProto has as many numbers as its shape says."""
    shape = shape_of(blob)
    return min(shape, default=0) >= 0 and values(blob).size == np.prod(shape, dtype=object)


def shape_of(blob):
    return tuple(blob.shape.dim) if blob.HasField("shape") else (blob.num, blob.channels, blob.height, blob.width)


def values(blob):
    """The numbers of a BlobProto, through its packed form: of the field itself, numpy takes them one by one."""
    field, dtype = ("double_data", "<f8") if blob.double_data else ("data", "<f4")
    count = len(getattr(blob, field))
    alone = type(blob)()
    getattr(alone, field).MergeFrom(getattr(blob, field))
    packed = alone.SerializeToString()
    numbers = np.frombuffer(packed, dtype, count, offset=len(packed) - count * np.dtype(dtype).itemsize)
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused as inf
        return numbers.astype(np.float32)


def read_hdf5(path):
    import h5py

    try:
        with h5py.File(path, "r") as file:
            data = file["data"] if isinstance(file.get("data"), h5py.Group) else {}
            return {
                name: {int(key): np.asarray(group[key], np.float32) for key in group}
                for name, group in data.items()
                if isinstance(group, h5py.Group) and len(group)
            }
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:  # h5py raises what it likes
        raise ValueError(f"{path} is no file of weights, or a damaged one ({first_line(error)}); {REMEDY}") from None


def first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]
