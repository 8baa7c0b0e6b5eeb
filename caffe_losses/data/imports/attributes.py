"""A table of attributes: a line a picture, and a column for each attribute.

CelebA (Liu et al., 2015), list_attr_celeba.txt: the number of pictures, the names of the attributes, and then for each
picture its file and 1 or -1 for each attribute. Or a CSV file with a header: the file comes first, then the attributes,
with 0 or 1, or with -1 or 1.
"""

import csv
import io

from ..forms import DELIMITERS, Row, decoded, form_of, lines_of, shown
from .dataset import DataSet

SETS = {"train": "0", "val": "1", "test": "2"}  # as CelebA numbers them
VALUES = "0", "1", "-1"


def attributes(path, folder, partition=None, part=None):
    """The DataSet of a table of attributes; the classes are its columns, in their order.

    folder     of the pictures
    partition  a file with a picture and its set in each line, as CelebA's list_eval_partition.txt; None: all pictures
    part       the set to take: train, val or test, or as it is in the file

    ValueError, with the line, for another layout.
    """
    names, lines = (csv_table if form_of(path) == "csv" else text_table)(path)
    check_names(path, names)
    lines_with = {}  # the first line with each value
    for number, cells in lines:
        check_values(path, number, cells, names)
        for cell in cells[1:]:
            lines_with.setdefault(cell, number)
    if "0" in lines_with and "-1" in lines_with:
        raise ValueError(
            f"{path}, line {lines_with['0']}: expected -1 or 1 as in line {lines_with['-1']}, got 0; write one of -1 "
            "and 0 for what a picture does not have"
        )
    rows = [
        Row(number, cells[0], {name: 1.0 for name, cell in zip(names, cells[1:]) if cell == "1"}, None)
        for number, cells in lines
    ]
    if partition is not None:
        rows = in_set(path, rows, partition, part)
    return DataSet(path, rows, names, folder, 0)


def check_names(path, names):
    twice = [name for name in names if names.count(name) > 1 or not name]
    if twice or not names:
        raise ValueError(f"{path}: expected names of attributes, each once, got {shown(', '.join(twice)) or 'none'}")


def check_values(path, number, cells, names):
    if len(cells) != 1 + len(names):
        raise ValueError(
            f"{path}, line {number}: expected a picture and {len(names)} values, got {len(cells)} cells; correct it"
        )
    for name, cell in zip(names, cells[1:]):
        if cell not in VALUES:
            raise ValueError(f"{path}, line {number}: expected 0, 1 or -1 for {name}, got {shown(cell)}; correct it")


def text_table(path):
    """The names of the attributes, and (number, cells) of each line of a picture."""
    lines = [(number, line.split()) for number, line in lines_of(decoded(path)) if line.strip()]
    if len(lines) < 2 or len(lines[0][1]) != 1 or not lines[0][1][0].isdigit():
        raise ValueError(
            f"{path}, line 1: expected the number of pictures, as in list_attr_celeba.txt; a table with a header "
            "and commas is called .csv"
        )
    total = int(lines[0][1][0])
    if total != len(lines) - 2:
        raise ValueError(f"{path}, line 1: says {total} pictures, and {len(lines) - 2} follow; get the whole file")
    return lines[1][1], lines[2:]


def csv_table(path):
    """The same of a CSV file."""
    content = decoded(path)
    header = content.split("\n", 1)[0]
    table = csv.reader(io.StringIO(content, newline=""), delimiter=max(DELIMITERS, key=header.count), strict=True)
    try:
        lines = [(table.line_num, [cell.strip() for cell in cells]) for cells in table if any(cells)]
    except csv.Error as error:
        raise ValueError(f"{path}, line {table.line_num}: expected a CSV table, got {error}") from None
    return (lines[0][1][1:] if lines else []), lines[1:]


def in_set(path, rows, partition, part):
    """The rows of the pictures of a set."""
    sets = {}
    for number, line in lines_of(decoded(partition)):
        words = line.replace(",", " ").split()
        if words and len(words) != 2:
            raise ValueError(f"{partition}, line {number}: expected a picture and its set, got {shown(line)}")
        sets.update([words] if words else [])
    unknown = [row for row in rows if row.path not in sets]
    if unknown:
        raise ValueError(
            f"{path}, line {unknown[0].line}: {unknown[0].path} is not in {partition}; give the partition of this table"
        )
    chosen = [row for row in rows if sets[row.path] in (part, SETS.get(part))]
    if not chosen:
        others = ", ".join(sorted(set(sets.values()))[:5])
        raise ValueError(f"{partition}: expected pictures of the set {part}, got the sets {others}; give another --set")
    return chosen
