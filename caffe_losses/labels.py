"""Labels of a row block, whatever their format, as the few elements that are positive or ignored."""

from functools import lru_cache

import numpy as np

EVERYWHERE, NOWHERE = slice(None), np.empty(0, np.intp)


class Labels:
    """The labels of one block of shape (b, classes, j), seen flat.

    index    places of the labels that are not 0; or slice(None), every place
    values   the labels at those places
    ignored  places that take no part; their value, if they have one, is 0
    rows     the row of each value; not to be asked for where they are at every place
    all_one  each value is known to be 1
    """

    def __init__(self, shape, index, values, ignored):
        self.shape, self.index, self.values, self.ignored = shape, index, values, ignored
        self.everywhere = index is EVERYWHERE
        self.all_one = False
        self._rows = None

    @property
    def rows(self):
        if self._rows is None:
            self._rows = row_of(self.index, self.shape)
        return self._rows

    def with_values(self, values):
        other = Labels(self.shape, self.index, values, self.ignored)
        other._rows = self._rows
        return other

    def made_dense(self, dtype):
        """The same labels with a value at every place."""
        if self.everywhere:
            return self
        values = np.zeros(size(self.shape), dtype)
        values[self.index] = self.values
        return Labels(self.shape, EVERYWHERE, values, self.ignored)

    def classes(self):
        """The class of each of the values."""
        _, classes, j = self.shape
        index = np.arange(self.values.size) if self.everywhere else self.index
        return index // j % classes

    def sum_rows(self, terms):
        """The sum over each row of one term per value."""
        b, _, j = self.shape
        if self.everywhere:
            return sum_classes(terms.reshape(self.shape))
        return np.bincount(self.rows, terms, b * j)

    def count_rows(self):
        """How many labels of each row are not 0."""
        b, _, j = self.shape
        if self.everywhere:
            return self.sum_rows((self.values != 0).astype(self.values.dtype))
        return np.bincount(self.rows, None, b * j)

    def times(self, rows):
        """The values, times one number a row."""
        b, _, j = self.shape
        if self.everywhere:
            rows = rows.reshape(b, 1, j).astype(self.values.dtype)
            return np.multiply(self.values.reshape(self.shape), rows).ravel()
        return self.values * rows[self.rows]

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


@lru_cache(maxsize=8)
def ones(size, dtype):
    return np.ones(size, dtype)


def sum_classes(block):
    """The sum of each row of a block (b, classes, j)."""
    if block.shape[2] == 1:  # a BLAS product, several times faster than a reduction of short rows
        return block[:, :, 0].dot(ones(block.shape[1], block.dtype))
    return np.add.reduce(block, axis=1).ravel()


def from_dense(labels, ignore_label, sparse, dtype):
    """Labels from an array of the block's shape: 0 for the classes that are not positive.

    sparse  with more positives than this share, all labels are taken rather than their places, as dtype
    """
    positive = labels != 0
    if ignore_label is None and np.count_nonzero(positive) > sparse * labels.size:
        return Labels(labels.shape, EVERYWHERE, labels.ravel().astype(dtype, copy=False), NOWHERE)
    index = positive.ravel().nonzero()[0]
    values, ignored = labels.take(index), NOWHERE
    if ignore_label == 0:
        ignored = np.flatnonzero(~positive)
    elif ignore_label is not None:
        hit = values == ignore_label
        if hit.any():
            ignored, index, values = index[hit], index[~hit], values[~hit]
    found = Labels(labels.shape, index, values, ignored)
    return found.made_dense(dtype) if index.size > sparse * labels.size else found


def from_indices(labels, shape, ignore_label, sparse, dtype):
    """Labels from class indices of shape (b, K, j), padded with -1.

    A class given k times has the label k. A row with no index but ignored ones is ignored whole.
    """
    b, classes, j = shape
    given, ignored = labels != -1, NOWHERE
    if ignore_label is not None:
        passed = labels == ignore_label
        given &= ~passed
        whole_rows = passed.any(axis=1, keepdims=True) & ~given.any(axis=1, keepdims=True)
        ignored = np.flatnonzero(np.broadcast_to(whole_rows, shape))
    first = np.arange(0, b * classes * j, classes * j)[:, None, None] + np.arange(j)
    index = (labels.astype(np.intp) * j + first)[given]
    if index.size > sparse * size(shape):
        counts = np.bincount(index, minlength=size(shape))
        return Labels(shape, EVERYWHERE, counts.astype(dtype), ignored)
    once = distinct(index, size(shape))
    values = ones(index.size, dtype)
    if once.size < index.size:
        values = np.bincount(np.searchsorted(once, index)).astype(dtype)
    return Labels(shape, once, values, ignored)


def distinct(index, size):
    """The places in order, each once."""
    if index.size < size / 64:
        ordered = np.sort(index)
        return ordered[np.append(True, ordered[1:] != ordered[:-1])] if index.size else ordered
    seen = np.zeros(size, bool)
    seen[index] = True
    return np.flatnonzero(seen)


def wrong_dense(labels, ignore_label, limit):
    """Which dense labels are not in [0, limit]; a NaN is not."""
    wrong = ~((labels >= 0) & (labels <= limit))
    return wrong if ignore_label is None else wrong & (labels != ignore_label)


def wrong_indices(labels, ignore_label, classes):
    """Which indices are neither a class nor -1; a NaN is not."""
    wrong = ~((labels >= -1) & (labels < classes) & (labels == np.floor(labels)))
    return wrong if ignore_label is None else wrong & (labels != ignore_label)
