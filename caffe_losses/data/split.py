"""Parts of a list of images: its frequent labels, and parts to train with, to validate with and to test with."""

import numpy as np

from .image_list import ImageList


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


def split(images, counts, seed, groups=None):
    """Parts of an ImageList, drawn at random, by name: of `counts`, {name: so many images}, and "train", all others.

    groups  a number for each image: images of the same number come into the same part. A part then has as many images
            at most, or one group. None: no two images belong together
    """
    random, left, parts = np.random.RandomState(seed), np.arange(len(images)), {}
    groups = left if groups is None else np.asarray(groups)
    for name, count in counts.items():
        drawn = left[draw(groups[left], count, random)] if left.size else left
        left = np.setdiff1d(left, drawn)
        parts[name] = images.subset(drawn)
    return dict(parts, train=images.subset(left))


def draw(groups, count, random):
    """Whether each image is drawn: `count` or fewer, in whole groups, and one group at least."""
    _, groups = np.unique(groups, return_inverse=True)
    sizes = np.bincount(groups)
    order, room, drawn = random.permutation(sizes.size), count, []
    for group in order:
        if sizes[group] <= room:
            drawn.append(group)
            room -= sizes[group]
    return np.isin(groups, drawn or order[np.argmin(sizes[order])])
