"""What a reader of a known layout gives, and the list that is made of it."""

import os
from collections import namedtuple

from ..findings import count
from ..numbering import check_name, image_list

DIFFICULT = "count", "drop", "ignore"

# path: of the file that names the pictures. rows: Rows with labels {name: value} and paths in `folder`; their line is 0
# in a file that is one object. classes: their names. difficult: number of labels that only difficult objects have
DataSet = namedtuple("DataSet", "path rows classes folder difficult")


def labels_of(names, difficult_names, rule):
    """The labels of a picture: {name: 1}, or -1 for one that is not known.

    names            of its objects
    difficult_names  of those that are hard to see, or many in one. One that is in `names`, too, is a label like others
    rule             what becomes of the rest. count: labels. drop: no labels. ignore: not known
    """
    labels = dict.fromkeys(names, 1.0)
    if rule != "drop":
        value = 1.0 if rule == "count" else -1.0
        labels.update((name, value) for name in difficult_names if name not in labels)
    return labels


def only_difficult(names, difficult_names):
    """How many names have difficult objects alone."""
    return len(set(difficult_names) - set(names))


def listed(dataset, classes, classes_path):
    """The ImageList of a DataSet, with absolute paths.

    classes       names, in their order
    classes_path  the file that they are in, or will be

    ValueError for a picture that is not there, for a label that is no class, and for a name that cannot be in a file
    with one name a line.
    """
    for number, name in enumerate(classes, 1):
        check_name(classes_path, number, name)
    missing = sorted(set(dataset.classes) - set(classes))
    if missing:
        raise ValueError(
            f"{classes_path} is there already, without the class {missing[0]!r} of {dataset.path}; add it, or write "
            "the list into another folder"
        )
    if not dataset.rows:
        raise ValueError(f"{dataset.path}: expected pictures, got none")
    rows = [row._replace(path=os.path.abspath(os.path.join(dataset.folder, row.path))) for row in dataset.rows]
    absent = [row for row in rows if not os.path.isfile(row.path)]
    if absent:
        line = f", line {absent[0].line}" if absent[0].line else ""
        raise ValueError(
            f"{dataset.path}{line}: {absent[0].path} is no file, {count(len(absent), 'picture')} of "
            f"{len(rows)} like it; give the folder of the pictures with --images"
        )
    return image_list(dataset.path, rows, list(classes), "imported")
