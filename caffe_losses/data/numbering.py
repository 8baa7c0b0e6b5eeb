"""From the labels of images to the indices of classes."""

import difflib
import re
import unicodedata
from collections import Counter
from itertools import chain

import numpy as np

from .forms import shown
from .image_list import ImageList

INDEX = re.compile(r"0|[1-9][0-9]*")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|nan", re.IGNORECASE)
LARGEST = 2**24  # from here on float32, which blobs hold, skips whole numbers
DENSE = "one number a class goes into a .csv list with a column for each class"


def is_index(label):
    """Whether a label is a class index, as Python would write it: 007 is a name."""
    return INDEX.fullmatch(label) is not None


def is_number(label):
    return NUMBER.fullmatch(label) is not None


def image_list(path, rows, classes, layout):
    """The ImageList of Rows whose labels are lists or objects.

    classes  names of the classes, or their number, or None: the names in the list, in alphabetical order
    """
    check_vectors(path, rows)
    labels = set(chain.from_iterable(row.labels for row in rows))
    if classes is None:
        classes = names_in(path, rows, labels)
    has_names = isinstance(classes, (list, tuple))
    names = {name: k for k, name in enumerate(classes)} if has_names else None
    if has_names and labels and all(map(is_index, labels)) and labels.isdisjoint(names):
        names = None  # a list of indices, and the names that they stand for
    limit = len(classes) if has_names else classes or LARGEST
    number_of = numbering(path, rows, names, limit)
    counts, index, values, weights = [], [], [], []
    for row in rows:
        by_class = number_of(row)
        nonzero = sorted(k for k, value in by_class.items() if value != 0)
        counts.append(len(nonzero))
        index += nonzero
        values += [by_class[k] for k in nonzero]
        weights.append(weight_of(path, row))
    return ImageList(
        [row.path for row in rows],
        starts=np.append(0, np.cumsum(counts, dtype=np.int64)),
        index=np.array(index, np.int64),
        values=np.array(values, np.float32),
        weights=np.array(weights, np.float32) if any(row.weight is not None for row in rows) else None,
        classes=classes,
        lines=np.array([row.line for row in rows], np.int64),
        layout=f"{layout}, labels are {'class indices' if names is None else 'names'}",
    )


def check_vectors(path, rows):
    """Refuse rows of 0 and 1, or of -1 and 1, with one number for each class: they are no lists of labels."""
    lists = [row for row in rows if isinstance(row.labels, list)]
    widths = {len(row.labels) for row in lists}
    if len(widths) != 1 or max(widths) < 2:
        return
    labels = set(chain.from_iterable(row.labels for row in lists))
    if not all(map(is_number, labels)):
        return
    if {abs(float(label)) for label in labels} <= {0, 1} and len({tuple(row.labels) for row in lists}) > 1:
        raise ValueError(
            f"{path}, line {lists[0].line}: expected the labels that the image has, got "
            f"{shown(' '.join(lists[0].labels))} and {widths.pop()} numbers like these in each line; {DENSE}"
        )


def names_in(path, rows, labels):
    """All labels in order, or None if they are indices."""
    if not labels:
        raise ValueError(f"{path}: expected images with labels, got {len(rows)} lines without any; add labels")
    if all(map(is_index, labels)):
        return None
    all_numbers = all(map(is_number, labels))
    for row in rows:
        for label in row.labels:
            if not is_index(label) and ((all_numbers and is_number(label)) or re.fullmatch(r"-[\d.]+", label)):
                raise ValueError(
                    f"{path}, line {row.line}: expected names, or class indices from 0 on, got the label "
                    f"{shown(label)}; list the labels that the image has and no others; {DENSE}"
                )
    return sorted(labels)


def numbering(path, rows, names, limit):
    """A function from a Row to {index of a class: value}. It refuses what is no class, and a class twice.

    names  {name: index}, or None if the labels are indices
    limit  the number of classes
    """
    checked = set()

    def number_of(row):
        labels = row.labels if isinstance(row.labels, dict) else dict.fromkeys(row.labels, 1.0)
        for label in labels:
            if label not in checked:
                check_class(path, row, label, names, limit)
                checked.add(label)
        if len(labels) < len(row.labels):
            twice = next(label for label, count in Counter(row.labels).items() if count > 1)
            hint = f"; {DENSE}" if is_number(twice) else "; leave it out"
            raise ValueError(f"{path}, line {row.line}: expected each label once, got {shown(twice)} twice{hint}")
        return {int(label) if names is None else names[label]: value for label, value in labels.items()}

    return number_of


def check_class(path, row, label, names, limit):
    """Refuse a label that is no class."""
    if names is not None and label in names:
        return check_name(path, row.line, label)
    if names is None and is_index(label) and int(label) < limit:
        return None
    if names is None:
        expected = f"one of {limit} classes" if is_index(label) else "a class index"
        hint = f"indices are 0 to {limit - 1}" if is_index(label) else "names need a classes file"
    else:
        near = difflib.get_close_matches(label, names, 1)
        expected = f"one of {limit} classes"
        hint = f"did you mean {shown(near[0])}?" if near else "add it to the classes, or take it out of the list"
        if is_index(label):
            hint = "labels are names here, so write the name, and not an index"
    raise ValueError(f"{path}, line {row.line}: expected {expected}, got the label {shown(label)}; {hint}")


def check_name(path, line, name):
    """Refuse a name that a file with one name in each line cannot hold."""
    if (
        not name
        or name != name.strip()
        or "\ufeff" in name
        or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)
    ):
        raise ValueError(
            f"{path}, line {line}: expected a class name without line breaks, control characters or spaces around it, "
            f"got {ascii(name)[:60]}; change the name"
        )


def weight_of(path, row):
    weight = row.weight
    try:
        value = 1.0 if weight is None or weight == "" else float(weight)
    except (TypeError, ValueError):
        value = -1
    if isinstance(weight, bool) or not 0 <= value <= 1e6:
        raise ValueError(f"{path}, line {row.line}: expected a weight in [0, 1e6], got {str(weight)[:40]!r}")
    return value
