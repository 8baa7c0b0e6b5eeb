"""Lists of images with their labels, as text, CSV or JSON lines.

train.txt    path label label ...            labels are names or indices. No name and no path has spaces
train.csv    path,labels,weight              labels are separated by |, by ; or by spaces. weight may be left out
train.csv    path,cat,dog,...                a column for each class, with a number. An empty cell is 0
train.jsonl  {"path": "1.jpg", "labels": ["cat", "dog"], "weight": 2}
"""

import csv
import json
import os
from collections import namedtuple
from itertools import chain

import numpy as np

PATH_COLUMNS = "path", "image", "file", "filename"
SEPARATORS = "|", ";", None

# An image as it is in a file. line: its number there. labels: {label: value}. weight: None if it has none
Row = namedtuple("Row", "line path labels weight")
# A line of a CSV file, before the labels are read
Cells = namedtuple("Cells", "line path cells weight")
# An image to be written. labels: {name: value}
Entry = namedtuple("Entry", "path labels weight")
# The labels of some images, in flat arrays. rows: which image. index: the place in ImageList.index.
# columns: which label of its image
Places = namedtuple("Places", "rows index columns")


class ImageList:
    """Images and their labels.

    paths    as in the list
    starts   the labels of image i are index[starts[i]:starts[i + 1]], with the same part of `values`
    index    the classes of all labels, in the order of the images
    values   their values
    weights  one for each image, or None
    classes  the names, or the number of classes, or None if the labels are indices and nobody said how many
    """

    def __init__(self, paths, *, starts, index, values, weights, classes):
        self.paths, self.weights, self.classes = paths, weights, classes
        self.starts, self.index, self.values = starts, index, values

    def __len__(self):
        return len(self.paths)

    def num_classes(self):
        if self.classes is None:
            return int(self.index.max()) + 1 if self.index.size else 0
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    def name(self, label):
        return str(label) if self.classes is None or isinstance(self.classes, int) else self.classes[label]

    def places(self, images):
        """The Places of all labels of these images."""
        counts = self.starts[images + 1] - self.starts[images]
        rows = np.repeat(np.arange(len(images)), counts)
        columns = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return Places(rows, self.starts[images][rows] + columns, columns)

    def dense(self, images, num_classes, out=None):
        """Labels of these images, float32 of shape (images, classes): 0 for a class that the image does not have."""
        images = np.asarray(images)
        out = np.empty((len(images), num_classes), np.float32) if out is None else out
        places = self.places(images)
        out[...] = 0
        out[places.rows, self.index[places.index]] = self.values[places.index]
        return out

    def indices(self, images, width, out=None):
        """Class indices of these images, float32 of shape (images, width), padded with -1."""
        images = np.asarray(images)
        out = np.empty((len(images), width), np.float32) if out is None else out
        places = self.places(images)
        out[...] = -1
        out[places.rows, places.columns] = self.index[places.index]
        return out

    def most_labels(self):
        """The largest number of labels that an image has."""
        return int(np.diff(self.starts).max())

    def frequencies(self):
        """How many images have each class."""
        return np.bincount(self.index[self.values > 0], minlength=self.num_classes())

    def subset(self, images):
        """The list of these images, in this order. An image may be in it several times."""
        images = np.asarray(images)
        places = self.places(images)
        return ImageList(
            [self.paths[i] for i in images],
            starts=np.append(0, np.cumsum(np.bincount(places.rows, minlength=len(images)))),
            index=self.index[places.index],
            values=self.values[places.index],
            weights=None if self.weights is None else self.weights[images],
            classes=self.classes,
        )


def read(path, classes=None):
    """The ImageList of a file.

    classes  the names of the classes, or their number if the labels are indices. None: the names in the list, in
             alphabetical order

    ValueError, with the number of the line, for a line that is not as above, and for a label that is no class.
    """
    form = os.path.splitext(path)[1].lower()
    read_rows = {".csv": csv_rows, ".jsonl": json_rows}.get(form, text_rows)
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="" if form == ".csv" else None) as file:
        try:
            rows = list(read_rows(path, file, classes))
        except (UnicodeError, csv.Error) as error:
            raise ValueError(f"{path}: cannot be read as a list of images ({error})") from None
    if not rows:
        raise ValueError(f"{path}: expected a list of images, got an empty file")
    return from_rows(path, rows, classes)


def read_classes(path):
    """The class names in a file with one name in each line. ValueError if there is none, or one is there twice."""
    with open(path, encoding="utf-8-sig") as file:
        names = [line.strip() for line in file if line.strip()]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice or not names:
        raise ValueError(f"{path}: expected one class name a line, each once, got {', '.join(twice[:3]) or 'none'}")
    return names


# From a file to Rows


def text_rows(path, file, classes):
    for number, line in enumerate(file, 1):
        words = line.split()
        if words:
            yield Row(number, words[0], dict.fromkeys(words[1:], 1.0), None)


def json_rows(path, file, classes):
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            image, labels, weight = row["path"], row["labels"], row.get("weight")
            labels = labels if isinstance(labels, dict) else dict.fromkeys(labels, 1.0)
            if not isinstance(image, str) or not image:
                raise TypeError
            yield Row(number, image, {key: float(value) for key, value in labels.items()}, weight)
        except (ValueError, TypeError, KeyError):
            expected = '{"path": "a.jpg", "labels": ["cat"]}'
            raise ValueError(f"{path}, line {number}: expected e.g. {expected}, got {line.strip()[:60]}") from None


def csv_rows(path, file, classes):
    table = csv.reader(file)
    header = [name.strip() for name in next(table, [])]
    where = next((header.index(name) for name in PATH_COLUMNS if name in header), None)
    if where is None:
        raise ValueError(f"{path}: expected a header with a column path, got {','.join(header)[:60]}")
    column = header.index("weight") if "weight" in header else None
    lines = []
    for cells in table:
        if any(cells):
            if len(cells) != len(header):
                raise ValueError(
                    f"{path}, line {table.line_num}: expected {len(header)} cells as in the header, got {len(cells)}"
                )
            weight = cells[column] if column is not None else None
            lines.append(Cells(table.line_num, cells[where], cells, weight))
    labels_of = label_column(header, lines, classes) if "labels" in header else class_columns(path, header, where)
    for line in lines:
        yield Row(line.line, line.path, labels_of(line), line.weight)


def label_column(header, lines, classes):
    """A function that reads the cell with all labels. The separator is the first of SEPARATORS that the file has."""
    column = header.index("labels")
    separator = next(s for s in SEPARATORS if s is None or any(s in line.cells[column] for line in lines))
    names = set(classes) if isinstance(classes, (list, tuple)) else ()

    def labels_of(line):
        cell = line.cells[column].strip()
        words = [cell] if cell in names else [word.strip() for word in cell.split(separator)]
        return dict.fromkeys([word for word in words if word], 1.0)

    return labels_of


def class_columns(path, header, where):
    """A function that reads one cell for each class."""
    columns = [k for k, name in enumerate(header) if k != where and name != "weight"]

    def labels_of(line):
        labels = {}
        for k in columns:
            try:
                labels[header[k]] = float(line.cells[k] or 0)
            except ValueError:
                raise ValueError(
                    f"{path}, line {line.line}: expected a number for {header[k]}, got {line.cells[k][:40]!r}; "
                    "several labels in one cell go into a column called labels"
                ) from None
        return labels

    return labels_of


def from_rows(path, rows, classes):
    if classes is None:
        classes = names_in(rows)
    known = {} if classes is None or isinstance(classes, int) else {name: k for k, name in enumerate(classes)}
    limit = len(known) or classes or None
    counts, index, values, weights = [], [], [], []
    for row in rows:
        by_class = {class_of(path, row.line, label, known, limit): value for label, value in row.labels.items()}
        nonzero = sorted(k for k, value in by_class.items() if value != 0)
        counts.append(len(nonzero))
        index += nonzero
        values += [by_class[k] for k in nonzero]
        weights.append(weight_of(path, row.line, row.weight))
    return ImageList(
        [row.path for row in rows],
        starts=np.append(0, np.cumsum(counts, dtype=np.int64)),
        index=np.array(index, np.int64),
        values=np.array(values, np.float32),
        weights=np.array(weights, np.float32) if any(row.weight is not None for row in rows) else None,
        classes=classes,
    )


def names_in(rows):
    """All labels in order, or None if they are indices."""
    labels = set(chain.from_iterable(row.labels for row in rows))
    if all(whole(label) is not None for label in labels):
        return None
    return sorted(map(str, labels))


def whole(label):
    """The label as an index, or None."""
    if isinstance(label, int) and not isinstance(label, bool):
        return label
    return int(label) if isinstance(label, str) and label.isdigit() else None


def class_of(path, number, label, known, limit):
    if label in known:
        return known[label]
    k = whole(label)
    if k is None or k < 0 or (limit is not None and k >= limit):
        expected = "a class index" if limit is None else f"one of {limit} classes"
        hint = "" if known or k is not None else "; names need a classes file"
        raise ValueError(f"{path}, line {number}: expected {expected}, got the label {str(label)[:40]!r}{hint}")
    return k


def weight_of(path, number, weight):
    try:
        value = 1.0 if weight is None or weight == "" else float(weight)
    except (TypeError, ValueError):
        value = -1
    if not 0 <= value <= 1e6:
        raise ValueError(f"{path}, line {number}: expected a weight in [0, 1e6], got {str(weight)[:40]!r}")
    return value


def write(images, path):
    """Write the list. The ending of the path tells the form. ValueError for what this form cannot hold."""
    form = os.path.splitext(path)[1].lower()
    lines = {".csv": csv_cells, ".jsonl": json_lines}.get(form, text_lines)(images, path)
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        if form == ".csv":
            csv.writer(file, lineterminator="\n").writerows(lines)
        else:
            file.writelines(line + "\n" for line in lines)


def entries(images):
    """An Entry for each image."""
    for i, path in enumerate(images.paths):
        span = range(images.starts[i], images.starts[i + 1])
        labels = {images.name(images.index[k]): float(images.values[k]) for k in span}
        yield Entry(path, labels, 1.0 if images.weights is None else float(images.weights[i]))


def json_lines(images, path):
    for image, labels, weight in entries(images):
        ones = all(value == 1 for value in labels.values())
        row = {"path": image, "labels": list(labels) if ones else labels}
        yield json.dumps(row if images.weights is None else dict(row, weight=weight))


def csv_cells(images, path):
    """One column for all labels, if all have the value 1 and no name has the separator. Else a column a class."""
    names = [images.name(k) for k in range(images.num_classes())]
    joint = bool((images.values == 1).all()) and not any("|" in name for name in names)
    weighted = images.weights is not None
    yield ["path"] + (["labels"] if joint else names) + ["weight"] * weighted
    for image, labels, weight in entries(images):
        cells = ["|".join(labels)] if joint else [f"{labels.get(name, 0):g}" for name in names]
        yield [image] + cells + [f"{weight:g}"] * weighted


def text_lines(images, path):
    if images.weights is not None or (images.values != 1).any():
        raise ValueError(f"{path}: weights and label values do not go into a text list; write .csv or .jsonl")
    for image, labels, _ in entries(images):
        words = [image, *labels]
        if any(len(word.split()) != 1 for word in words):
            raise ValueError(f"{path}: {image} or a label of it has spaces; write .csv or .jsonl")
        yield " ".join(words)
