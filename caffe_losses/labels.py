"""Which labels are valid, for losses and metrics alike."""

import numpy as np


def wrong_dense(labels, ignore_label, limit):
    """Which dense labels are not in [0, limit]; a NaN is not."""
    wrong = ~((labels >= 0) & (labels <= limit))
    return wrong if ignore_label is None else wrong & (labels != ignore_label)


def wrong_indices(labels, ignore_label, classes):
    """Which indices are neither a class nor -1; a NaN is not."""
    wrong = ~((labels >= -1) & (labels < classes) & (labels == np.floor(labels)))
    return wrong if ignore_label is None else wrong & (labels != ignore_label)


def repeated_indices(labels, ignore_label):
    """Which indices (N, K, ...) stand in a later column of their row, too. Padding and ignored ones do not count."""
    later = np.arange(labels.shape[1])[:, None, None] > np.arange(labels.shape[1])[:, None]
    repeated = ((labels[:, :, None] == labels[:, None]) & later).any(axis=1) & (labels != -1)
    return repeated if ignore_label is None else repeated & (labels != ignore_label)


def size(shape):
    """The number of elements, as a Python integer."""
    total = 1
    for dim in shape:
        total *= int(dim)
    return total
