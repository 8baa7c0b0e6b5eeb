"""An instances file of COCO (Lin et al., 2014): one JSON object with the lists images, annotations and categories."""

import json
from collections import defaultdict

from ..forms import Row, decoded, shown
from .dataset import DataSet, labels_of, only_difficult

FIELDS = {
    "images": {"id": (int, str), "file_name": (str,)},
    "categories": {"id": (int, str), "name": (str,)},
    "annotations": {"image_id": (int, str), "category_id": (int, str)},
}
KINDS = {(str,): "text", (int, str): "a number or text"}


def coco(path, folder, rule):
    """The DataSet of an instances file: the classes are its categories, in their order.

    folder  of the pictures
    rule    what becomes of a category that a picture has in crowds alone (`iscrowd`): one of DIFFICULT

    A picture without annotations has no labels. ValueError, with the line or the entry, for another layout.
    """
    document = parsed(path)
    images, categories, annotations = (entries(path, document, name) for name in FIELDS)
    names = numbered(path, "categories", categories, "name")
    numbered(path, "images", images, "file_name")
    twice = [name for name in names.values() if list(names.values()).count(name) > 1]
    if twice:
        raise ValueError(f"{path}, categories: expected each name once, got {shown(twice[0])} twice; change one")
    of_image = defaultdict(lambda: ([], []))
    known = {image["id"] for image in images}
    for k, annotation in enumerate(annotations):
        for field, values in (("image_id", known), ("category_id", names), ("iscrowd", (0, 1))):
            if annotation.get(field, 0) not in values:
                raise ValueError(
                    f"{path}, annotations[{k}]: {field} {shown(annotation[field])} is not known; correct it"
                )
        of_image[annotation["image_id"]][annotation.get("iscrowd", 0)].append(names[annotation["category_id"]])
    rows = [Row(0, image["file_name"], labels_of(*of_image[image["id"]], rule), None) for image in images]
    difficult = sum(only_difficult(*pair) for pair in of_image.values())
    return DataSet(path, rows, list(names.values()), folder, difficult)


def parsed(path):
    try:
        return json.loads(decoded(path))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno}: expected a COCO instances file, which is JSON; {error.msg}"
        ) from None
    except RecursionError:
        raise ValueError(f"{path}: expected a COCO instances file, got lists in lists") from None


def entries(path, document, name):
    """One of the lists, checked."""
    rows = document.get(name) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"{path}: expected a COCO instances file, with a list {name}, got none; give instances_*.json")
    for k, row in enumerate(rows):
        for field, kinds in FIELDS[name].items():
            value = row.get(field) if isinstance(row, dict) else None
            if not isinstance(value, kinds) or isinstance(value, bool) or value == "":
                raise ValueError(
                    f"{path}, {name}[{k}]: expected {field} with {KINDS[kinds]}, got {shown(row)}; "
                    "give instances_*.json"
                )
    return rows


def numbered(path, name, rows, field):
    """{id: value of the field}. ValueError for an id that is there twice."""
    values = {}
    for k, row in enumerate(rows):
        if row["id"] in values:
            raise ValueError(f"{path}, {name}[{k}]: expected each id once, got {shown(row['id'])} twice; correct it")
        values[row["id"]] = row[field]
    return values
