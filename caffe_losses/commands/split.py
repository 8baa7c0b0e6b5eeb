"""caffe-losses split: a list of images becomes one to train and one to test with."""

import os

from ..data import lists
from ..data.split import split, with_frequent


def add_parser(commands):
    parser = commands.add_parser(
        "split",
        help="split a list of images for training and testing",
        description="Write FOLDER/train and FOLDER/test, in the list's own form, and FOLDER/classes.txt. The paths "
        "of the images are made absolute.",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True)
    parser.add_argument("--test", metavar="SHARE", type=float, default=0.1, help="of the images to test with (0.1)")
    parser.add_argument("--min-images", metavar="N", type=int, default=1, help="leave out labels of fewer images (1)")
    add_list(parser)
    parser.set_defaults(run=run)


def add_list(parser):
    """The arguments that tell of a list."""
    parser.add_argument("list", metavar="LIST", help=".txt, .csv or .jsonl list of images with labels")
    parser.add_argument("--classes", metavar="FILE", help="one class name a line (the list's own, in order)")
    parser.add_argument("--seed", type=int, default=0, help="of what is left to chance (0)")


def read_list(options):
    return lists.read(options.list, options.classes and lists.read_classes(options.classes))


def run(options):
    if not 0 < options.test < 1:
        raise ValueError(f"--test: expected a share in (0, 1), got {options.test}")
    images = read_list(options)
    if not (images.frequencies() >= options.min_images).any():
        raise ValueError(f"--min-images: no label has {options.min_images} images")
    images = with_frequent(images, options.min_images)
    tests = round(len(images) * options.test)
    if not 0 < tests < len(images):
        raise ValueError(f"{options.list}: {len(images)} images are too few for a share of {options.test} to test with")
    folder = os.path.dirname(os.path.abspath(options.list))
    images.paths = [os.path.join(folder, path) for path in images.paths]
    os.makedirs(options.output, exist_ok=True)
    ending, parts = os.path.splitext(options.list)[1], split(images, tests, options.seed)
    write_list(parts.test, os.path.join(options.output, "test" + ending))
    write_list(parts.train, os.path.join(options.output, "train" + ending))
    write_classes(images, os.path.join(options.output, "classes.txt"))
    return 0


def write_list(images, path):
    lists.write(images, path)
    print(f"{path}: {len(images)} images")


def write_classes(images, path):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(images.name(k) + "\n" for k in range(images.num_classes()))
    print(f"{path}: {images.num_classes()} classes")
