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
UNKNOWN = 0.5  # of a class that is the best of all images, so that its threshold does nothing
PASSES = 20
PRIOR = 5  # typical positives that each class has beside its own

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


def tune(metrics, objective, prior=PRIOR):
    """The scores from which on each class is given, so that an F1 of such images is as high as it can be.

    The best label of an image is always given, as `predict_labels` does it. macro_f1 is the mean of the F1 of each
    class, so that each is tuned by itself, over all cuts between its scores. For micro_f1, and for example_f1, the
    mean of the F1 of each image, this is the start; then one class after the other gets its best threshold, while the
    others stay, until nothing changes: the cyclic optimization of Fan and Lin, "A Study on Threshold Selection for
    Multi-label Classification", 2007.

    A threshold that is the best for two or three positives of a class is mostly chance. So each class has some typical
    positives beside its own: to its counts are added, for each threshold, those of all classes together, as many as
    belong to `prior` positives. A class with many positives is tuned by these, one with none by all classes.

    Args:
        metrics: MultiLabelMetrics with mAP, to which all images were added.
        objective: one of OBJECTIVES.
        prior: how many typical positives. 0: the highest F1 of these very images.

    Returns:
        A list: a score in the metrics' own unit for each class. None for a class that is the best of all images.
    """
    scores, labels = Rows(*(np.concatenate([batch[k] for batch in metrics.kept]) for k in (0, 1)))
    values = np.where(labels < 0, -np.inf, scores.astype(np.float64))
    values[np.arange(len(values)), values.argmax(axis=1)] = np.inf  # always given
    true = labels == 1
    typical = Typical(values[labels >= 0], true[labels >= 0], prior)
    cuts = [Cuts(values[:, c], labels[:, c] >= 0, typical) for c in range(values.shape[1])]
    chosen = [each.best(macro(each, true[:, c])) for c, each in enumerate(cuts)]
    gains = {"micro_f1": micro, "example_f1": example}.get(objective)
    for _ in range(PASSES if gains else 0):
        before = list(chosen)
        improve(cuts, chosen, true, gains)
        if chosen == before:
            break
    return [each.threshold(count) for each, count in zip(cuts, chosen)]


def improve(cuts, chosen, true, gains):
    """Give one class after the other its best threshold, while the others stay."""
    given = np.stack([each.given(count) for each, count in zip(cuts, chosen)], axis=1)
    hits, count, labels = (given & true).sum(axis=1), given.sum(axis=1), true.sum(axis=1)
    typical = sum(each.typical_at(k) for each, k in zip(cuts, chosen))
    for c, each in enumerate(cuts):
        others = Others(hits - (given[:, c] & true[:, c]), count - given[:, c], labels)
        typical = typical - each.typical_at(chosen[c])
        chosen[c] = each.best(gains(each, others, typical, true[:, c]))
        given[:, c] = each.given(chosen[c])
        hits, count = others.hits + (given[:, c] & true[:, c]), others.given + given[:, c]
        typical = typical + each.typical_at(chosen[c])


class Typical:
    """The counts of all classes together at a threshold, as many as belong to `prior` positives.

    scores  of all images and classes that take part
    true    whether each label is true
    """

    def __init__(self, scores, true, prior):
        self.all, self.true = np.sort(scores), np.sort(scores[true])
        self.prior, self.share = prior, prior / max(1, len(self.true))

    def counts(self, thresholds):
        """How many labels are given and true, are given, and are true, at each threshold: (3, thresholds)."""
        hits, given = (len(part) - np.searchsorted(part, thresholds) for part in (self.true, self.all))
        return np.stack([hits * self.share, given * self.share, np.full(len(thresholds), float(self.prior))])


class Cuts:
    """The places between the scores of one class at which its images may be cut into given and not given.

    scores     one for each image; infinite where the class is always given
    take_part  whether the image takes part
    typical    the Typical of all classes
    """

    def __init__(self, scores, take_part, typical):
        self.order = np.flatnonzero(take_part)[np.argsort(-scores[take_part], kind="mergesort")]
        self.sorted, self.images = scores[self.order], len(scores)
        n, first = len(self.order), np.count_nonzero(self.sorted == np.inf)
        ends = np.append(self.sorted[1:] != self.sorted[:-1], True) if n else np.zeros(0, bool)
        places = np.flatnonzero(ends) + 1  # so many images are given
        self.places = np.unique(np.append(places[places >= first], first))
        self.typical = typical.counts(self.between())

    def between(self):
        """The threshold that gives the first 0, 1, 2, ... images."""
        above, below = np.append(np.inf, self.sorted), np.append(self.sorted, -np.inf)
        with np.errstate(invalid="ignore"):
            middle = np.where(above == np.inf, np.nextafter(below, np.inf), (above + below) / 2)
        return np.where(below == -np.inf, above, middle)

    def typical_at(self, count):
        return self.typical[:, count]

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
    return f1(*sums(cuts.typical, hits, np.arange(len(hits)), true.sum()))


def micro(cuts, others, typical, true):
    hits = counted(cuts, true)
    own = hits + others.hits.sum(), np.arange(len(hits)) + others.given.sum(), others.true.sum()
    return f1(*sums(cuts.typical, *own) + typical[:, None])


def sums(typical, hits, given, true):
    return typical + np.stack(np.broadcast_arrays(hits, given, true))


def example(cuts, others, typical, true):
    """A typical positive is an image of one label."""
    without, with_it = f1(*others), f1(others.hits + true, others.given + 1, others.true)
    change = np.where(others.true > 0, with_it - without, 0)[cuts.order]
    return np.append(0, np.cumsum(change)) + cuts.typical[2] * f1(*cuts.typical)
