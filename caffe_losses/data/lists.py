"""Lists of images with their labels, as text, CSV or JSON lines.

train.txt    path label label ...            no name and no path has spaces
train.csv    path,labels,weight              labels are separated by | or by ;. weight may be left out
train.csv    path,cat,dog,...                a column for each class, with a number. An empty cell is 0
train.jsonl  {"path": "1.jpg", "labels": ["cat", "dog"], "weight": 2}

Labels are names, or indices from 0 on. Tables may also have ; or tabs for commas. All files are UTF-8, or UTF-16 with
a byte order mark.

forms.py       from a file to Rows
separators.py  from the cell with all labels of an image to the labels
numbering.py   from labels to the indices of classes
image_list.py  what comes out of it: an ImageList
list_text.py   and back to a file's text
"""

from collections import Counter

from .forms import decoded, form_of, lines_of, rows_of
from .list_text import text_of
from .numbering import check_name, image_list
from .separators import divided

__all__ = ["read", "read_classes", "text"]


def read(path, classes=None, separator=None):
    """The ImageList of a file.

    classes    the names of the classes, or their number if the labels are indices. None: the names in the list, in
               alphabetical order
    separator  of the labels in a cell. None: as the file tells

    ValueError, with the number of the line, for a line that is not as above, for labels that can be read in two ways,
    for a label twice in a row, and for a label that is no class.
    """
    return parsed(path, decoded(path), classes, separator)


def parsed(path, content, classes, separator=None):
    table = rows_of(path, content)
    if not table.rows:
        raise ValueError(f"{path}: expected a list of images, got an empty file")
    rows, words = divided(path, table, classes, separator)
    layout = ", ".join(filter(None, [table.layout, words]))
    return image_list(path, rows, classes, layout)


def read_classes(path):
    """The class names in a file with one name in each line. ValueError if there is none, or one is there twice."""
    names = []
    for number, line in lines_of(decoded(path)):
        if line.strip():
            check_name(path, number, line.strip())
            names.append(line.strip())
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not names:
        raise ValueError(f"{path}: expected one class name a line, each once, got {', '.join(twice[:3]) or 'none'}")
    return names


def text(images, path):
    """The list as the text of a file. The ending of the path tells the form.

    ValueError if this form cannot hold it: what is read from the text is what was written, or nothing is written.
    """
    form = form_of(path)
    content = text_of(images, path, form)
    try:
        content.encode("utf-8")
        again = parsed(path, content, images.classes)
    except UnicodeEncodeError as error:
        raise ValueError(f"{path}: {error.object[error.start :][:40]!r} is a name that UTF-8 cannot hold") from None
    except ValueError as error:
        reason = str(error)
    else:
        if again.same_as(images):
            return content
        reason = "a path or a label would be read as another"
    other = "a .jsonl list" if form != "jsonl" else "other names"
    raise ValueError(f"{path}: this form of list cannot hold these images ({reason}); use {other}")
