"""Which labels are valid, for losses and metrics alike."""

from typing import Any

import numpy as np

from .options import shortened

NUMBERS = "biuf"  # numpy's kinds of types: bool, whole and real numbers
ROUNDING = 1 + 1e-6  # a label may pass its limit by this: 255 x 0.00392157 in float32 is meant to be 1
SCALES = 1 / 256, 1 / 255, 1 / 128, 1 / 127.5, 0.017  # what nets multiply pictures with
NEAR = 0.002  # relative: 0.0039 is meant to be 1 / 256


def numbers_of(owner: str, name: str, given: Any) -> np.ndarray:
    """An array of what was given, if that is real numbers; numpy would make some of texts, dates and complex ones, too.

    owner, name  whose it is, and what, for the error
    """
    refuse_masked(owner, name, given)
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, OverflowError):
        got = shortened(given)
        raise ValueError(f"{owner}: {name}: expected an array of numbers, got {got}; give rows of one length") from None
    if array.dtype.kind not in NUMBERS and array.size:
        kind = f"{array.dtype} {array.shape}"
        raise ValueError(f"{owner}: {name}: expected an array of numbers, got {kind}; give real numbers")
    return array


def refuse_masked(owner, name, given):
    if isinstance(given, np.ma.MaskedArray):
        remedy = f"give {name}.filled(VALUE), and for labels ignore_label VALUE"
        raise ValueError(f"{owner}: {name}: expected an array of numbers, got a masked one; {remedy}")


def wrong_dense(labels, ignore_label, limit):
    """Which dense labels are not in [0, limit]; a NaN is not."""
    wrong = ~((labels >= 0) & (labels <= limit * ROUNDING))
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


def looks_dense(indices, classes):
    """Whether INDEX labels, as many a row as classes, are all 0 or 1: two classes would be given again and again."""
    return classes > 2 and indices.size > 0 and bool(((indices == 0) | (indices == 1)).all())


def scale_of(labels):
    """The scale of pictures that all positive ones of dense labels are; None if they are others, or there are none."""
    positive = labels[labels > 0]
    return next((scale for scale in SCALES if positive.size and np.abs(positive / scale - 1).max() < NEAR), None)


def instead(labels, classes):
    """What to give instead of dense labels that are whole numbers above 1; None if they are others."""
    largest = labels.max(initial=0)
    if not ROUNDING < largest < np.inf:  # nor NaN
        return None
    positive = labels[labels > 0]
    if (positive != np.floor(positive)).any():
        return None
    of_bytes = f", which are these times {1 / largest:.6g}" * bool((positive == largest).all())
    return f"0 and 1{of_bytes}" + ", label_format INDEX for class numbers" * bool(largest < classes)


def same_layout(shape, expected):
    """Whether an array of this shape may stand for one of the other, in the same order.

    Axes of length 1 do not count. All axes but the first may be joined into one, or all into one.
    """
    shape, expected = ([d for d in s if d != 1] for s in (shape, expected))
    joined = [expected[:1] + [size(expected[1:])], [size(expected)]] if expected else []
    return shape == expected or shape in joined


def size(shape):
    """The number of elements, as a Python integer."""
    total = 1
    for dim in shape:
        total *= int(dim)
    return total
