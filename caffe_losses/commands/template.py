"""caffe-losses template: the prototxt files of a well-known net."""

import math
import os

from ..data.augment import LEVELS
from ..templates import DATA, LABEL_FORMATS, LOSSES, METRICS, TEMPLATES, summary, template
from .arguments import add_force, outputs, positive, refuse, size


def add_parser(commands):
    parser = commands.add_parser(
        "template",
        help="write train_val, deploy and solvers of a well-known net",
        description="Write a net's train_val.prototxt, deploy.prototxt, warmup_solver.prototxt and "
        "solver.prototxt into a folder.",
    )
    parser.add_argument("net", choices=TEMPLATES)
    parser.add_argument("--loss", choices=LOSSES, required=True)
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True)
    sources = "; ".join(f"{name}: {where.format(phase='train')}" for name, where in DATA.items())
    parser.add_argument("--data", choices=DATA, help=f"{sources} (lmdb; the same with test)")
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
    parser.add_argument("--images", metavar="N", type=positive, help="of the training set (ImageNet, MNIST)")
    parser.add_argument("--test-images", metavar="N", type=positive, help="of the test set")
    add_pictures(parser)
    add_training(parser)
    add_force(parser)
    parser.set_defaults(run=run)


def add_pictures(parser):
    parser.add_argument("--size", metavar="H[,W]", type=side, help="of the images that the net takes (224; lenet: 28)")
    parser.add_argument("--color", choices=("COLOR", "GRAY"), help="(COLOR; lenet: GRAY)")
    parser.add_argument("--mean", metavar="X[,Y,Z]", type=numbers, help="subtracted; of colors, blue is first")
    parser.add_argument("--scale", metavar="X", type=float, help="then multiplied by")
    parser.add_argument("--mirror", action="store_true", default=None, help="mirror half of the images (of colors)")
    parser.add_argument("--no-mirror", dest="mirror", action="store_false", help="mirror none")
    parser.add_argument("--resample", action="store_true", help="square-root resampling")
    parser.add_argument("--augment", choices=LEVELS, default="none", help="how much images change in training (none)")


def add_training(parser):
    parser.add_argument("--batch", metavar="N", type=positive, help="images at a time (32; caffenet, lenet: 64)")
    parser.add_argument("--iter-size", metavar="N", type=positive, help="batches an iteration (to make 256)")
    parser.add_argument("--epochs", metavar="N", type=passes, default=90, help="may be a fraction (90)")
    parser.add_argument("--warmup-epochs", metavar="N", type=passes_or_0, help="of them; 0: none (5, if they fit)")
    parser.add_argument("--base-lr", metavar="RATE", type=passes, help="after the warm-up (in proportion to the batch)")
    parser.add_argument("--seed", metavar="N", type=int, help="of weights, and of order and changes of the images")
    parser.add_argument(
        "--snapshot-keep", metavar="N", type=positive, help="snapshots that `caffe-losses train` shall keep (2)"
    )


def side(text):
    """(height, width) from "64" or "64,128"."""
    return size(text if "," in text else f"{text},{text}")


def numbers(text):
    """[104.0, 117.0, 123.0] from "104,117,123"."""
    return [float(word) for word in text.split(",")]


def passes(text):
    """A number above 0."""
    return passes_or_0(text) or refuse("a number above 0", text)


def passes_or_0(text):
    """A number of 0 or more; a whole one as int."""
    number = float(text)
    if not 0 <= number < math.inf:
        refuse("a number >= 0", text)
    return int(number) if number == int(number) else number


def run(options):
    aside = "command", "run", "output", "force"
    files = template(**{name: value for name, value in vars(options).items() if name not in aside})
    paths = [os.path.join(options.output, name) for name in files]
    warmup = os.path.join(options.output, "warmup_solver.prototxt")
    if warmup not in paths and os.path.exists(warmup):
        raise ValueError(f"{warmup} is there, and this template has no warm-up; remove it, or give another folder")
    output, lines = outputs(options, paths, texts=files.values()), summary(files)
    output.write(files.values())
    print("\n".join([*paths, *lines]))
    keep = f" --keep {options.snapshot_keep}" if options.snapshot_keep else ""
    print(f"train it with: caffe-losses train {options.output}{keep}")
    return 0
