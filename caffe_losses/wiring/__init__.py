"""Rewires a train_val that one has for several labels an image, and makes the deploy net of it.

    caffe-losses wire train_val.prototxt -o hashtags.prototxt --loss MultiLabelSoftmaxLoss --num-classes 17000 \\
        --label-source train_labels_lmdb test_labels_lmdb --check
    caffe-losses deploy hashtags.prototxt -o deploy.prototxt

`wire.wire` and `deploy.deploy` do it to a NetParameter. The text is written anew: comments are not kept.
"""

import json
import os

from .. import losses, metrics
from .. import options as params
from ..data.lists import read as read_list
from ..data.lists import read_classes
from .check import check
from .deploy import deploy
from .net import read, write
from .wire import wire

__all__ = ["add_deploy", "add_wire", "check", "deploy", "read", "wire", "write"]


def add_wire(commands):
    parser = commands.add_parser(
        "wire",
        help="rewire a single-label train_val for several labels an image",
        description="Replace the losses of a net, and what goes with them. Each change is printed. Exit 2, and "
        "nothing written: the net is not understood, or an argument is wrong.",
    )
    parser.add_argument("net", help="prototxt of the net for training, also of an older Caffe")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="prototxt to write")
    parser.add_argument("--loss", required=True, choices=losses.__all__)
    parser.add_argument("--param", metavar="KEY=VALUE", action="append", help="of the loss; may be repeated")
    parser.add_argument("--num-classes", metavar="N", type=int, help="resize and rename the layers of the scores")
    parser.add_argument("--labels", metavar="TOP", help="the blob with the labels (as it is)")
    parser.add_argument(
        "--label-source",
        metavar="SOURCE",
        nargs="+",
        help="read the labels from here, in TRAIN and in TEST: an LMDB, or a .txt list of HDF5 files",
    )
    parser.add_argument(
        "--image-list",
        metavar="LIST",
        nargs="+",
        help="read images and labels from lists, in TRAIN and in TEST, with MultiLabelImageData",
    )
    parser.add_argument(
        "--classes", metavar="FILE", help="class names of the lists, one a line; tells --num-classes too"
    )
    parser.add_argument("--resize", metavar="H,W", help="resize the lists' images to this before they are cropped")
    parser.add_argument(
        "--metrics", metavar="NAME", nargs="+", help="measure in TEST, with MultiLabelMetrics: mAP, hit@1"
    )
    parser.add_argument("--test-images", metavar="N", type=int, help="of the test set (for --metrics; of its list)")
    parser.add_argument("--head", metavar="NAME", action="append", help="only this loss layer; may be repeated")
    parser.add_argument("--check", action="store_true", help="load the result in Caffe")
    add_shape(parser)
    parser.set_defaults(run=run_wire)


def run_wire(options):
    if options.num_classes is not None and options.num_classes < 1:
        raise ValueError(f"--num-classes: expected a number >= 1, got {options.num_classes}")
    for name, given in (("--label-source", options.label_source), ("--image-list", options.image_list)):
        if len(given or []) > 2:
            raise ValueError(f"{name}: expected one or two, got {len(given)}")
    lists, num_classes = given_lists(options)
    shapes = given_shapes(options.shape)
    net, upgraded = read(options.net)
    wired, lines = wire(
        net,
        options.loss,
        given_params(options.param),
        num_classes,
        options.labels,
        options.label_source,
        options.head,
        lists,
        given_metrics(options),
    )
    print("\n".join(upgrade_line(upgraded) + lines))
    return finish(wired, options, shapes)


def given_lists(options):
    """What `wire` takes as lists, or None; and the number of classes."""
    if not options.image_list:
        if options.classes or options.resize:
            raise ValueError("--classes and --resize are of lists; give --image-list TRAIN TEST")
        return None, options.num_classes
    if options.label_source:
        raise ValueError("--image-list has the labels too; leave --label-source out")
    if not (options.classes or options.num_classes):
        raise ValueError("--image-list: expected the names of the classes with --classes FILE, or --num-classes N")
    resize = given_shapes([options.resize])[None] if options.resize else None
    if resize and len(resize) != 2:
        raise ValueError(f"--resize: expected H,W, got {options.resize}")
    named = len(read_classes(options.classes)) if options.classes else options.num_classes
    if options.num_classes not in (None, named):
        raise ValueError(f"--num-classes {options.num_classes}: {options.classes} has {named} names")
    return (options.image_list, options.classes or options.num_classes, resize), named


def given_metrics(options):
    """What `wire` takes as metrics, or None."""
    if not options.metrics:
        return None
    params.checked("MultiLabelMetrics", metrics.OPTIONS[:1], {"metrics": options.metrics})
    images = options.test_images
    if images is None and options.image_list and os.path.exists(options.image_list[-1]):
        images = len(read_list(options.image_list[-1], options.classes and read_classes(options.classes)))
    if images is None or images < 1:
        raise ValueError(f"--metrics: expected the images of the test set with --test-images N, got {images}")
    return options.metrics, images


def add_deploy(commands):
    parser = commands.add_parser(
        "deploy",
        help="make the net for inference of a train_val",
        description="Input layers for data, a Softmax or Sigmoid for the loss, and only the layers between. Each "
        "change is printed.",
    )
    parser.add_argument("net", help="prototxt of the net for training")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="prototxt to write")
    parser.add_argument(
        "--head",
        metavar="NAME",
        action="append",
        help="the loss whose scores to keep (that of the largest loss_weight)",
    )
    parser.add_argument("--check", action="store_true", help="load the result in Caffe")
    add_shape(parser)
    parser.set_defaults(run=run_deploy)


def run_deploy(options):
    shapes = given_shapes(options.shape)
    net, upgraded = read(options.net)
    deployed, lines = deploy(net, options.head, shapes)
    print("\n".join(upgrade_line(upgraded) + lines))
    return finish(deployed, options, {})


def add_shape(parser):
    parser.add_argument(
        "--shape",
        metavar="[TOP=]N,C,H,W",
        action="append",
        help="of data that does not tell its shape, as crop_size does; may be repeated",
    )


def upgrade_line(upgraded):
    return ["upgraded from the format of an older Caffe"] * upgraded


def finish(net, options, shapes):
    """Check if asked to, before anything is written."""
    if options.check:
        print("\n".join(check(net, shapes)))
    write(net, options.output)
    return 0


def given_params(texts):
    """{"gamma": 2, "label_scale": "SUM"} from ["gamma=2", "label_scale=SUM"]: values are JSON, or strings."""
    given = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or key in given:
            raise ValueError(f"--param: expected KEY=VALUE, each key once, got {text}")
        try:
            given[key] = json.loads(value)
        except ValueError:
            given[key] = value
    return given


def given_shapes(texts):
    """{"data": [1, 3, 224, 224]} from ["data=1,3,224,224"]; without a name, the key is None."""
    shapes = {}
    for text in texts or []:
        top, _, dims = text.rpartition("=")
        try:
            shape = [int(dim) for dim in dims.split(",")]
        except ValueError:
            shape = [0]
        if min(shape) < 1:
            raise ValueError(f"--shape: expected [TOP=]N,C,H,W, got {text}")
        shapes[top or None] = shape
    return shapes
