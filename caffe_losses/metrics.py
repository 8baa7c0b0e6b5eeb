"""Metrics over a whole test set, from scores and labels that come batch by batch; numpy alone.

    metrics = MultiLabelMetrics(metrics=["mAP", "hit@1", "precision@5"])
    for scores, labels in batches:
        metrics.add(scores, labels)
    metrics.values()  # {"mAP": 0.41, "hit@1": 0.66, "precision@5": 0.27}

    mAP           mean, over the classes that have a positive, of average precision: over a class's positives, the
                  mean share of positives among all images with a score at least as high as theirs
    hit@k         share of images with a true label among their k highest scores
    precision@k   true labels among the k highest scores, divided by k; mean over images
    ranking_loss  share of an image's pairs of a true and another label of which the other has a score at least as
                  high; mean over images, 0 for one whose labels are all true or all not (Schapire and Singer, 2000)
    micro_f1      2 TP / (2 TP + FP + FN) of the labels that `predict_labels` gives, counted over all classes
    macro_f1      the same for each class, 0 for one that is neither true nor given, and their mean

Among equal scores, the lower class is first. An image without a label is a miss: 0 in hit@k and
precision@k. The figures are scikit-learn's (average_precision_score, label_ranking_loss, f1_score).
"""

import re

import numpy as np

from . import labels as read
from . import params
from .labels import size
from .predict import predict_labels

NAMES = "mAP, hit@k, precision@k (k: a whole number >= 1), ranking_loss, micro_f1, macro_f1"
NAME = re.compile(r"mAP|ranking_loss|micro_f1|macro_f1|(?:hit|precision)@[1-9][0-9]*")
COLUMNS = 64  # so many classes at a time, which makes their scores contiguous


def metric_names(value):
    if not isinstance(value, (list, tuple)) or not value or len(set(value)) < len(value):
        raise ValueError
    if not all(NAME.fullmatch(name) for name in value):
        raise ValueError
    return list(value)


def thresholds(value):
    return [params.real(one) for one in value] if isinstance(value, (list, tuple)) else params.real(value)


OPTIONS = (
    params.Option("metrics", ["mAP"], f"a list, each once, of {NAMES}", metric_names, "what is measured, in order"),
    params.LABEL_FORMAT,
    params.IGNORE_LABEL,
    params.Option(
        "threshold", None, *params.nullable(("a number, or a list of one a class", thresholds)),
        meaning="for F1: a label is given if its score is >= this, in the scores' own unit"
    ),
    params.Option(
        "top_k", None, *params.nullable(params.at_least(1)),
        meaning="for F1: only the k highest scores are given"
    ),
    params.Option(
        "at_least_one", True, *params.FLAG, meaning="for F1: the highest score is given whatever the threshold"
    ),
)  # fmt: skip


class MultiLabelMetrics:
    """Adds up batches of scores (N, C, ...) and labels; its options are keyword arguments.

    scores  finite numbers, with the classes on axis 1; compared as float32. Each position of further axes counts
            as an image of its own. They are kept only for mAP, in 5 bytes each
    labels  DENSE: 0 or 1 for each score. INDEX: K class indices an image, (N, K, ...), padded with -1

    What `ignore_label` marks takes no part: of a DENSE label that class is left out of the image; an INDEX
    one is passed over. An image of which nothing is left is left out.

    ValueError, in one line, for shapes and values outside of this, for a k above C, and for F1 with neither
    threshold nor top_k.
    """

    def __init__(self, **given):
        vars(self).update(params.checked(self.name(), OPTIONS, given))
        self.cuts = [(name, int(name.split("@")[1])) for name in self.metrics if "@" in name]
        if self.decides() and self.threshold is None and self.top_k is None:
            self.refuse("{} needs a threshold or top_k, got neither; e.g. threshold=0.5", self.decides()[0])
        self.reset()

    @classmethod
    def name(cls):
        return cls.__name__

    def refuse(self, text, *values):
        raise ValueError(f"{self.name()}: {text.format(*values)}")

    def decides(self):
        return [name for name in self.metrics if name.endswith("_f1")]

    def reset(self):
        """Forget all batches."""
        self.classes, self.images, self.kept, self.averages = None, 0, [], None
        self.sums = dict.fromkeys(self.metrics, 0)

    def add(self, scores, labels):
        """Take one batch in."""
        scores, labels = self.read(np.asarray(scores), np.asarray(labels))
        left = (labels >= 0).any(axis=1)
        if not left.all():
            scores, labels = scores[left], labels[left]
        self.images, self.averages = self.images + len(scores), None
        self.positives += (labels == 1).sum(axis=0)
        if "mAP" in self.metrics:
            self.kept.append((scores, labels))
        ranked = np.where(labels < 0, np.float32(-np.inf), scores)
        if self.cuts:
            self.add_cuts(ranked, labels)
        if "ranking_loss" in self.metrics:
            self.sums["ranking_loss"] += sum(ranking_loss(row, label) for row, label in zip(scores, labels))
        if self.decides():
            self.add_decisions(ranked, labels)

    def values(self):
        """{name: value} of all that was added; ValueError if that was nothing, or for mAP without a single label."""
        if not self.images:
            self.refuse("no image to measure; add some whose labels are not all ignored")
        return {name: float(self.value(name)) for name in self.metrics}

    def value(self, name):
        if name == "mAP":
            if not self.positives.any():
                self.refuse("mAP of {} images without a single label; give some that have labels", self.images)
            return np.nanmean(self.average_precisions())
        if name == "micro_f1":
            return f1(self.hits.sum(), self.given.sum(), self.positives.sum())
        if name == "macro_f1":
            return f1(self.hits, self.given, self.positives).mean()
        k = dict(self.cuts).get(name, 1) if name.startswith("precision") else 1
        return self.sums[name] / (k * self.images)

    def average_precisions(self):
        """Average precision of each class, NaN for one without positives; only if mAP is among the metrics."""
        if self.averages is None:
            self.averages = np.full(self.classes, np.nan)
            for c, scores, true in self.columns():
                if true.any():
                    self.averages[c] = average_precision(scores, true)
        return self.averages

    def columns(self, classes=None):
        """(class, scores, whether true) of the images that take part, for each class or those given."""
        classes = np.arange(self.classes) if classes is None else np.asarray(classes)
        for start in range(0, len(classes), COLUMNS):
            chosen = classes[start : start + COLUMNS]
            scores, labels = (
                np.ascontiguousarray(np.concatenate([kept[i][:, chosen] for kept in self.kept]).T) for i in (0, 1)
            )
            for c, row, label in zip(chosen, scores, labels):
                left = label >= 0
                yield c, row[left], label[left] == 1

    # What each batch adds

    def add_cuts(self, scores, labels):
        best = top_classes(scores, max(k for _, k in self.cuts))
        hits = labels[np.arange(len(best))[:, None], best] == 1
        for name, k in self.cuts:
            here = hits[:, :k]
            self.sums[name] += np.count_nonzero(here.any(axis=1) if name.startswith("hit") else here)

    def add_decisions(self, scores, labels):
        given = predict_labels(scores, self.threshold, self.top_k, self.at_least_one) & (labels >= 0)
        self.given += given.sum(axis=0)
        self.hits += (given & (labels == 1)).sum(axis=0)

    # Reading and checking

    def read(self, scores, labels):
        """Scores as (rows, classes) float32 and labels as (rows, classes) int8: 1, 0, or -1 for what is ignored."""
        shape = scores.shape
        if len(shape) < 2 or not shape[1]:
            self.refuse("scores {}; give N x C, with at least one class", shape)
        self.take_classes(shape[1])
        inner = size(shape[2:])
        slots = shape[1] if self.label_format == "DENSE" else size(labels.shape) // max(1, shape[0] * inner)
        fits = labels.shape[:1] == shape[:1] and size(labels.shape) == slots * shape[0] * inner
        if self.label_format == "DENSE":
            fits = fits and [d for d in labels.shape if d != 1] == [d for d in shape if d != 1]
        if not fits:
            text = "scores {} and {} labels {} do not fit; give {}"
            needed = {"DENSE": "one value per class", "INDEX": "K class indices a row, padded with -1"}
            self.refuse(text, shape, self.label_format, labels.shape, needed[self.label_format])
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
            here = scores.astype(np.float32)
        self.check("scores", ~np.isfinite(here), scores, "finite numbers")
        found = self.read_labels(labels.reshape(shape[0], slots, inner), labels)
        return by_row(here.reshape(shape[0], shape[1], inner)), by_row(found)

    def take_classes(self, classes):
        if self.classes is None:
            deepest = max([k for _, k in self.cuts] + [1])
            if deepest > classes:
                name = next(name for name, k in self.cuts if k == deepest)
                self.refuse("{} of {} classes; give a k of at most {}", name, classes, classes)
            self.classes = classes
            self.positives, self.given, self.hits = np.zeros((3, classes), np.int64)
        if classes != self.classes:
            self.refuse("scores of {} classes after a batch of {}; give one number of classes", classes, self.classes)

    def read_labels(self, labels, given):
        """int8 (outer, classes, inner) of labels in either format; `given` are the same in their own shape."""
        ignored = np.zeros(labels.shape, bool) if self.ignore_label is None else labels == self.ignore_label
        if self.label_format == "DENSE":
            self.check("labels", (labels != 0) & (labels != 1) & ~ignored, given, "0 or 1")
            return np.where(ignored, -1, labels == 1).astype(np.int8)
        wrong = read.wrong_indices(labels, self.ignore_label, self.classes)
        self.check("labels", wrong, given, f"whole numbers in [0, {self.classes}), or -1 to pad")
        indices = np.where(ignored | (labels == -1), self.classes, labels).astype(np.intp)
        outer, _, inner = labels.shape
        found = np.zeros((outer, self.classes + 1, inner), np.int8)
        found[np.arange(outer)[:, None, None], indices, np.arange(inner)] = 1
        nothing_else = ignored.any(axis=1) & (indices == self.classes).all(axis=1)
        return np.where(nothing_else[:, None], np.int8(-1), found[:, :-1])

    def check(self, name, wrong, array, needed):
        if wrong.any():
            place = np.unravel_index(np.flatnonzero(wrong)[0], array.shape)
            index = ", ".join(str(int(i)) for i in place)
            self.refuse("{}[{}] is {}; give {}", name, index, array[place], needed)


def by_row(array):
    """(outer, classes, inner) as (outer * inner, classes)."""
    return np.moveaxis(array, 1, 2).reshape(-1, array.shape[1])


def average_precision(scores, true):
    """Mean over the true of (how many true have a score at least as high) / (how many of all have).

    scores: n numbers, none NaN; true: n bools, one at least. Equal scores share a threshold.
    """
    found = np.sort(scores[true])
    as_high = len(scores) - np.searchsorted(np.sort(scores), found)
    true_as_high = len(found) - np.searchsorted(found, found)
    return np.mean(true_as_high / as_high)


def ranking_loss(scores, labels):
    """The share of pairs of a true label (1) and another (0) that are in the wrong order; labels < 0 take no part."""
    true, others = scores[labels == 1], scores[labels == 0]
    wrong = np.searchsorted(np.sort(true), others, side="right").sum()
    return wrong / max(1, len(true) * len(others))


def f1(hits, given, true):
    """2 TP / (2 TP + FP + FN), of how many labels are right, given and true; 0 where none is given or true."""
    return 2 * hits / np.maximum(1, given + true)


def top_classes(scores, k):
    """The k highest scores' classes of each row, (n, k), the best first, the lower class first among equals."""
    classes = scores.shape[1]
    least = np.partition(scores, classes - k, axis=1)[:, classes - k, None]
    admitted = scores >= least
    tied = np.count_nonzero(admitted, axis=1) > k
    admitted[tied] = False
    surplus = np.argsort(-scores[tied], axis=1, kind="mergesort")[:, :k]
    admitted[np.flatnonzero(tied)[:, None], surplus] = True
    chosen, rows = admitted.nonzero()[1].reshape(-1, k), np.arange(len(scores))[:, None]
    return chosen[rows, np.argsort(-scores[rows, chosen], axis=1, kind="mergesort")]
