"""A list of images as the text of a file."""

import csv
import io
import json
from collections import namedtuple

from .forms import plain

# An image to be written. labels: {name: value}
Entry = namedtuple("Entry", "path labels weight")


def text_of(images, path, form):
    """The text of an ImageList as csv, jsonl or txt. ValueError for what the form has no place for."""
    if form == "csv":
        content = io.StringIO()
        csv.writer(content, delimiter="\t" if path.lower().endswith(".tsv") else ",", lineterminator="\n").writerows(
            csv_cells(images)
        )
        return content.getvalue()
    return "".join(line + "\n" for line in (json_lines if form == "jsonl" else text_lines)(images, path))


def entries(images):
    """An Entry for each image."""
    for i, path in enumerate(images.paths):
        span = range(images.starts[i], images.starts[i + 1])
        labels = {images.name(images.index[k]): number(images.values[k]) for k in span}
        yield Entry(path, labels, 1.0 if images.weights is None else number(images.weights[i]))


def number(value):
    """A float32 as the shortest number that is read as the same."""
    return float(str(value))


def json_lines(images, path):
    for image, labels, weight in entries(images):
        ones = all(value == 1 for value in labels.values())
        row = {"path": image, "labels": list(labels) if ones else labels}
        yield json.dumps(row if images.weights is None else dict(row, weight=weight), ensure_ascii=False)


def csv_cells(images):
    """One column for all labels, if all have the value 1 and no name has a separator. Else a column a class."""
    names = [images.name(k) for k in range(images.num_classes())]
    joint = bool((images.values == 1).all()) and not any(mark in name for name in names for mark in "|;,")
    joint = joint and not any(name.startswith(("[", "{")) for name in names)
    # A | at the end of a single label says that its spaces separate nothing.
    end = "|" if images.most_labels() < 2 and any(" " in name for name in names) else ""
    weighted = images.weights is not None
    yield ["path"] + (["labels"] if joint else names) + ["weight"] * weighted
    for image, labels, weight in entries(images):
        cells = ["|".join(labels) + end * bool(labels)] if joint else [f"{labels.get(name, 0):.9g}" for name in names]
        yield [image] + cells + [f"{weight:.9g}"] * weighted


def text_lines(images, path):
    if images.weights is not None or (images.values != 1).any():
        raise ValueError(f"{path}: weights and label values do not go into a text list; write .csv or .jsonl")
    for image, labels, _ in entries(images):
        words = [image, *labels]
        if any(len(word.split()) != 1 for word in words):
            raise ValueError(f"{path}: {plain(image)} or a label of it has spaces; write .csv or .jsonl")
        yield " ".join(words)
