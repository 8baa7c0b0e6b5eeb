"""The net for training and testing: data layers, the net, its losses, its metrics."""

import json
import math
import os

from .. import losses
from ..data import lists
from ..data.augment import with_level
from ..net.kinds import OURS
from ..net.testing import phases_of
from ..wiring import TestMetrics, metrics_layer
from .known import LOSSES, TEMPLATES


def train_val(
    net, loss, known=None, *, data="lmdb", list_folder=None, label_format="DENSE", num_classes=None, batch=None,
    metrics=(), test_images=None, changes=None, seed=None
):  # fmt: skip
    """The net for training and testing.

    Args:
        known: its Template.
        list_folder: a ListFolder to read from instead of `data`, or None.
        metrics: names for MultiLabelMetrics, or none; `test_images` are measured.
        changes: {"mirror": ..., "resample": ..., "augment": ...} of the images, in training.
        The others are those of `template`.

    Returns:
        A caffe NetParameter.
    """
    import caffe

    known = known or TEMPLATES[net]
    batch = batch or known.batch
    source = {"data": data, "list_folder": list_folder, "batch": batch, "label_format": label_format, "seed": seed}
    source["changes"] = changes or {"mirror": known.channels == 3, "resample": False, "augment": "none"}
    n = data_layers(known, phase=caffe.TRAIN, **source)
    tests = data_layers(known, phase=caffe.TEST, **source).to_proto()
    count = len(n.to_proto().layer)
    for head, scores, weight in add_scores(n, net, loss, num_classes or known.num_classes):
        # Without loss_weight, Caffe takes a Python layer for none that trains, and trains nothing.
        n[f"{head}/loss" if head else "loss"] = caffe.layers.Python(
            scores,
            n.labels,
            loss_weight=weight,
            module=OURS,
            layer=LOSSES[loss],
            param_str=json.dumps({"label_format": label_format}),
        )
    layers = n.to_proto().layer
    proto = caffe.proto.caffe_pb2.NetParameter(name=known.title, layer=[*layers[:count], *tests.layer, *layers[count:]])
    if metrics:
        head = phases_of(proto).head()
        proto.layer.append(metrics_layer(head, TestMetrics(metrics, test_images or known.tests), batch))
    return proto


class ListFolder:
    """The lists in a folder that `caffe-losses split` made."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.class_file = os.path.join(self.folder, "classes.txt")
        self.classes = lists.read_classes(self.class_file)

    def tests(self):
        """The name of the list for the TEST phase: the best weights are chosen by it."""
        return "validation" if os.path.exists(self.path("validation")) else "test"

    def path(self, name):
        """Of the list of that name, whatever its form."""
        paths = [os.path.join(self.folder, name + ending) for ending in (".csv", ".jsonl", ".txt")]
        return next((path for path in paths if os.path.exists(path)), paths[0])

    def count(self, name):
        return len(lists.read(self.path(name), self.classes))


def data_layers(known, *, data, list_folder, batch, phase, label_format, changes, seed):
    """A NetSpec with data and labels, of one phase."""
    import caffe
    from caffe import layers as L

    include = {"phase": phase}
    tests = list_folder.tests() if list_folder else "test"
    where = {caffe.TRAIN: "train", caffe.TEST: tests}[phase]
    lmdb = {"batch_size": batch, "backend": caffe.params.Data.LMDB, "include": include}
    n = caffe.NetSpec()
    if list_folder:
        options = image_options(known, list_folder.path(where), list_folder.class_file, batch, label_format)
        if phase == caffe.TRAIN:
            options = with_level(dict(options, shuffle=True, mirror=changes["mirror"]), changes["augment"])
            options.update({"resample": True} if changes["resample"] else {})
            options.update({} if seed is None else {"seed": seed})
        n.data, n.labels = L.Python(
            ntop=2, module=OURS, layer="MultiLabelImageData", param_str=json.dumps(options), include=include
        )
        return n
    if data == "hdf5":
        n.data, n.labels = L.HDF5Data(ntop=2, source=f"{where}.txt", batch_size=batch, include=include)
        return n
    transform = dict(known.transform, crop_size=known.size[0], mirror=phase == caffe.TRAIN and changes["mirror"])
    n.data = L.Data(source=f"{where}_images_lmdb", transform_param=transform, **lmdb)
    if data == "lmdb":
        n.labels = L.Data(source=f"{where}_labels_lmdb", **lmdb)
    else:
        n.labels = L.HDF5Data(source=f"{where}_labels.txt", batch_size=batch, include=include)
    return n


def image_options(known, source, classes, batch, label_format):
    """The options of MultiLabelImageData: images resized before the crop, as the net's authors had them."""
    height, width = known.size
    options = {"source": source, "classes": classes, "batch_size": batch, "label_format": label_format}
    options.update(new_height=known.resize[0], new_width=known.resize[1])
    options.update(known.transform, crop_size=height if height == width else [height, width])
    return dict(options, color="GRAY") if known.channels == 1 else options


def add_scores(n, net, loss, num_classes):
    """Add the net and its scores; returns (head, scores, loss_weight) for each head."""
    from . import nets

    heads = getattr(nets, net)(n)
    bias = first_bias(loss, num_classes)
    return [(head, nets.add_scores(n, head, x, num_classes, bias), weight) for head, x, weight in heads]


def first_bias(loss, num_classes):
    """The bias that gives each class a probability of 1 / num_classes: for a softmax, any.

    Sigmoids that start at 1/2 have the gradient of num_classes / 2 wrong labels (Lin et al., 2017).
    """
    of_scores = getattr(losses, LOSSES[loss])
    return -math.log(max(1, num_classes - 1)) if of_scores.activation == "Sigmoid" else 0.0
