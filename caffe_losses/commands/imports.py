"""caffe-losses import: a data set in a known layout becomes a list of images with their labels."""

import os

from ..data import findings, imports, lists
from .arguments import add_force, outputs

FORMS = {  # the options that each has to have, and those that it may have
    "coco": (("images",), ("difficult",)),
    "voc": (("set",), ("images", "difficult")),
    "attributes": (("images",), ("set", "partition")),
}
RULE = imports.DIFFICULT[0]


def add_parser(commands):
    parser = commands.add_parser(
        "import",
        help="make a list of a COCO file, a VOC folder or a table of attributes",
        description="Write LIST, and classes.txt beside it: `split` and `template --lists` read them. If classes.txt "
        "is there, its classes hold, so that the lists of several sets have the same. Paths are absolute. Pictures "
        "without labels are in the list, too.",
    )
    parser.add_argument("form", choices=list(FORMS), help="coco: an instances file; voc: a folder; attributes: a table")
    parser.add_argument("source", metavar="SOURCE", help="the file or folder")
    parser.add_argument("-o", "--output", metavar="LIST", required=True, help="list to write: .csv, .jsonl or .txt")
    parser.add_argument("--images", metavar="DIR", help="folder of the pictures (of voc: JPEGImages)")
    parser.add_argument("--set", metavar="NAME", help="of voc and attributes: train, val, test, or another set")
    parser.add_argument(
        "--partition", metavar="FILE", help="of attributes: the set of each picture, as list_eval_partition.txt"
    )
    parser.add_argument(
        "--difficult",
        choices=imports.DIFFICULT,
        help="objects that VOC calls difficult, and crowds of COCO. count: they are labels; drop: they are not; "
        f"ignore: the label is -1, for ignore_label, in a .jsonl list ({RULE})",
    )
    add_force(parser)
    parser.set_defaults(run=run)


def run(options):
    check_options(options)
    classes_path = os.path.join(os.path.dirname(options.output), "classes.txt")
    has_classes = os.path.exists(classes_path)
    output = outputs(options, [options.output] + [classes_path] * (not has_classes))
    dataset = read(options)
    classes = lists.read_classes(classes_path) if has_classes else dataset.classes
    images = imports.listed(dataset, classes, classes_path)
    output.write([lists.text(images, options.output)] + ["".join(name + "\n" for name in classes)] * (not has_classes))
    print(f"{options.output}: {findings.summary(images)}{findings.absent(images)}")
    empty = sum(images.starts[1:] == images.starts[:-1])
    print(f"{options.output}: {findings.count(empty, 'image')} without labels")
    if dataset.difficult:
        rule = options.difficult or RULE
        print(f"{options.output}: {findings.count(dataset.difficult, 'label')} of difficult objects alone: {rule}")
    print(
        f"{classes_path}: {findings.count(len(classes), 'class', 'classes')}, " + ("kept" if has_classes else "written")
    )
    return 0


def check_options(options):
    needed, allowed = FORMS[options.form]
    for name in ("images", "set", "partition", "difficult"):
        there = getattr(options, name) is not None
        if name in needed and not there:
            raise ValueError(f"import {options.form}: expected --{name}, got none; give it")
        if there and name not in (*needed, *allowed):
            raise ValueError(f"import {options.form}: --{name} says nothing about this layout; leave it out")
    if options.form == "attributes" and (options.set is None) != (options.partition is None):
        raise ValueError("import attributes: --set and --partition go together; give both or none")


def read(options):
    """The DataSet."""
    rule = options.difficult or RULE
    if options.form == "coco":
        return imports.coco(options.source, options.images, rule)
    if options.form == "voc":
        return imports.voc(options.source, options.set, rule, options.images)
    return imports.attributes(options.source, options.images, options.partition, options.set)
