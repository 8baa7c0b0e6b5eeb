"""A net of a train_val, cut to what is to be computed, with its weights; what Caffe would abort for is seen before."""

import os
import tempfile

from .. import losses
from .. import options as params
from ..wiring.check import load as check_that_it_loads
from ..wiring.deploy import main_heads, main_view, scores_of
from ..wiring.net import LABEL_LOSSES, is_ours, kind, write
from ..wiring.wire import old_options

HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file starts


def quiet():
    """Have Caffe print errors alone; before anything imports it."""
    os.environ.setdefault("GLOG_minloglevel", "2")


class Head:
    """What a loss layer tells of its scores.

    scores, labels  the blobs
    activation      "Softmax" or "Sigmoid", which makes probabilities of the scores, or None if it is not known
    probabilities   whether the scores are probabilities already
    options         label_format and ignore_label
    """

    def __init__(self, view, layer):
        ours = getattr(losses, layer.python_param.layer) if is_ours(layer) else None
        self.layer = layer
        self.scores = scores_of(view, layer)
        self.labels = next(blob for blob in layer.bottom if blob != self.scores)
        self.probabilities = ours is not None and not ours.has_probabilities
        maker = getattr(losses, ours.of_scores) if self.probabilities else ours
        self.activation = LABEL_LOSSES[layer.type] if ours is None else maker.activation
        self.options = label_options(layer)


def label_options(layer):
    """label_format and ignore_label of a loss layer's labels."""
    said = old_options(layer)
    if said.get("axis", 1) not in (1, -1):
        raise ValueError(f"layer {layer.name} ({kind(layer)}) has its classes on axis {said['axis']}; expected axis 1")
    if layer.type in ("SoftmaxWithLoss", "MultinomialLogisticLoss", "HingeLoss"):
        said["label_format"] = "INDEX"  # their one label
    return {name: said[name] for name in ("label_format", "ignore_label") if name in said}


def test_view(net, path):
    """The net in the TEST phase."""
    view = main_view(net)
    if view.state.phase != 1:
        raise ValueError(f"{path} has no loss in the TEST phase; give a train_val with data and labels for TEST")
    return view


def main_head(view, path):
    """The Head of the loss of the largest loss_weight."""
    layers = main_heads(view, None)
    if len(layers) > 1:
        names = ", ".join(layer.name for layer in layers)
        raise ValueError(
            f"{path} has losses of the same loss_weight, {names}, so that it is not clear whose scores to take"
        )
    return Head(view, layers[0])


def options_of_labels(view, labels):
    """label_format and ignore_label, as the first known loss says that takes these labels."""
    for layer in view.layers:
        if labels in layer.bottom[1:] and (layer.type in LABEL_LOSSES or is_ours(layer)):
            return label_options(layer)
    return {}


def cut(net, view, wanted):
    """The net with only the layers that make these (layer, blob): the layer takes the blob; None: it is the last's."""
    kept, left = [], [maker(view, layer, blob) for layer, blob in wanted]
    while left:
        layer = left.pop()
        if not any(layer is other for other in kept):
            kept.append(layer)
            left += [view.maker(layer, blob) for blob in layer.bottom]
    small = type(net)(name=net.name, layer=sorted(kept, key=view.index))
    for layer in small.layer:
        layer.ClearField("include")
        layer.ClearField("exclude")
    return small


def maker(view, layer, blob):
    if layer is not None:
        return view.maker(layer, blob)
    makers = [other for other in view.layers if blob in other.top]
    if not makers:
        raise ValueError(f"expected a blob of the net, got {blob}; it has {', '.join(blobs(view))}")
    return makers[-1]


def blobs(view):
    return dict.fromkeys(top for layer in view.layers for top in layer.top)


def load(net, weights):
    """The net in Caffe, in the TEST phase, with the weights of a .caffemodel or .caffemodel.h5.

    ValueError, before Caffe ends the process for it, for a net that does not load, and for weights that are
    none or of another shape, or that a layer of the net does not find.
    """
    stored = shapes_of_weights(weights)
    check_that_it_loads(net, "TEST")
    import caffe

    handle, path = tempfile.mkstemp(suffix=".prototxt")
    os.close(handle)
    try:
        write(net, path)
        loaded = caffe.Net(path, caffe.TEST)
    finally:
        os.remove(path)
    for name in loaded._layer_names:
        check_weights(weights, name, stored, loaded.params.get(name, []))
    loaded.copy_from(weights)
    return loaded


def check_weights(path, name, stored, found):
    """Refuse the weights of a layer of which Caffe could not copy all."""
    expected = [tuple(found[k].data.shape) for k in range(len(found))]
    if expected and name not in stored:
        names = params.shortened(sorted(stored))
        raise ValueError(f"{path} has no weights for layer {name} of the net, but for {names}")
    if [squeezed(shape) for shape in stored.get(name, [])] != [squeezed(shape) for shape in expected]:
        raise ValueError(f"{path}: layer {name} has weights of shapes {stored[name]} there and {expected} in the net")


def squeezed(shape):
    """The shape without leading ones: blobs of an older Caffe have four axes always."""
    shape = [int(dim) for dim in shape]
    while shape[:1] == [1]:
        shape = shape[1:]
    return shape


def shapes_of_weights(path):
    """{layer: shapes of its blobs} in a file of weights."""
    with open(path, "rb") as file:
        data = file.read()
    found = shapes_in_hdf5(path) if data.startswith(HDF5) else shapes_in_proto(path, data)
    if not found:
        raise ValueError(f"{path} has no weights; give the .caffemodel that training snapshots")
    return found


def shapes_in_proto(path, data):
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    net = caffe_pb2.NetParameter()
    try:
        net.ParseFromString(data)
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


def add_net(parser):
    parser.add_argument("--model", metavar="NET", required=True, help="prototxt of the train_val")
    parser.add_argument("--weights", metavar="W", required=True, help="its .caffemodel or .caffemodel.h5")


def given_names(path, layer, classes):
    """The classes' names, of a file or of the MultiLabelImageData layer if there is one; else their numbers."""
    from ..data import lists

    if path is None and layer is not None:
        said = params.parse(layer.python_param.layer, layer.python_param.param_str).get("classes")
        path = said if isinstance(said, str) else None
    names = list(map(str, range(classes))) if path is None else lists.read_classes(path)
    if len(names) != classes:
        raise ValueError(f"{path} has {len(names)} names, and the net has {classes} classes; give one name a class")
    return names
