"""Labels of a row block, whatever their format, as the few elements that are positive or ignored."""

from copy import copy

import numpy as np

# With more positives than this share of a block, all of its labels are taken rather than their places.
SPARSE = 1 / 8


class Labels:
    """The labels of one block of shape (b, classes, j), seen flat.

    index    places of the labels that are not 0; or slice(None), every place
    values   the labels at those places
    ignored  places that take no part; their value, if they have one, is 0
    """

    def __init__(self, shape, index, values, ignored):
        self.shape, self.index, self.values, self.ignored = shape, index, values, ignored
        self.everywhere = isinstance(index, slice)
        self.rows = None if self.everywhere else row_of(index, shape)

    def with_values(self, values):
        other = copy(self)
        other.values = values
        return other

    def made_dense(self):
        """The same labels with a value at every place."""
        if self.everywhere:
            return self
        values = np.zeros(size(self.shape))
        values[self.index] = self.values
        return Labels(self.shape, slice(None), values, self.ignored)

    def classes(self):
        """The class of each of the values."""
        _, classes, j = self.shape
        index = np.arange(self.values.size) if self.everywhere else self.index
        return index // j % classes

    def sum_rows(self, terms):
        """The sum over each row of one term per value, in float64."""
        b, _, j = self.shape
        if self.everywhere:
            return terms.reshape(self.shape).sum(axis=1, dtype=np.float64).ravel()
        return np.bincount(self.rows, terms, b * j)

    def count_rows(self):
        """How many labels of each row are not 0."""
        b, _, j = self.shape
        return self.sum_rows(self.values != 0) if self.everywhere else np.bincount(self.rows, None, b * j)

    def spread(self, rows):
        """One number a row, handed to each of the row's values."""
        b, _, j = self.shape
        if self.everywhere:
            return np.broadcast_to(rows.reshape(b, 1, j), self.shape).ravel()
        return rows[self.rows]

    def taking_part(self):
        """A mask of the places that are not ignored."""
        mask = np.ones(size(self.shape), bool)
        mask[self.ignored] = False
        return mask

    def classes_left(self):
        """How many classes of each row take part: 0 for a row that is ignored whole."""
        b, classes, j = self.shape
        return classes - np.bincount(row_of(self.ignored, self.shape), minlength=b * j)


def size(shape):
    """The number of elements, as a Python integer."""
    total = 1
    for dim in shape:
        total *= int(dim)
    return total


def row_of(index, shape):
    _, classes, j = shape
    return index // classes if j == 1 else index // (classes * j) * j + index % j


def from_dense(labels, ignore_label):
    """Labels from an array of the block's shape: 0 for the classes that are not positive."""
    positive = labels != 0
    index = np.flatnonzero(positive)
    values = labels.ravel()[index]
    ignored = index[:0]
    if ignore_label == 0:
        ignored = np.flatnonzero(~positive)
    elif ignore_label is not None:
        hit = values == ignore_label
        if hit.any():
            ignored, index, values = index[hit], index[~hit], values[~hit]
    if index.size > SPARSE * labels.size:
        index, values = slice(None), labels.flatten()
        values[ignored] = 0
    return Labels(labels.shape, index, values, ignored)


def from_indices(labels, shape, ignore_label):
    """Labels from class indices of shape (b, K, j), padded with -1.

    A class given k times has the label k. A row with no index but ignored ones is ignored whole.
    """
    b, classes, j = shape
    given, ignored = labels != -1, np.empty(0, np.intp)
    if ignore_label is not None:
        passed = labels == ignore_label
        given &= ~passed
        whole_rows = passed.any(axis=1, keepdims=True) & ~given.any(axis=1, keepdims=True)
        ignored = np.flatnonzero(np.broadcast_to(whole_rows, shape))
    first = np.arange(0, b * classes * j, classes * j)[:, None, None] + np.arange(j)
    index = (labels.astype(np.intp) * j + first)[given]
    found = Labels(shape, index, np.ones(index.size), ignored)
    ordered = np.sort(index)
    if labels.shape[1] > 1 and (ordered[1:] == ordered[:-1]).any():
        once = np.unique(index)
        found = Labels(shape, once, np.bincount(np.searchsorted(once, index)), ignored)
    return found


def wrong_dense(labels, ignore_label, limit):
    """Which dense labels are not in [0, limit]; a NaN is not."""
    wrong = ~((labels >= 0) & (labels <= limit))
    return wrong if ignore_label is None else wrong & (labels != ignore_label)


def wrong_indices(labels, ignore_label, classes):
    """Which indices are neither a class nor -1; a NaN is not."""
    wrong = ~((labels >= -1) & (labels < classes) & (labels == np.floor(labels)))
    return wrong if ignore_label is None else wrong & (labels != ignore_label)
