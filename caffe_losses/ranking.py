"""What the metrics are made of: log-probabilities, the highest scores, and figures of one class or of one image."""

import numpy as np


def log_softmax(scores):
    """Log-probabilities over axis 1, as float32: s - max - log(1 + sum of exp(s - max) over all but the best).

    The 1 is apart, so that a probability of 1 - 1e-30 is more than one of 1 - 1e-20.
    """
    differences = scores - scores.max(axis=1).astype(np.float64)[:, None]
    classes = np.arange(scores.shape[1]).reshape(-1, *[1] * (scores.ndim - 2))
    others = np.where(classes == scores.argmax(axis=1)[:, None], 0, np.exp(differences)).sum(axis=1)
    return np.maximum(differences - np.log1p(others)[:, None], np.finfo(np.float32).min).astype(np.float32)


def by_row(array):
    """(outer, classes, inner) as (outer * inner, classes)."""
    return np.moveaxis(array, 1, 2).reshape(-1, array.shape[1])


def average_precision(scores, true):
    """For each true image: the share of true ones among the images with a score at least as high. Then the mean.

    scores  n numbers, none of them NaN. Equal scores share a threshold
    true    n bools, at least one of them True
    """
    thresholds = np.sort(scores[true])
    as_high = len(scores) - np.searchsorted(np.sort(scores), thresholds)
    true_as_high = len(thresholds) - np.searchsorted(thresholds, thresholds)
    return np.mean(true_as_high / as_high)


def average_precision_voc2007(scores, true):
    """The mean over r = 0, 0.1, ... 1 of the highest precision at a recall of at least r. As `average_precision`."""
    thresholds = np.sort(scores[true])[::-1]
    as_high = len(scores) - np.searchsorted(np.sort(scores), thresholds)
    true_as_high = np.searchsorted(-thresholds, -thresholds, side="right")
    highest = np.maximum.accumulate((true_as_high / as_high)[::-1])[::-1]
    first = -(-np.arange(11) * len(thresholds) // 10)  # so many true images make a recall of r: exact, in integers
    return highest[np.maximum(first, 1) - 1].mean()


def ranking_loss(scores, labels):
    """The share of pairs of a true label (1) and another (0) in the wrong order. Labels below 0 are ignored."""
    true, others = scores[labels == 1], scores[labels == 0]
    wrong = np.searchsorted(np.sort(true), others, side="right").sum()
    return wrong / max(1, len(true) * len(others))


def f1(hits, predicted, true):
    """2 TP / (2 TP + FP + FN), from the number of right, predicted and true labels. 0 if none is predicted or true."""
    return 2 * hits / np.maximum(1, predicted + true)


def top_classes(scores, k):
    """The classes of the k highest scores of each row, (n, k). The best is first; among equals, the lower class."""
    classes = scores.shape[1]
    least = np.partition(scores, classes - k, axis=1)[:, classes - k, None]
    among_best = scores >= least
    tied = np.count_nonzero(among_best, axis=1) > k
    among_best[tied] = False
    first = np.argsort(-scores[tied], axis=1, kind="mergesort")[:, :k]
    among_best[np.flatnonzero(tied)[:, None], first] = True
    best, rows = among_best.nonzero()[1].reshape(-1, k), np.arange(len(scores))[:, None]
    return best[rows, np.argsort(-scores[rows, best], axis=1, kind="mergesort")]
