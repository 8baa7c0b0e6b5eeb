"""caffe-losses resample: a list of images, with those of rare labels repeated."""

import os

import numpy as np

from ..data import lists
from ..data.order import resampled
from .arguments import outputs
from .split import absolute, add_list, read_list


def add_parser(commands):
    parser = commands.add_parser(
        "resample",
        help="rewrite a list with images of rare labels repeated",
        description="Square-root resampling: a label of f images is repeated max(1, sqrt(t / f)) times, t being "
        "the frequency of the most common one, and an image as often as its rarest label. In another folder than the "
        "list's, paths are made absolute.",
    )
    parser.add_argument("-o", "--output", metavar="LIST", required=True, help="list to write")
    add_list(parser)
    parser.set_defaults(run=run)


def run(options):
    output = outputs(options, [options.output])
    images = read_list(options)
    repeats = resampled(images, options.seed)
    if folder_of(options.output) != folder_of(options.list):
        absolute(images, options)
    rows = images.subset(np.repeat(np.arange(len(images)), repeats))
    output.write([lists.text(rows, options.output)])
    print(f"{options.output}: {repeats.sum()} lines for {len(images)} images, at most {repeats.max()} of one")
    return 0


def folder_of(path):
    return os.path.dirname(os.path.realpath(path))
