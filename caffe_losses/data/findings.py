"""What is odd about a list and its pictures, for `caffe-losses split` to say."""

import hashlib
import os
import unicodedata
from collections import defaultdict, namedtuple
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec

import numpy as np

from .. import files
from .feed import default_workers
from .forms import plain
from .transform import Transform

# What is known of a picture file. error: why it cannot be read, or None. identity: equal for files of equal content
Picture = namedtuple("Picture", "error identity")


def pictures(paths, opened=True):
    """A Picture for each path.

    opened  whether files are read and decoded. If not, only links to one file are known to be equal, and only files
            that are not there are known to be unreadable
    """
    distinct = list(dict.fromkeys(paths))
    if not opened:
        looks = map(looked_at, distinct)
    elif len(distinct) < 200:
        looks = map(opened_picture, distinct)
    else:
        looks = in_processes(distinct)
    known = dict(zip(distinct, looks))
    return [known[path] for path in paths]


def in_processes(paths):
    try:
        with ProcessPoolExecutor(default_workers()) as pool:
            return list(pool.map(opened_picture, paths, chunksize=32))
    except BrokenProcessPool:
        raise ValueError("a process that opens pictures was killed; see the memory left, or give --unopened") from None


def looked_at(path):
    try:
        files.check_regular(path)
        status = os.stat(path)
    except (ValueError, OSError) as error:
        return Picture(str(error), os.path.normpath(path))
    return Picture(None, (status.st_dev, status.st_ino))


def opened_picture(path):
    try:
        identity = hashlib.sha1(files.read(path)).digest()
    except (ValueError, OSError) as error:
        return Picture(str(error), os.path.normpath(path))
    if find_spec("cv2") is None:
        return Picture(None, identity)
    try:
        Transform().decode(path)
    except (ValueError, OSError) as error:
        return Picture(str(error), identity)
    return Picture(None, identity)


def groups(looks):
    """For each Picture the number of the first that is equal to it."""
    first = {}
    return np.array([first.setdefault(look.identity, k) for k, look in enumerate(looks)], np.int64)


def found(images, looks):
    """Sentences on what is odd."""
    return list(filter(None, [unreadable(images, looks), repeated(images, looks), unlabelled(images), alike(images)]))


def unreadable(images, looks):
    wrong = [k for k, look in enumerate(looks) if look.error]
    if wrong:
        return (
            f"{count(len(wrong), 'picture')} cannot be read, the first on line {images.lines[wrong[0]]}: "
            f"{looks[wrong[0]].error}"
        )


def repeated(images, looks):
    members = defaultdict(list)
    for k, group in enumerate(groups(looks)):
        members[group].append(k)
    several = [group for group in members.values() if len(group) > 1]
    if several:
        first = several[0]
        names = list(dict.fromkeys(images.paths[k] for k in first))
        lines = ", ".join(str(images.lines[k]) for k in first[:5]) + ", ..." * (len(first) > 5)
        differing = sum(len({tuple(images.names(k)) for k in group}) > 1 for group in several)
        differ = f"; {differing} of them with different labels" if differing else ""
        equal = " = ".join(map(plain, names[:2]))
        return (
            f"{count(len(several), 'picture')} in several lines, the first, {equal}, in the lines {lines}{differ}; "
            "the lines of a picture stay in one part"
        )


def unlabelled(images):
    empty = np.flatnonzero(np.diff(images.starts) == 0)
    if empty.size:
        return f"{count(empty.size, 'image')} without labels, the first on line {images.lines[empty[0]]}"


def alike(images):
    """Class names that differ in what is hard to see."""
    same = defaultdict(list)
    for k in range(images.num_classes()):
        same["".join(unicodedata.normalize("NFKC", images.name(k)).casefold().split())].append(images.name(k))
    pairs = [names for names in same.values() if len(names) > 1]
    if pairs:
        shown = "; ".join(" and ".join(map(repr, names)) for names in pairs[:3])
        return f"{count(len(pairs), 'class', 'classes')} under names that look alike: {shown}"


def summary(images):
    """How many images, classes and labels a list has, in words."""
    names = [images.name(k) for k in range(min(5, images.num_classes()))]
    more = ", ..." * (images.num_classes() > len(names))
    labels = np.diff(images.starts)
    return (
        f"{count(len(images), 'image')}, {count(images.num_classes(), 'class', 'classes')} ({', '.join(names)}{more}), "
        f"{labels.min()} to {labels.max()} labels an image, {labels.mean():.3g} on average"
    )


def left_out(images, frequent, minimum):
    """What `with_frequent` leaves out, in words."""
    rare = names_of(images, np.flatnonzero(~frequent))
    lonely = sum(not frequent[images.index[a:b]].any() for a, b in zip(images.starts, images.starts[1:]))
    return f"left out {rare}, of fewer than {minimum} images, and {count(lonely, 'image')} of no other class"


def absent(images):
    """The classes that no image has, in words, or nothing."""
    missing = np.flatnonzero(images.frequencies() == 0)
    return f"; no image of {names_of(images, missing)}" if missing.size else ""


def names_of(images, classes):
    names = ", ".join(images.name(k) for k in classes[:5]) + ", ..." * (len(classes) > 5)
    return f"{count(len(classes), 'class', 'classes')} ({names})"


def count(number, one, many=None):
    return f"{number} {one if number == 1 else many or one + 's'}"
