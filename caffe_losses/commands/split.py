"""caffe-losses split: a list of images becomes one to train and one to test with."""

import os

from ..data import findings, lists
from ..data.forms import form_of
from ..data.split import split, with_frequent
from .arguments import add_force, input_file, outputs

ENDINGS = {"csv": ".csv", "jsonl": ".jsonl", "txt": ".txt"}


def add_parser(commands):
    parser = commands.add_parser(
        "split",
        help="split a list of images for training and testing",
        description="Write FOLDER/train and FOLDER/test, in the list's own form, and FOLDER/classes.txt. The paths "
        "of the images are made absolute. How the list was read is printed, and what is odd about it.",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True)
    parser.add_argument("--test", metavar="SHARE", type=float, default=0.1, help="of the images to test with (0.1)")
    parser.add_argument(
        "--min-images", metavar="N", type=int, help="leave out labels of fewer images (1; with --classes, none)"
    )
    parser.add_argument(
        "--unopened", action="store_true", help="do not open the pictures to find broken and equal ones"
    )
    add_list(parser)
    parser.set_defaults(run=run)


def add_list(parser):
    """The arguments that tell of a list, and how to write another."""
    add_reading(parser)
    parser.add_argument("--seed", type=int, default=0, help="of what is left to chance (0)")
    add_force(parser)


def add_reading(parser):
    """The arguments that tell of a list."""
    parser.add_argument("list", metavar="LIST", type=input_file, help=".txt, .csv or .jsonl list of images with labels")
    parser.add_argument(
        "--classes", metavar="FILE", type=input_file, help="one class name a line (the list's own, in order)"
    )
    parser.add_argument("--separator", metavar="S", help="of the labels in a cell; '': each cell is one label")


def read_list(options):
    images = lists.read(options.list, options.classes and lists.read_classes(options.classes), options.separator)
    print(f"{options.list}: {images.layout}")
    print(f"{options.list}: {findings.summary(images)}")
    return images


def absolute(images, options):
    """Make the paths of the images absolute, so that the list that is written may be anywhere."""
    folder = os.path.dirname(os.path.abspath(options.list))
    images.paths = [os.path.join(folder, path) for path in images.paths]


def run(options):
    if not 0 < options.test < 1:
        raise ValueError(f"--test: expected a share in (0, 1), got {options.test}")
    ending = ENDINGS[form_of(options.list)]
    paths = [os.path.join(options.output, name) for name in ("test" + ending, "train" + ending, "classes.txt")]
    check_other_forms(options.output, ending)
    images = read_list(options)
    parts = parts_of(images, options)
    names = [parts.train.name(k) for k in range(parts.train.num_classes())]
    texts = [lists.text(part, path) for part, path in zip((parts.test, parts.train), paths)]
    texts.append("".join(name + "\n" for name in names))
    outputs(options, paths, texts=texts).write(texts)
    for path, part in zip(paths, (parts.test, parts.train)):
        print(f"{path}: {len(part)} images{findings.absent(part)}")
    print(f"{paths[2]}: {len(names)} classes")
    return 0


def check_other_forms(folder, ending):
    """Lists of another form would stay beside the new ones, and be read in their place."""
    for name in (part + form for part in ("train", "test") for form in ENDINGS.values() if form != ending):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            raise ValueError(f"{path} is there already, a list of another form; remove it, or give another folder")


def parts_of(images, options):
    """The Parts of the list: an index list names all its classes, also those that only images of one part have."""
    minimum = options.min_images if options.min_images is not None else int(not options.classes)
    frequent = images.frequencies() >= minimum
    if not frequent.any():
        raise ValueError(f"--min-images: no label has {minimum} images")
    if not frequent.all():
        print(f"{options.list}: {findings.left_out(images, frequent, minimum)}")
    images = with_frequent(images, minimum)
    if images.classes is None:
        images.classes = images.num_classes()
    tests = round(len(images) * options.test)
    if not 0 < tests < len(images):
        raise ValueError(f"{options.list}: {len(images)} images are too few for a share of {options.test} to test with")
    absolute(images, options)
    looks = findings.pictures(images.paths, opened=not options.unopened)
    for sentence in findings.found(images, looks):
        print(f"{options.list}: {sentence}")
    parts = split(images, tests, options.seed, findings.groups(looks))
    if not len(parts.train):
        raise ValueError(f"{options.list}: all {len(images)} images are one picture; expected two or more")
    return parts
