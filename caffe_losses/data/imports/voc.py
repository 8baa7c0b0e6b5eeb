"""A folder of Pascal VOC (Everingham et al., 2010): Annotations, ImageSets/Main and JPEGImages."""

import os
from xml.etree import ElementTree

from ... import files
from ..forms import Row, decoded, lines_of, shown
from .dataset import DataSet, labels_of, only_difficult


def voc(folder, part, rule, images=None):
    """The DataSet of one set of a VOC folder.

    part    the name of the set, such as train: its pictures are those of ImageSets/Main/train.txt
    rule    what becomes of a class of which a picture has only difficult objects: one of DIFFICULT
    images  the folder of the pictures; None: JPEGImages

    The objects are those of the XML files in Annotations. The classes are those with a file in ImageSets/Main, such as
    dog_train.txt; without such files, those of the objects. In alphabetical order. ValueError, with file and line, for
    another layout.
    """
    main = os.path.join(folder, "ImageSets", "Main")
    path = os.path.join(main, f"{part}.txt")
    if not os.path.exists(path):
        raise ValueError(f"{path} is no file; expected a VOC folder with the set {part}, " + sets_of(main))
    rows, pairs = [], []
    for number, line in lines_of(decoded(path)):
        words = line.split()
        if len(words) > 1:
            raise ValueError(f"{path}, line {number}: expected the name of one picture, got {shown(line)}")
        if words:
            name, *pair = annotation(os.path.join(folder, "Annotations", f"{words[0]}.xml"))
            rows.append(Row(number, name, labels_of(*pair, rule), None))
            pairs.append(pair)
    used = {name for pair in pairs for names in pair for name in names}
    difficult = sum(only_difficult(*pair) for pair in pairs)
    return DataSet(
        path, rows, sorted(used | classes_of(main, part)), images or os.path.join(folder, "JPEGImages"), difficult
    )


def sets_of(main):
    """The sets that a folder has, in words."""
    names = sorted(name[:-4] for name in files_in(main) if name.endswith(".txt") and "_" not in name)
    return "which has " + ", ".join(names) if names else "which has no file for any set"


def files_in(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []


def classes_of(main, part):
    """The classes that have a file for this set."""
    ending = f"_{part}.txt"
    return {name[: -len(ending)] for name in files_in(main) if name.endswith(ending)}


def annotation(path):
    """The file of the picture, the names of its objects, and those of its difficult objects."""
    try:
        root = ElementTree.fromstring(files.read(path))
    except ElementTree.ParseError as error:
        raise ValueError(
            f"{path}, line {error.position[0]}: expected XML of VOC, got {error}; correct the file"
        ) from None
    if root.tag != "annotation" or not text_of(root, "filename"):
        raise ValueError(f"{path}: expected an annotation of VOC, with a filename, got <{root.tag}>")
    names = [], []
    for k, item in enumerate(root.findall("object"), 1):
        name, difficult = text_of(item, "name"), text_of(item, "difficult") or "0"
        if not name or difficult not in ("0", "1"):
            raise ValueError(
                f"{path}, object {k}: expected a name, and difficult 0 or 1, got {shown(name)} and {shown(difficult)}"
            )
        names[int(difficult)].append(name)
    return (text_of(root, "filename"), *names)


def text_of(element, tag):
    return (element.findtext(tag) or "").strip()
