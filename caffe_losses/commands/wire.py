"""caffe-losses wire: a single-label train_val for several labels an image."""

import os

from .. import losses, metrics
from ..data import lists
from ..data.transform import COLORS
from ..net import prototxt
from ..options import checked
from ..wiring import ImageLists, Rewritten, TestMetrics, check, is_deploy, starting, wire
from .arguments import add_rewriting, finish, input_file, key_value, positive, size, stages_of


def mean(text):
    """[104.0, 117.0, 123.0] from "104,117,123"; any other text is the name of a file."""
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        return text


def add_parser(commands):
    parser = commands.add_parser(
        "wire",
        help="rewire a single-label train_val for several labels an image",
        description="Replace the losses of a net, and what goes with them. Each change is printed. Exit 2, and "
        "nothing written: the net is not understood, or an argument is wrong.",
    )
    parser.add_argument(
        "net", type=input_file, help="prototxt of the net for training, or of a deploy net, also of an older Caffe"
    )
    parser.add_argument("--loss", required=True, choices=losses.__all__)
    parser.add_argument(
        "--param", metavar="KEY=VALUE", type=key_value, action="append", default=[], help="of the loss; may be repeated"
    )
    parser.add_argument("--num-classes", metavar="N", type=positive, help="resize and rename the layers of the scores")
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
    parser.add_argument(
        "--resize", metavar="H,W", type=size, help="resize the lists' images to this before they are cropped"
    )
    parser.add_argument(
        "--mean",
        metavar="MEAN",
        type=mean,
        help="subtract this from the lists' images, instead of what the net subtracts: e.g. 104,117,123, or a file",
    )
    parser.add_argument("--scale", metavar="X", type=float, help="multiply the lists' images by this, after --mean")
    parser.add_argument(
        "--color", choices=COLORS, help="the lists' images have these channels, where the net does not tell (as before)"
    )
    parser.add_argument(
        "--batch", metavar="N", nargs="+", type=positive, help="images at a time, in TRAIN and in TEST (as they are)"
    )
    parser.add_argument(
        "--metrics", metavar="NAME", nargs="+", help="measure in TEST, with MultiLabelMetrics: mAP, hit@1"
    )
    parser.add_argument(
        "--test-images", metavar="N", type=positive, help="of the test set (for --metrics; of its list)"
    )
    parser.add_argument(
        "--weights", metavar="W", type=input_file, help="those that training will start from: which layers have some"
    )
    parser.add_argument(
        "--freeze", metavar="LAYER", help="keep the weights of this layer, and of those that it is made of"
    )
    parser.add_argument("--head", metavar="NAME", action="append", help="only this loss layer; may be repeated")
    add_rewriting(parser)
    parser.set_defaults(run=run)


def run(options):
    check_arguments(options)
    num_classes = options.num_classes
    if options.classes:
        num_classes = len(lists.read_classes(options.classes))
        if options.num_classes not in (None, num_classes):
            raise ValueError(f"--num-classes {options.num_classes}: {options.classes} has {num_classes} names")
    places = Places(options.output)
    file, foreign = prototxt.read_foreign(options.net)
    if is_deploy(file.net):
        check_deploy(options)
    net, lines = wire(
        file.net,
        options.loss,
        options=dict(options.param),
        num_classes=num_classes,
        labels=options.labels,
        sources=options.label_source and [places.path(source) for source in options.label_source],
        heads=options.head,
        image_lists=image_lists(options, places),
        metrics=test_metrics(options),
        batches=both(options.batch),
        stages=stages_of(options),
        foreign=foreign,
        frozen=options.freeze,
    )
    if options.weights:
        lines.append(starting(net, options.weights, is_deploy(file.net)))

    def train_once(net):
        return check(net, dict(options.shape), stages_of(options), [options.weights] if options.weights else [])

    return finish(file, Rewritten(net, lines + places.lines()), options, train_once)


class Places:
    """Paths as they go into the written file: relative to its folder if that is this one, and absolute otherwise.

    Caffe starts relative paths in the folder that it runs in.
    """

    def __init__(self, output):
        folder = os.path.dirname(os.path.abspath(output))
        self.here, self.file, self.paths = folder == os.getcwd(), os.path.basename(output), []

    def path(self, path):
        self.paths += [] if os.path.isabs(path) or path in self.paths else [path]
        return path if self.here else os.path.abspath(path)

    def lines(self):
        """What to say of them."""
        if not self.paths:
            return []
        if self.here:
            return [f"paths: of {', '.join(self.paths)} relative to the folder of {self.file}; train there"]
        return [f"paths: of {', '.join(self.paths)} absolute, as {self.file} goes into another folder"]


def both(values):
    """One or two values as that for TRAIN and that for TEST; None if there are none."""
    return values and [values[0], values[-1]]


def check_arguments(options):
    """Refuse arguments that do not go together."""
    ones_or_twos = ("--label-source", options.label_source), ("--image-list", options.image_list)
    for name, sources in (*ones_or_twos, ("--batch", options.batch)):
        if len(sources or []) > 2:
            raise ValueError(f"{name}: expected one or two, got {len(sources)}")
    keys = [key for key, _ in options.param]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise ValueError(f"--param: expected KEY=VALUE, each key once, got {twice[0]} twice")
    of_lists = options.classes, options.resize, options.color, options.mean, options.scale
    if not options.image_list and any(value is not None for value in of_lists):
        raise ValueError("--classes, --resize, --color, --mean and --scale are of lists; give --image-list TRAIN TEST")
    if options.image_list and options.label_source:
        raise ValueError("--image-list has the labels too; leave --label-source out")
    if options.image_list and not (options.classes or options.num_classes):
        raise ValueError("--image-list: expected the names of the classes with --classes FILE, or --num-classes N")


def check_deploy(options):
    """A deploy net does not say what its images were, nor has it fillers to start from."""
    wanted = {"--image-list TRAIN TEST": options.image_list, "--weights W": options.weights,
              "--mean MEAN": options.mean, "--scale X": options.scale, "--batch N": options.batch}  # fmt: skip
    missing = [name for name, value in wanted.items() if value is None]
    if missing:
        raise ValueError(
            f"{options.net} is a deploy net, and does not tell what its weights were trained on; give "
            f"{', '.join(missing)} (e.g. --mean 104,117,123 --scale 1)"
        )


def image_lists(options, places):
    """The ImageLists of the arguments, or None."""
    if not options.image_list:
        return None
    classes = places.path(options.classes) if options.classes else options.num_classes
    mean_of_lists = places.path(options.mean) if isinstance(options.mean, str) else options.mean
    return ImageLists(
        list(map(places.path, options.image_list)), classes, options.resize, mean_of_lists, options.color, options.scale
    )


def test_metrics(options):
    """The TestMetrics of the arguments, or None."""
    if not options.metrics:
        return None
    checked("MultiLabelMetrics", metrics.OPTIONS[:1], {"metrics": options.metrics})
    images = options.test_images
    if images is None and options.image_list and os.path.exists(options.image_list[-1]):
        images = len(lists.read(options.image_list[-1], options.classes and lists.read_classes(options.classes)))
    if not images:
        raise ValueError(f"--metrics: expected the images of the test set with --test-images N, got {images}")
    return TestMetrics(options.metrics, images)
