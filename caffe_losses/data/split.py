"""Parts of a list of images: its frequent labels, and a part to train and a part to test with."""

from collections import namedtuple

import numpy as np

from .lists import ImageList

Parts = namedtuple("Parts", "train test")


def with_frequent(images, minimum):
    """The ImageList without the classes of fewer images, and without images that have no other class."""
    frequent = np.flatnonzero(images.frequencies() >= minimum)
    if frequent.size == images.num_classes():
        return images
    new_class = np.full(images.num_classes(), -1)
    new_class[frequent] = np.arange(frequent.size)
    stays = new_class[images.index] >= 0
    rows = np.repeat(np.arange(len(images)), np.diff(images.starts))[stays]
    starts = np.append(0, np.cumsum(np.bincount(rows, minlength=len(images))))
    rest = ImageList(
        images.paths,
        starts=starts,
        index=new_class[images.index[stays]],
        values=images.values[stays],
        weights=images.weights,
        classes=[images.name(k) for k in frequent],
    )
    return rest.subset(np.flatnonzero(np.diff(starts)))


def split(images, tests, seed):
    """The Parts of an ImageList, drawn at random: `tests` images to test with, all others to train with."""
    order = np.random.RandomState(seed).permutation(len(images))
    return Parts(*(images.subset(np.sort(part)) for part in (order[tests:], order[:tests])))
