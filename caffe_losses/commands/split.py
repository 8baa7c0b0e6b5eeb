"""caffe-losses split: a list of images becomes one to train with, one to validate with and one to test with."""

import os

from ..data import findings, lists
from ..data.forms import form_of
from ..data.split import split, with_frequent
from .arguments import add_force, input_file, outputs

ENDINGS = {"csv": ".csv", "jsonl": ".jsonl", "txt": ".txt"}


def add_parser(commands):
    parser = commands.add_parser(
        "split",
        help="split a list of images for training, validation and testing",
        description="Write FOLDER/train and FOLDER/test and, with --validation, FOLDER/validation, in the list's own "
        "form, and FOLDER/classes.txt. The paths of the images are made absolute. How the list was read is printed, "
        "and what is odd about it.",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True)
    parser.add_argument("--test", metavar="SHARE", type=float, default=0.1, help="of the images to test with (0.1)")
    parser.add_argument(
        "--validation",
        metavar="SHARE",
        type=float,
        help="of the images to choose the best weights and thresholds with (none)",
    )
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
    shares = {name: getattr(options, name) for name in ("test", "validation") if getattr(options, name) is not None}
    for name, share in shares.items():
        if not 0 < share < 1:
            raise ValueError(f"--{name}: expected a share in (0, 1), got {share}")
    ending = ENDINGS[form_of(options.list)]
    check_others(options.output, [name + ending for name in ("train", *shares)])
    images = read_list(options)
    parts = parts_of(images, options, shares)
    names = [parts["train"].name(k) for k in range(parts["train"].num_classes())]
    paths = [os.path.join(options.output, name + ending) for name in parts]
    class_file = os.path.join(options.output, "classes.txt")
    texts = [lists.text(part, path) for part, path in zip(parts.values(), paths)]
    texts.append("".join(name + "\n" for name in names))
    outputs(options, [*paths, class_file], texts=texts).write(texts)
    for path, part in zip(paths, parts.values()):
        print(f"{path}: {len(part)} images{findings.absent(part)}")
    print(f"{class_file}: {len(names)} classes")
    return 0


def check_others(folder, written):
    """A list of another form, or one for validation from before, would be read beside the new ones."""
    for name in (part + form for part in ("train", "test", "validation") for form in ENDINGS.values()):
        path = os.path.join(folder, name)
        if name not in written and os.path.exists(path):
            raise ValueError(f"{path} is there already, and not of this split; remove it, or give another folder")


def parts_of(images, options, shares):
    """The parts of the list, by name: an index list names all its classes, also those that only one part has."""
    minimum = options.min_images if options.min_images is not None else int(not options.classes)
    frequent = images.frequencies() >= minimum
    if not frequent.any():
        raise ValueError(f"--min-images: no label has {minimum} images")
    if not frequent.all():
        print(f"{options.list}: {findings.left_out(images, frequent, minimum)}")
    images = with_frequent(images, minimum)
    if images.classes is None:
        images.classes = images.num_classes()
    counts = {name: round(len(images) * share) for name, share in shares.items()}
    if not all(counts.values()) or sum(counts.values()) >= len(images):
        told = " and ".join(f"a share of {share} for {name}" for name, share in shares.items())
        raise ValueError(f"{options.list}: {len(images)} images are too few for {told}")
    absolute(images, options)
    looks = findings.pictures(images.paths, opened=not options.unopened)
    for sentence in findings.found(images, looks):
        print(f"{options.list}: {sentence}")
    groups = findings.groups(looks)
    parts = split(images, counts, options.seed, groups)
    if not all(map(len, parts.values())):
        different = len(set(groups))
        raise ValueError(
            f"{options.list}: {len(images)} images are too few for {len(parts)} parts, as only {different} differ"
        )
    return parts
