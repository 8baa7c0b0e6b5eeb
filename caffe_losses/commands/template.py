"""caffe-losses template: the prototxt files of a well-known net."""

import os

from ..templates import DATA, LABEL_FORMATS, LOSSES, METRICS, TEMPLATES, template
from .arguments import add_force, outputs, positive


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
    parser.add_argument("--data", choices=DATA, default="lmdb", help=f"{sources} (lmdb; the same with test)")
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
    add_force(parser)
    parser.set_defaults(run=run)


def run(options):
    arguments = {
        name: value for name, value in vars(options).items() if name not in ("command", "run", "output", "force")
    }
    files = template(**arguments)
    paths = [os.path.join(options.output, name) for name in files]
    outputs(options, paths).write(files.values())
    print("\n".join(paths))
    return 0
