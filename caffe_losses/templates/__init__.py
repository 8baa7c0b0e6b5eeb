"""Templates: train_val, deploy and solvers of well-known nets with our losses, as in prototxt/.

    caffe-losses template resnet50 --loss softmax --num-classes 17000 --label-format INDEX -o folder
    caffe-losses template resnet50 --loss softmax --lists folder_that_caffe-losses_split_made -o folder

The nets are written with Caffe's NetSpec, from their papers (see `nets`), the solvers with the recipe of
Mahajan et al., 2018 (see `solvers`).
"""

import json
import math
import os
from collections import namedtuple

from .. import losses
from ..data import lists
from ..wiring import deploy
from ..wiring.metrics_layer import metrics_layers
from .solvers import solvers

Template = namedtuple("Template", "title channels size transform rate num_classes batch iter_size images test_images")

SUBTRACTED = {"mean_value": [104, 117, 123]}  # of ImageNet, blue first
TEMPLATES = {
    "lenet": Template("LeNet", 1, 28, {"scale": 1 / 256}, 0.01, 10, 64, 4, 60000, 10000),
    "caffenet": Template("CaffeNet", 3, 227, SUBTRACTED, 0.01, 1000, 64, 4, 1281167, 50000),
    "googlenet": Template("GoogLeNet", 3, 224, SUBTRACTED, 0.01, 1000, 32, 8, 1281167, 50000),
    "resnet50": Template("ResNet-50", 3, 224, SUBTRACTED, 0.1, 1000, 32, 8, 1281167, 50000),
    "mobilenet": Template(
        "MobileNet", 3, 224, {"mean_value": [103.94, 116.78, 123.68], "scale": 0.017}, 0.1, 1000, 32, 8, 1281167, 50000
    ),
}
LOSSES = {"softmax": "MultiLabelSoftmaxLoss", "sigmoid": "SigmoidCrossEntropyLoss"}
LABEL_FORMATS = "DENSE", "INDEX"
DATA = {
    "lmdb": "{phase}_images_lmdb and {phase}_labels_lmdb",
    "lmdb-hdf5": "{phase}_images_lmdb, and the HDF5 files in the list {phase}_labels.txt",
    "hdf5": "the HDF5 files in the list {phase}.txt, with data and labels",
}


METRICS = "mAP", "hit@1"


def template(net, loss, data="lmdb", label_format="DENSE", num_classes=None, batch=None, iter_size=None,
             images=None, test_images=None, epochs=90, warmup_epochs=5, lists=None, metrics=METRICS):  # fmt: skip
    """The four files of a template: {file name: text}. What is None is the net's own default.

    lists    folder with classes.txt and the lists train and test of images, which are read, and tell how many there are
    metrics  names for MultiLabelMetrics, measured on the test images
    """
    known = TEMPLATES[net]
    if lists:
        data = ImageLists(lists)
        num_classes, images, test_images = len(data.classes), data.count("train"), data.count("test")
    num_classes, batch = num_classes or known.num_classes, batch or known.batch
    iter_size, images = iter_size or known.iter_size, images or known.images
    test_images = test_images or known.test_images
    name = f"{net}_{loss}"
    warmup, main = solvers(name, known.rate, batch, iter_size, images, test_images, epochs, warmup_epochs)
    training = train_val(net, loss, data, label_format, num_classes, batch, list(metrics), test_images)
    inference, _ = deploy(training, shapes={"data": [1, known.channels, known.size, known.size]})
    files = {
        "train_val.prototxt": text(training),
        "deploy.prototxt": text(inference),
        "warmup_solver.prototxt": warmup,
        "solver.prototxt": main,
    }
    if lists:
        source = f"--lists {lists} --label-format {label_format}"
        counts = ""
    else:
        source = f"--data {data} --label-format {label_format} --num-classes {num_classes}"
        counts = f" --images {images} --test-images {test_images}"
    command = (
        f"# caffe-losses template {net} --loss {loss} {source} \\\n#   --batch {batch} --iter-size {iter_size}{counts} "
        f"--epochs {epochs} --warmup-epochs {warmup_epochs} --metrics {' '.join(metrics)}\n"
    )
    return {file: command + body for file, body in files.items()}


class ImageLists:
    """The lists in a folder that `caffe-losses split` made."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.class_file = os.path.join(self.folder, "classes.txt")
        self.classes = lists.read_classes(self.class_file)

    def path(self, name):
        """Of the list of that name, whatever its form."""
        found = [os.path.join(self.folder, name + ending) for ending in (".csv", ".jsonl", ".txt")]
        return next((path for path in found if os.path.exists(path)), found[0])

    def count(self, name):
        return len(lists.read(self.path(name), self.classes))


def train_val(net, loss, data, label_format, num_classes, batch, metrics=(), test_images=None):
    """The net for training and testing, as a NetParameter."""
    import caffe

    n = data_layers(net, data, batch, caffe.TRAIN, label_format)
    tests = data_layers(net, data, batch, caffe.TEST, label_format).to_proto()
    count = len(n.to_proto().layer)
    for head, scores, weight in scores_of(n, net, loss, num_classes):
        # Without loss_weight, Caffe takes a Python layer for none that trains, and trains nothing.
        n[f"{head}/loss" if head else "loss"] = caffe.layers.Python(
            scores,
            n.labels,
            loss_weight=weight,
            module="caffe_losses.layers",
            layer=LOSSES[loss],
            param_str=json.dumps({"label_format": label_format}),
        )
    proto = n.to_proto()
    layers = proto.layer[:count] + list(tests.layer) + proto.layer[count:]
    if metrics:  # of the last head, which is the net's own
        last, options = layers[-1], {"label_format": label_format}
        kind = getattr(losses, LOSSES[loss])
        layers += metrics_layers(last, kind, last.bottom[0], "labels", metrics, test_images, batch, options)
    return caffe.proto.caffe_pb2.NetParameter(name=TEMPLATES[net].title, layer=layers)


def data_layers(net, data, batch, phase, label_format):
    """A NetSpec with data and labels, of one phase."""
    import caffe
    from caffe import layers as L

    known = TEMPLATES[net]
    include = {"phase": phase}
    where = {caffe.TRAIN: "train", caffe.TEST: "test"}[phase]
    lmdb = {"batch_size": batch, "backend": caffe.params.Data.LMDB, "include": include}
    n = caffe.NetSpec()
    if isinstance(data, ImageLists):
        n.data, n.labels = L.Python(
            ntop=2,
            module="caffe_losses.layers",
            layer="MultiLabelImageData",
            param_str=json.dumps(image_options(known, data, batch, phase == caffe.TRAIN, label_format)),
            include=include,
        )
        return n
    if data == "hdf5":
        n.data, n.labels = L.HDF5Data(ntop=2, source=f"{where}.txt", batch_size=batch, include=include)
        return n
    transform = dict(known.transform, crop_size=known.size, mirror=phase == caffe.TRAIN and known.channels == 3)
    n.data = L.Data(source=f"{where}_images_lmdb", transform_param=transform, **lmdb)
    if data == "lmdb":
        n.labels = L.Data(source=f"{where}_labels_lmdb", **lmdb)
    else:
        n.labels = L.HDF5Data(source=f"{where}_labels.txt", batch_size=batch, include=include)
    return n


def image_options(known, data, batch, train, label_format):
    """The options of MultiLabelImageData: images of 256 x 256 before the crop, as their authors had them."""
    gray, side = known.channels == 1, known.size if known.channels == 1 else 256
    options = {"source": data.path("train" if train else "test"), "classes": data.class_file, "batch_size": batch}
    options.update(label_format=label_format, new_height=side, new_width=side, crop_size=known.size)
    options.update(known.transform)
    options.update({"color": "GRAY"} if gray else {})
    return dict(options, shuffle=True, mirror=not gray) if train else options


def scores_of(n, net, loss, num_classes):
    """Add the net and its scores; returns (head, scores, loss_weight) for each head."""
    from . import nets

    heads = getattr(nets, net)(n)
    bias = first_bias(loss, num_classes)
    return [(head, nets.add_scores(n, head, x, num_classes, bias), weight) for head, x, weight in heads]


def first_bias(loss, num_classes):
    """The bias that gives each class a probability of 1 / num_classes: for a softmax, any.

    Sigmoids that start at 1/2 have the gradient of num_classes / 2 wrong labels (Lin et al., 2017).
    """
    return -math.log(max(1, num_classes - 1)) if loss == "sigmoid" else 0.0


def text(net):
    """A net as text: of each layer, name, type and blobs on one line, then a line for each kind of parameter."""
    from google.protobuf import text_format

    lines = [f'name: "{net.name}"']
    for layer in net.layer:
        first, kinds = type(layer)(), {}
        for field, value in layer.ListFields():
            if field.message_type is None:
                first.MergeFrom(type(layer)(**{field.name: value}))
            else:
                kinds[field.name] = type(layer)(**{field.name: value})
        parts = [text_format.MessageToString(part, as_one_line=True).strip() for part in [first, *kinds.values()]]
        lines.append("layer { " + "\n  ".join(parts) + " }")
    return "\n".join(lines) + "\n"


def add_template(commands):
    parser = commands.add_parser(
        "template",
        help="write train_val, deploy and solvers of a well-known net",
        description="Write a net's train_val.prototxt, deploy.prototxt, warmup_solver.prototxt and "
        "solver.prototxt into a folder.",
    )
    parser.add_argument("net", choices=TEMPLATES)
    parser.add_argument("--loss", choices=LOSSES, required=True)
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True)
    described = "; ".join(f"{name}: {where.format(phase='train')}" for name, where in DATA.items())
    parser.add_argument("--data", choices=DATA, default="lmdb", help=f"{described} (lmdb; the same with test)")
    parser.add_argument(
        "--lists",
        metavar="FOLDER",
        help="instead of --data: image files, from the lists that `caffe-losses split` made there, which also tell the "
        "numbers of images and classes",
    )
    parser.add_argument(
        "--metrics",
        metavar="NAME",
        nargs="*",
        default=METRICS,
        help="measured in TEST (mAP hit@1); mAP keeps 5 bytes a class and test image",
    )
    parser.add_argument("--label-format", choices=LABEL_FORMATS, default="DENSE", help="of the labels (DENSE)")
    parser.add_argument("--num-classes", metavar="N", type=positive, help="(1000; lenet: 10)")
    parser.add_argument("--batch", metavar="N", type=positive, help="images at a time (32; caffenet, lenet: 64)")
    parser.add_argument("--iter-size", metavar="N", type=positive, help="batches an iteration (to make 256)")
    parser.add_argument("--images", metavar="N", type=positive, help="of the training set (ImageNet, MNIST)")
    parser.add_argument("--test-images", metavar="N", type=positive, help="of the test set")
    parser.add_argument("--epochs", metavar="N", type=positive, default=90, help="(90)")
    parser.add_argument("--warmup-epochs", metavar="N", type=positive, default=5, help="of them (5)")
    parser.set_defaults(run=run_template)


def positive(value):
    if int(value) < 1:
        raise ValueError
    return int(value)


def run_template(options):
    given = vars(options).copy()
    for name in ("command", "run", "output"):
        given.pop(name, None)
    files = template(**given)
    os.makedirs(options.output, exist_ok=True)
    for name, body in files.items():
        path = os.path.join(options.output, name)
        with open(path, "w") as file:
            file.write(body)
        print(path)
    return 0
