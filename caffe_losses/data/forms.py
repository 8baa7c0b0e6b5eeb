"""From a list of images, as a file, to its Rows: the encoding, and the three forms."""

import csv
import io
import json
import os
import re
from collections import namedtuple

from .. import files

PATH_COLUMNS = "path", "image", "file", "filename"
LABEL_COLUMNS = "labels", "label", "tags"
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
FORMS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
EXAMPLE = '{"path": "a.jpg", "labels": ["cat"]}'
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
IMAGE = r"\.(?:jpe?g|jpe|png|bmp|gif|tiff?|webp|jp2|p[bgpn]m|avif|heic)"
REST_OF_PATH = re.compile(IMAGE + r"""["']?$""", re.IGNORECASE)
PATH_AND_MORE = re.compile(IMAGE + r"""["']?[,;|]""", re.IGNORECASE)

SURROGATE = re.compile("[\ud800-\udfff]")

# An image as it is in a file. line: its number there. labels: {label: value}, a list of labels, or text that holds
# labels and their separators. weight: None if it has none
Row = namedtuple("Row", "line path labels weight")
# What a file holds. layout: how it was read, in words
Table = namedtuple("Table", "rows layout")


def form_of(path):
    """csv, jsonl or txt, by the ending of the path."""
    return FORMS.get(os.path.splitext(path)[1].lower(), "txt")


def rows_of(path, content):
    """The Table of a file's text. ValueError, with the number of the line, for what is not in the form."""
    return {"csv": csv_table, "jsonl": json_table, "txt": text_table}[form_of(path)](path, content)


# Encodings


def decoded(path):
    """A file's text. ValueError, with the number of the line, for what is neither UTF-8 nor marked as UTF-16."""
    data = files.read(path)
    mark, encoding = next((pair for pair in BYTE_ORDER_MARKS if data.startswith(pair[0])), (b"", "utf-8"))
    data = data[len(mark) :]
    if encoding == "utf-8" and b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise ValueError(f"{path}, line {line}: expected text, got a zero byte; save the file as UTF-8 text")
    try:
        content = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        last = before[before.rfind("\n") + 1 :]
        raise ValueError(
            f"{path}, line {before.count(chr(10)) + 1}: expected {encoding.upper()}, got the byte "
            f"0x{data[error.start]:02x} after {shown(last[-20:])}; save the file as UTF-8, or "
            "convert it, e.g. with iconv -f WINDOWS-1252 -t UTF-8"
        ) from None
    return content


def lines_of(content):
    """(number, line) of each line."""
    return enumerate((line.rstrip("\n") for line in io.StringIO(content, newline=None)), 1)


def shown(value):
    """A value from a file, in quotes, for a message of one line."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def plain(name):
    """A name without quotes, if it can stand in a line."""
    return name if name.isprintable() else shown(name)


# Text


def text_table(path, content):
    rows = []
    for number, line in lines_of(content):
        words = line.strip(" \t").split(None, 1)
        if words:
            check_text(path, number, line, words)
            rows.append(Row(number, words[0], words[1] if len(words) > 1 else "", None))
    return Table(rows, "text")


def check_text(path, number, line, words):
    """Refuse what is of another form, and paths with spaces."""
    if words[0][0] in "{[":
        raise ValueError(f"{path}, line {number}: expected a path and labels, got JSON; call the list .jsonl")
    first = [word.strip(' "').lower() for word in re.split(r"[\s,;|]+", line)]
    if first[0] in PATH_COLUMNS and (PATH_AND_MORE.search(line) or (len(first) > 1 and not first[1].isdigit())):
        raise ValueError(
            f"{path}, line {number}: expected a path and labels, got the header {shown(line)}; call the list .csv"
        )
    if PATH_AND_MORE.search(words[0]):
        raise ValueError(
            f"{path}, line {number}: expected a path, a space and labels, got {shown(words[0])}; separate them by "
            "spaces, or give the list a header, such as path,labels, and call it .csv"
        )
    for word in words[1].split() if len(words) > 1 else ():
        if REST_OF_PATH.search(word):
            raise ValueError(
                f"{path}, line {number}: expected labels after the path {plain(words[0])}, got {shown(word)}, which is "
                "a path or the rest of one; a path with spaces needs a .csv or .jsonl list"
            )


# JSON lines


def json_table(path, content):
    rows = []
    for number, line in lines_of(content):
        if line.strip():
            try:
                rows.append(json_row(number, line))
            except RecursionError:
                raise ValueError(f"{path}, line {number}: expected e.g. {EXAMPLE}, got lists in lists") from None
            except (ValueError, TypeError, KeyError) as error:
                reason = error.args[0] if isinstance(error, TypeError) else f"got {shown(line.strip())}"
                raise ValueError(f"{path}, line {number}: expected e.g. {EXAMPLE}, {reason}") from None
    return Table(rows, "JSON lines")


def json_row(number, line):
    row = json.loads(line, object_pairs_hook=each_once, parse_constant=not_json)
    if not isinstance(row, dict):
        raise ValueError
    row = {name.lower(): value for name, value in row.items()}
    image, labels, weight = row["path"], row["labels"], row.get("weight")
    if not isinstance(image, str) or not image or "\0" in image or SURROGATE.search(image):
        raise TypeError("got a path that is no text")
    if isinstance(labels, str):
        raise TypeError(f"got the text {shown(labels)} for labels, which is no list")
    if isinstance(labels, dict):
        return Row(number, image, {name: json_value(name, value) for name, value in labels.items()}, weight)
    if not isinstance(labels, list):
        raise TypeError(f"got {shown(labels)} for labels, which is no list")
    return Row(number, image, [json_label(label) for label in labels], weight)


def json_label(label):
    if isinstance(label, bool) or not isinstance(label, (str, int)):
        raise TypeError(f"got the label {shown(label)}, which is neither a name nor an index")
    return str(label)


def json_value(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value == -1 or 0 <= value <= 1e6):
        raise TypeError(
            f"got {shown(value)} for {plain(name)}; a label has a number in [0, 1e6], or -1 if it is not known"
        )
    return float(value)


def each_once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise TypeError("got a name twice in an object")
    return dict(pairs)


def not_json(name):
    raise TypeError(f"got {name}, which is no number")


# Tables


def csv_table(path, content):
    lines = io.StringIO(content, newline="")
    delimiter, start = delimiter_of(path, content)
    for _ in range(start):
        next(lines)
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(table)]
        columns = columns_of(path, header)
        rows = [table_row(path, table.line_num + start, header, columns, cells) for cells in table if any(cells)]
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {table.line_num + start}: expected cells separated by {DELIMITERS[delimiter]}, got {error}; "
            'look for a quote (") too much or too few'
        ) from None
    layout = f"columns separated by {DELIMITERS[delimiter]}"
    if columns.classes:
        layout += ", one for each class"
    elif columns.others:
        layout += f" ({', '.join(map(plain, columns.others[:5]))}{', ...' * (len(columns.others) > 5)}: not used)"
    return Table(rows, layout)


# Places in the header. path, labels, weight: numbers, or None. classes: numbers of the columns of classes. others: the
# names of columns that are not used
Columns = namedtuple("Columns", "path labels weight classes others")


def delimiter_of(path, content):
    """What separates the cells, as the header tells, and the number of lines before the header."""
    start = 0
    for line in io.StringIO(content, newline=""):
        if line.strip() and not re.match(r"sep=.\s*$", line):
            break
        start += 1
    else:
        raise ValueError(f"{path}: expected a list of images, got an empty file")
    headers = {delimiter: header_cells(line, delimiter) for delimiter in DELIMITERS}
    fitting = [d for d in headers if any(cell in PATH_COLUMNS for cell in headers[d])]
    if not fitting:
        raise ValueError(
            f"{path}, line {start + 1}: expected a header with a column path, separated by commas, semicolons or tabs, "
            f"got {shown(line.strip())}"
        )
    return max(fitting, key=lambda d: len(headers[d])), start


def header_cells(line, delimiter):
    try:
        return [cell.strip().lower() for cell in next(csv.reader([line], delimiter=delimiter))]
    except csv.Error:
        return []


def columns_of(path, header):
    lower = [name.lower() for name in header]
    place = {name: lower.index(name) for name in lower}
    where = next(place[name] for name in PATH_COLUMNS if name in place)
    labels = next((place[name] for name in LABEL_COLUMNS if name in place), None)
    weight = place.get("weight")
    rest = [k for k in range(len(header)) if k not in (where, labels, weight)]
    own = [lower[k] for k in (where, labels, weight) if k is not None]
    twice = [header[k] for k in rest if header[k] and (header[k] in header[:k] or lower[k] in own)]
    if twice:
        raise ValueError(f"{path}: expected a header with each name once, got {shown(twice[0])} twice; leave one out")
    if labels is not None:
        return Columns(where, labels, weight, [], [header[k] for k in rest])
    if not rest or not all(header[k] for k in rest):
        raise ValueError(
            f"{path}: expected a column labels, or one for each class with its name, got the header "
            f"{shown(','.join(header))}; name each column, or leave it out"
        )
    return Columns(where, None, weight, rest, [])


def table_row(path, number, header, columns, cells):
    if len(cells) != len(header):
        raise ValueError(
            f"{path}, line {number}: expected {len(header)} cells as in the header, got {len(cells)}; "
            "quote a cell that has the separator in it"
        )
    if not cells[columns.path].strip():
        raise ValueError(f"{path}, line {number}: expected a path, got an empty cell")
    weight = None if columns.weight is None else cells[columns.weight]
    if columns.labels is not None:
        return Row(number, cells[columns.path], cells[columns.labels].strip(), weight)
    labels = {header[k]: cell_value(path, number, header[k], cells[k]) for k in columns.classes}
    return Row(number, cells[columns.path], labels, weight)


def cell_value(path, number, name, cell):
    try:
        value = float(cell.strip() or 0)
    except ValueError:
        raise ValueError(
            f"{path}, line {number}: expected a number for {plain(name)}, got {shown(cell)}; "
            "several labels in one cell go into a column called labels"
        ) from None
    if not 0 <= value <= 1:
        raise ValueError(
            f"{path}, line {number}: expected a number in [0, 1] for the class {plain(name)}, got {shown(cell)}; take "
            "out a column that is no class, and write 0, not -1, for a class that the image does not have"
        )
    return value
