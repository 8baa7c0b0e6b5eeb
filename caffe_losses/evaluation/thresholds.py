"""Thresholds, one for each class: tuned on a validation set for an F1, and kept in a file that a person can edit.

{"dog": 0.31, "sea": 0.62}
"""

import json
import math
from collections import namedtuple

import numpy as np

from ..metrics import Rows, read_thresholds
from ..options import shortened
from ..ranking import f1

OBJECTIVES = "macro_f1", "micro_f1", "example_f1"
UNKNOWN = 0.5  # of a class without a positive image
PASSES = 20

# Of each image: how many labels of the other classes are given and true, how many are given, how many of all are true.
Others = namedtuple("Others", "hits given true")


def read(path, names):
    """The probabilities in a file, a list in the order of the classes.

    ValueError for what is no such file, and for one that has others than these classes. OSError if it cannot be read.
    """
    given = read_thresholds(path)
    classes = set(names)
    absent, unknown = [name for name in names if name not in given], [name for name in given if name not in classes]
    if absent or unknown:
        told = f"has none for {shortened(absent)}" if absent else f"names {shortened(unknown)}, which are no classes"
        raise ValueError(f"{path} {told}; give one threshold for each of the {len(names)} classes")
    return [float(given[name]) for name in names]


def text(thresholds, names):
    """The text of a file, a class a line."""
    return json.dumps(dict(zip(names, thresholds)), ensure_ascii=False, indent=1) + "\n"


def inside(p):
    """The nearest probability above 0 and below 1, of which there is a score."""
    return min(max(p, 5e-324), 1 - 2**-53)


def probability_of(score, makes):
    """The probability, below 1 and above 0, that a Sigmoid makes of a score, or a Softmax of a logarithm."""
    if makes is None:
        return float(score)
    small = math.exp(min(score, 0))  # exp of a large number would overflow
    return inside(small / (1 + math.exp(-abs(score))) if makes == "Sigmoid" else small)


def tune(metrics, objective, other=np.inf):
    """The scores from which on each class is given, so that an F1 of these images is as high as it can be.

    The best label of an image is always given, as `predict_labels` does it. macro_f1 is the mean of the F1 of each
    class, so that each is tuned by itself, over all cuts between its scores. For micro_f1, and for example_f1, the
    mean of the F1 of each image, this is the start; then one class after the other gets its best threshold, while the
    others stay, until nothing improves: the cyclic optimization of Fan and Lin, "A Study on Threshold Selection for
    Multi-label Classification", 2007. A class without a positive has None.

    Args:
        metrics: MultiLabelMetrics with mAP, to which all images were added.
        objective: one of OBJECTIVES.
        other: the score from which on a class without a positive is given.

    Returns:
        A list: a score in the metrics' own unit for each class. None for a class without a positive, and for one that
        is the best of all images.
    """
    scores, labels = Rows(*(np.concatenate([batch[k] for batch in metrics.kept]) for k in (0, 1)))
    values = np.where(labels < 0, -np.inf, scores.astype(np.float64))
    values[np.arange(len(values)), values.argmax(axis=1)] = np.inf  # always given
    true = labels == 1
    cuts = [Cuts(values[:, c], labels[:, c] >= 0) for c in range(values.shape[1])]
    given, chosen = values >= other, {}
    tuned = np.flatnonzero(true.any(axis=0))
    for c in tuned:
        chosen[c] = cuts[c].best(macro(cuts[c], true[:, c]))
        given[:, c] = cuts[c].given(chosen[c])
    gains = {"micro_f1": micro, "example_f1": example}.get(objective)
    best = value(objective, given, true)
    hits, count, labels_of_images = (given & true).sum(axis=1), given.sum(axis=1), true.sum(axis=1)
    for _ in range(PASSES if gains else 0):
        for c in tuned:
            others = Others(hits - (given[:, c] & true[:, c]), count - given[:, c], labels_of_images)
            chosen[c] = cuts[c].best(gains(cuts[c], others, true[:, c]))
            given[:, c] = cuts[c].given(chosen[c])
            hits, count = others.hits + (given[:, c] & true[:, c]), others.given + given[:, c]
        now = value(objective, given, true)
        if now <= best + 1e-12:
            break
        best = now
    return [cuts[c].threshold(chosen[c]) if c in chosen else None for c in range(values.shape[1])]


def value(objective, given, true):
    """The objective of labels that are given, of those that are true; arrays (images, classes)."""
    hits = given & true
    if objective == "micro_f1":
        return f1(hits.sum(), given.sum(), true.sum())
    axis = 0 if objective == "macro_f1" else 1
    values = f1(hits.sum(axis=axis), given.sum(axis=axis), true.sum(axis=axis))
    return values[true.any(axis=axis)].mean()


class Cuts:
    """The places between the scores of one class at which its images may be cut into given and not given.

    scores     one for each image; infinite where the class is always given
    take_part  whether the image takes part
    """

    def __init__(self, scores, take_part):
        self.order = np.flatnonzero(take_part)[np.argsort(-scores[take_part], kind="mergesort")]
        self.sorted, self.images = scores[self.order], len(scores)
        n, first = len(self.order), np.count_nonzero(self.sorted == np.inf)
        ends = np.append(self.sorted[1:] != self.sorted[:-1], True) if n else np.zeros(0, bool)
        places = np.flatnonzero(ends) + 1  # so many images are given
        self.places = np.unique(np.append(places[places >= first], first))

    def best(self, values):
        """The number of images to give, the least among equals, from the objective for 0, 1, 2, ... of them."""
        return int(self.places[np.argmax(values[self.places])])

    def given(self, count):
        mask = np.zeros(self.images, bool)
        mask[self.order[:count]] = True
        return mask

    def threshold(self, count):
        """Half way between the last score that is given and the first that is not.

        If there is but one of them, the number of float32 beside it: rounding as a probability then changes nothing.
        """
        above = self.sorted[count - 1] if count else np.inf
        below = self.sorted[count] if count < len(self.sorted) else -np.inf
        if above == np.inf:  # none but those that are always given
            return float(np.nextafter(np.float32(below), np.float32(np.inf))) if below > -np.inf else None
        if below == -np.inf:
            return float(np.nextafter(np.float32(above), np.float32(-np.inf)))
        return float((above + below) / 2)


def counted(cuts, true):
    """How many of the first 0, 1, ... images are true."""
    return np.append(0, np.cumsum(true[cuts.order]))


def macro(cuts, true):
    hits = counted(cuts, true)
    return f1(hits, np.arange(len(hits)), true.sum())


def micro(cuts, others, true):
    hits = counted(cuts, true)
    return f1(hits + others.hits.sum(), np.arange(len(hits)) + others.given.sum(), others.true.sum())


def example(cuts, others, true):
    without, with_it = f1(*others), f1(others.hits + true, others.given + 1, others.true)
    change = np.where(others.true > 0, with_it - without, 0)[cuts.order]
    return np.append(0, np.cumsum(change))
