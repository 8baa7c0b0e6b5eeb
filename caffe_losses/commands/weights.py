"""caffe-losses weights: weights of classes, from a list of images."""

import numpy as np

from ..data.weights import BETA, SCHEMES, class_weights, pos_weights
from .arguments import add_force, outputs
from .split import add_reading, read_list

KINDS = "class_weight", "pos_weight"


def add_parser(commands):
    parser = commands.add_parser(
        "weights",
        help="weights of classes for a loss, from a list of images",
        description="Write a number for each class, a line each, as the options class_weight and pos_weight of the "
        "losses take it. Exit 2: the list is wrong, or a class has no image.",
    )
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help=".txt file to write")
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default=KINDS[0],
        help="class_weight: by --scheme, 1 on average; pos_weight: images without / with the label (class_weight)",
    )
    parser.add_argument(
        "--scheme",
        choices=SCHEMES,
        help="of n images, inverse: 1 / n; sqrt: 1 / sqrt(n); effective: (1 - beta) / (1 - beta^n) (inverse)",
    )
    parser.add_argument("--beta", metavar="B", type=float, help=f"of --scheme effective, in [0, 1) ({BETA})")
    add_reading(parser)
    add_force(parser)
    parser.set_defaults(run=run)


def run(options):
    if not options.output.endswith(".txt"):
        raise ValueError(f"--output {options.output}: expected a name that ends in .txt, as the losses want it")
    if options.kind == "pos_weight" and options.scheme:
        raise ValueError("--scheme: it is of --kind class_weight; leave it out")
    if options.beta is not None and options.scheme != "effective":
        raise ValueError("--beta: it is of --scheme effective; leave it out")
    beta = BETA if options.beta is None else options.beta
    if not 0 <= beta < 1:
        raise ValueError(f"--beta: expected a number in [0, 1), got {beta:g}")
    output, images = outputs(options, [options.output]), read_list(options)
    frequencies = images.frequencies()
    empty = [images.name(k) for k in np.flatnonzero(frequencies == 0)]
    if empty:
        raise ValueError(
            f"{options.list}: {len(empty)} classes have no image, e.g. {empty[0]}, and so no weight; leave them out, "
            "as caffe-losses split --min-images 1 does it"
        )
    if options.kind == "pos_weight":
        weights = pos_weights(frequencies, len(images))
    else:
        weights = class_weights(frequencies, options.scheme or SCHEMES[0], beta)
    output.write(["".join(f"{weight:.9g}\n" for weight in weights)])
    always = [images.name(k) for k in np.flatnonzero(weights == 0)]
    if always:
        print(f"{options.output}: all images have {always[0]}: with the weight 0, that class has no loss")
    extremes = [(images.name(k), weights[k]) for k in (int(weights.argmin()), int(weights.argmax()))]
    told = " to ".join(f"{weight:.4g} ({name})" for name, weight in extremes)
    print(f"{options.output}: {len(weights)} weights, from {told}")
    return 0
