"""Lists of images with their labels, as text, CSV or JSON lines, and what is computed of them.

train.txt    path label label ...            names or indices; neither they nor the path have spaces
train.csv    path,labels,weight              labels separated by |, by ; or by spaces; weight may be left out
train.csv    path,cat,dog,...                a column a class, with a number each; empty is 0
train.jsonl  {"path": "1.jpg", "labels": ["cat", "dog"], "weight": 2}
"""

import csv
import json
import os
from itertools import chain

import numpy as np

PATH_COLUMNS = "path", "image", "file", "filename"
SEPARATORS = "|", ";", None


class ImageList:
    """Images and their labels.

    paths    as in the list
    starts   the labels of image i are classes index[starts[i]:starts[i + 1]], each with its value
    weights  one an image, or None
    classes  names, or how many there are, or None if the list is of indices and no one said
    """

    def __init__(self, paths, starts, index, values, weights, classes):
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
        """(row, place in index) of each label of these images."""
        counts = self.starts[images + 1] - self.starts[images]
        rows = np.repeat(np.arange(len(images)), counts)
        within = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, self.starts[images][rows] + within, within

    def dense(self, images, num_classes, out=None):
        """Labels of these images, float32 of shape (images, classes): 0 where there is none."""
        images = np.asarray(images)
        out = np.empty((len(images), num_classes), np.float32) if out is None else out
        rows, places, _ = self.places(images)
        out[...] = 0
        out[rows, self.index[places]] = self.values[places]
        return out

    def indices(self, images, width, out=None):
        """Class indices of these images, float32 of shape (images, width), padded with -1."""
        images = np.asarray(images)
        out = np.empty((len(images), width), np.float32) if out is None else out
        rows, places, within = self.places(images)
        out[...] = -1
        out[rows, within] = self.index[places]
        return out

    def most_labels(self):
        """How many labels the image with most of them has."""
        return int(np.diff(self.starts).max())

    def frequencies(self):
        """How many images have each class."""
        return np.bincount(self.index[self.values > 0], minlength=self.num_classes())

    def subset(self, images):
        """The list of these images, in their order; one given twice is there twice."""
        images = np.asarray(images)
        rows, places, _ = self.places(images)
        starts = np.append(0, np.cumsum(np.bincount(rows, minlength=len(images))))
        weights = None if self.weights is None else self.weights[images]
        paths = [self.paths[i] for i in images]
        return ImageList(paths, starts, self.index[places], self.values[places], weights, self.classes)


def read(path, classes=None):
    """The ImageList of a file.

    classes  names of the classes; or how many there are, for a list of indices; None: as the list has
             them, names in alphabetical order

    ValueError, with the line's number, for what is not of the form above or a label that is no class.
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
    """The names in a file with one a line."""
    with open(path, encoding="utf-8-sig") as file:
        names = [line.strip() for line in file if line.strip()]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice or not names:
        raise ValueError(f"{path}: expected one class name a line, each once, got {', '.join(twice[:3]) or 'none'}")
    return names


# Rows: (line number, path, {label: value}, weight)


def text_rows(path, file, classes):
    for number, line in enumerate(file, 1):
        words = line.split()
        if words:
            yield number, words[0], dict.fromkeys(words[1:], 1.0), None


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
            yield number, image, {key: float(value) for key, value in labels.items()}, weight
        except (ValueError, TypeError, KeyError):
            expected = '{"path": "a.jpg", "labels": ["cat"]}'
            raise ValueError(f"{path}, line {number}: expected e.g. {expected}, got {line.strip()[:60]}") from None


def csv_rows(path, file, classes):
    table = csv.reader(file)
    header = [name.strip() for name in next(table, [])]
    where = next((header.index(name) for name in PATH_COLUMNS if name in header), None)
    if where is None:
        raise ValueError(f"{path}: expected a header with a column path, got {','.join(header)[:60]}")
    weighted = header.index("weight") if "weight" in header else None
    rows = []
    for cells in table:
        if any(cells):
            if len(cells) != len(header):
                raise ValueError(
                    f"{path}, line {table.line_num}: expected {len(header)} cells as in the header, got {len(cells)}"
                )
            weight = cells[weighted] if weighted is not None else None
            rows.append((table.line_num, cells[where], cells, weight))
    labels_of = label_column(header, rows, classes) if "labels" in header else class_columns(path, header, where)
    for number, image, cells, weight in rows:
        yield number, image, labels_of(number, cells), weight


def label_column(header, rows, classes):
    """Reads the cell with all labels, whose separator is the first of SEPARATORS that the file has."""
    column = header.index("labels")
    separator = next(s for s in SEPARATORS if s is None or any(s in cells[column] for _, _, cells, _ in rows))
    names = set(classes) if isinstance(classes, (list, tuple)) else ()

    def labels_of(number, cells):
        cell = cells[column].strip()
        words = [cell] if cell in names else [word.strip() for word in cell.split(separator)]
        return dict.fromkeys([word for word in words if word], 1.0)

    return labels_of


def class_columns(path, header, where):
    """Reads one cell a class."""
    columns = [k for k, name in enumerate(header) if k != where and name != "weight"]

    def labels_of(number, cells):
        labels = {}
        for k in columns:
            try:
                labels[header[k]] = float(cells[k] or 0)
            except ValueError:
                raise ValueError(
                    f"{path}, line {number}: expected a number for {header[k]}, got {cells[k][:40]!r}; "
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
    for number, _, labels, weight in rows:
        found = {class_of(path, number, label, known, limit): value for label, value in labels.items()}
        kept = sorted(k for k, value in found.items() if value != 0)
        counts.append(len(kept))
        index += kept
        values += [found[k] for k in kept]
        weights.append(weight_of(path, number, weight))
    weighted = any(weight is not None for _, _, _, weight in rows)
    return ImageList(
        [image for _, image, _, _ in rows],
        np.append(0, np.cumsum(counts, dtype=np.int64)),
        np.array(index, np.int64),
        np.array(values, np.float32),
        np.array(weights, np.float32) if weighted else None,
        classes,
    )


def names_in(rows):
    """All labels in order, or None if they are indices."""
    labels = set(chain.from_iterable(labels for _, _, labels, _ in rows))
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
    """Write the list in the form of the path's ending; ValueError for what this form cannot hold."""
    form = os.path.splitext(path)[1].lower()
    lines = {".csv": csv_cells, ".jsonl": json_lines}.get(form, text_lines)(images, path)
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        if form == ".csv":
            csv.writer(file, lineterminator="\n").writerows(lines)
        else:
            file.writelines(line + "\n" for line in lines)


def entries(images):
    """(path, {name: value}, weight) of each image."""
    for i, path in enumerate(images.paths):
        span = range(images.starts[i], images.starts[i + 1])
        labels = {images.name(images.index[k]): float(images.values[k]) for k in span}
        yield path, labels, 1.0 if images.weights is None else float(images.weights[i])


def json_lines(images, path):
    for image, labels, weight in entries(images):
        ones = all(value == 1 for value in labels.values())
        row = {"path": image, "labels": list(labels) if ones else labels}
        yield json.dumps(row if images.weights is None else dict(row, weight=weight))


def csv_cells(images, path):
    """One column for all labels where they have the value 1 and names without a separator, else one a class."""
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
