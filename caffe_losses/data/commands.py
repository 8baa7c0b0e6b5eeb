"""The commands that make lists: split and resample."""

import os

import numpy as np

from . import lists
from .order import repeat_factors, systematic


def add_split(commands):
    parser = commands.add_parser(
        "split",
        help="split a list of images for training and testing",
        description="Write FOLDER/train and FOLDER/test, in the list's own form, and FOLDER/classes.txt. The paths "
        "of the images are made absolute.",
    )
    parser.add_argument("list", metavar="LIST", help=".txt, .csv or .jsonl list of images with labels")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True)
    parser.add_argument("--test", metavar="SHARE", type=float, default=0.1, help="of the images to test with (0.1)")
    parser.add_argument("--min-images", metavar="N", type=int, default=1, help="leave out labels of fewer images (1)")
    add_common(parser)
    parser.set_defaults(run=run_split)


def add_resample(commands):
    parser = commands.add_parser(
        "resample",
        help="rewrite a list with images of rare labels repeated",
        description="Square-root resampling: a label of f images is repeated max(1, sqrt(t / f)) times, t being "
        "the frequency of the most common one, and an image as often as its rarest label.",
    )
    parser.add_argument("list", metavar="LIST", help=".txt, .csv or .jsonl list of images with labels")
    parser.add_argument("-o", "--output", metavar="LIST", required=True, help="list to write")
    add_common(parser)
    parser.set_defaults(run=run_resample)


def add_common(parser):
    parser.add_argument("--classes", metavar="FILE", help="one class name a line (the list's own, in order)")
    parser.add_argument("--seed", type=int, default=0, help="of what is left to chance (0)")


def read(options):
    return lists.read(options.list, options.classes and lists.read_classes(options.classes))


def run_split(options):
    if not 0 < options.test < 1:
        raise ValueError(f"--test: expected a share in (0, 1), got {options.test}")
    images = with_frequent(read(options), options.min_images)
    order = np.random.RandomState(options.seed).permutation(len(images))
    tests = round(len(images) * options.test)
    if not 0 < tests < len(images):
        raise ValueError(f"{options.list}: {len(images)} images are too few for a share of {options.test} to test with")
    folder = os.path.dirname(os.path.abspath(options.list))
    images.paths = [os.path.join(folder, path) for path in images.paths]
    os.makedirs(options.output, exist_ok=True)
    ending = os.path.splitext(options.list)[1]
    for name, part in (("test", order[:tests]), ("train", order[tests:])):
        path = os.path.join(options.output, name + ending)
        lists.write(images.subset(np.sort(part)), path)
        print(f"{path}: {len(part)} images")
    path = os.path.join(options.output, "classes.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(images.name(k) + "\n" for k in range(images.num_classes()))
    print(f"{path}: {images.num_classes()} classes")
    return 0


def with_frequent(images, minimum):
    """The list without the classes of fewer images, nor images that have no other."""
    kept = np.flatnonzero(images.frequencies() >= minimum)
    if not kept.size:
        raise ValueError(f"--min-images: no label has {minimum} images")
    if kept.size == images.num_classes():
        return images
    new = np.full(images.num_classes(), -1)
    new[kept] = np.arange(kept.size)
    stays = new[images.index] >= 0
    rows = np.repeat(np.arange(len(images)), np.diff(images.starts))[stays]
    starts = np.append(0, np.cumsum(np.bincount(rows, minlength=len(images))))
    index, values, names = new[images.index[stays]], images.values[stays], [images.name(k) for k in kept]
    left = lists.ImageList(images.paths, starts, index, values, images.weights, names)
    return left.subset(np.flatnonzero(np.diff(starts)))


def run_resample(options):
    images = read(options)
    factors = repeat_factors(images)
    factors *= np.round(factors.sum()) / factors.sum()
    repeats = systematic(factors, np.random.RandomState(options.seed).rand())
    lists.write(images.subset(np.repeat(np.arange(len(images)), repeats)), options.output)
    print(f"{options.output}: {repeats.sum()} lines for {len(images)} images, at most {repeats.max()} of one")
    return 0
