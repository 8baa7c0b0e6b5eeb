"""Parts of a list of images: its frequent labels, and a part to train and a part to test with."""

from collections import namedtuple

import numpy as np

from .image_list import ImageList

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
        lines=images.lines,
        layout=images.layout,
    )
    return rest.subset(np.flatnonzero(np.diff(starts)))


def split(images, tests, seed, groups=None):
    """The Parts of an ImageList, drawn at random: `tests` images to test with, all others to train with.

    groups  a number for each image: images of the same number come into the same part. The images to test with are
            then at most `tests`, or one group. None: no two images belong together
    """
    _, groups = np.unique(np.arange(len(images)) if groups is None else groups, return_inverse=True)
    sizes = np.bincount(groups)
    order, room, drawn = np.random.RandomState(seed).permutation(sizes.size), tests, []
    for group in order:
        if sizes[group] <= room:
            drawn.append(group)
            room -= sizes[group]
    is_test = np.isin(groups, drawn or order[np.argmin(sizes[order])])
    return Parts(images.subset(np.flatnonzero(~is_test)), images.subset(np.flatnonzero(is_test)))
