"""What separates the labels of an image in a cell of a list: one separator for the whole file.

Where the names of the classes are known, it is the separator under which all labels are classes. Otherwise | or ;
separates. Commas and spaces may be parts of a name, so there they separate numbers alone.
"""

from .forms import shown
from .numbering import is_index, is_number

SEPARATORS = {"|": "|", ";": ";", ",": "commas", " ": "spaces"}
WHOLE = ""  # stands for no separator: a cell is one label
REMEDY = "say what separates labels with --separator of split or resample, or name the classes with --classes"


def divided(path, table, classes, separator=None):
    """The Rows of a Table with lists of labels, and in words how they were separated, or None.

    classes    names of the classes, or their number, or None
    separator  what separates the labels. None: as the file tells

    ValueError for labels that can be read in several ways.
    """
    cells = [row for row in table.rows if isinstance(row.labels, str) and row.labels]
    if not any(isinstance(row.labels, str) for row in table.rows):
        if separator is not None:
            raise ValueError(f"{path}: expected cells with several labels for --separator, got none; leave it out")
        return table.rows, None
    if separator is None:
        names = set(classes) if isinstance(classes, (list, tuple)) else None
        separator = (text_separator if table.layout == "text" else cell_separator)(path, cells, names)
    words = (
        "one label in a cell" if separator == WHOLE else f"labels separated by {SEPARATORS.get(separator, separator)}"
    )
    return [row._replace(labels=labels_of(row.labels, separator)) for row in table.rows], words


def labels_of(cell, separator):
    if separator == " ":
        return cell.split()
    labels = [cell] if separator == WHOLE else cell.split(separator)
    return [label.strip() for label in labels if label.strip()]


def text_separator(path, cells, names):
    """Spaces. ValueError for a label that other separators are in."""
    for row in cells:
        for label in row.labels.split():
            others = [mark for mark in "|;," if mark in label and label not in (names or ())]
            if others:
                raise ValueError(
                    f"{path}, line {row.line}: expected labels separated by spaces, got {shown(label)} with "
                    f"{SEPARATORS[others[0]]}; {REMEDY}"
                )
    return " "


def cell_separator(path, cells, names):
    """The separator of a table's label column."""
    marks = [mark for mark in "|;, " if any(mark in row.labels for row in cells)]
    if names is not None:
        return known_separator(path, cells, names, sorted({WHOLE, *marks}, key=["|", ";", WHOLE, ",", " "].index))
    strong = [mark for mark in marks if mark in "|;"]
    wrapped = next((row for row in cells if row.labels[0] in "[{"), None)
    if wrapped:
        raise ambiguous(path, wrapped, "is a list in brackets; write a|b, or a .jsonl list")
    if len(strong) > 1 or (strong and "," in marks):
        first, second = [mark for mark in marks if mark != " "][:2]
        lines = [next(row.line for row in cells if mark in row.labels) for mark in (first, second)]
        raise ValueError(
            f"{path}, line {max(lines)}: expected one separator of labels, got {SEPARATORS[first]} (line {lines[0]}) "
            f"and {SEPARATORS[second]} (line {lines[1]}); {REMEDY}"
        )
    if strong or not marks:
        return strong[0] if strong else WHOLE
    weak = marks[0]
    for row in cells:
        if weak in row.labels and not all(map(is_number, labels_of(row.labels, weak))):
            count = len(labels_of(row.labels, weak))
            raise ambiguous(path, row, f"is one label, or {count} separated by {SEPARATORS[weak]}; {REMEDY}")
    return weak


def ambiguous(path, row, reason):
    return ValueError(
        f"{path}, line {row.line}: expected labels separated by | or by ;, got {shown(row.labels)}, which {reason}"
    )


def known_separator(path, cells, names, candidates):
    """The separator under which all labels are names, or all are indices; else that with the fewest other labels."""
    for is_class in (names.__contains__, is_index):
        fitting = [
            mark
            for mark in candidates
            if all(is_class(label) for row in cells for label in labels_of(row.labels, mark))
        ]
        for row in cells if len(fitting) > 1 else ():
            if len({tuple(labels_of(row.labels, mark)) for mark in fitting}) > 1:
                raise ambiguous(path, row, f"is one label, or several; separate labels by |, as in {row.labels}|")
        if fitting:
            return fitting[0]
    return min(
        candidates, key=lambda mark: sum(label not in names for row in cells for label in labels_of(row.labels, mark))
    )
