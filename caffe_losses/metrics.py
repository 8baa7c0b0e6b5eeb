"""Metrics over a whole test set, from scores and labels that come batch by batch; numpy alone.

    metrics = MultiLabelMetrics(metrics=["mAP", "hit@1", "precision@5"])
    for scores, labels in batches:
        metrics.add(scores, labels)
    metrics.values()  # {"mAP": 0.41, "hit@1": 0.66, "precision@5": 0.27}

    mAP           the mean of the average precision over the classes that have a positive. Average precision of a
                  class: for each positive, the share of positives among the images with a score at least as
                  high; then the mean over the positives
    hit@k         the share of images with a true label among their k highest scores
    precision@k   the true labels among the k highest scores, divided by k. Mean over images
    ranking_loss  for an image, take all pairs of a true label and another label. This is the share of the pairs in
                  which the other label has a score at least as high. Mean over images. An image whose labels are
                  all true or all false has 0 (Schapire and Singer, 2000)
    micro_f1      2 TP / (2 TP + FP + FN) of the labels that `predict_labels` gives, counted over all classes
    macro_f1      the same for each class that has a positive, then the mean
    mAP_voc2007   as mAP, of Pascal VOC 2007's average precision at 11 points: the mean over r = 0, 0.1, ... 1 of the
                  highest precision at a recall of at least r (Everingham et al., 2010)
    CP, CR        precision TP / (TP + FP) and recall TP / (TP + FN) of each class that has a positive, then the mean.
                  A class that is never predicted has precision 0
    CF1           2 CP CR / (CP + CR): of the means, not the mean of F1s (Zhu et al., 2017; Chen et al., 2019)
    OP, OR, OF1   precision, recall and F1, counted over all classes
    CP@k ...      the same six, of the k highest scores of each image, whatever the threshold
    subset_accuracy  the share of images whose labels are all predicted, and no others
    hamming_loss  the share of labels that are predicted wrongly, of all images and classes

A class without a positive is in no mean over classes. Where it is ranked high or predicted, it is wrong: in hit@k,
precision@k, ranking_loss and micro_f1. Among equal scores, the lower class is first. An image without a label is a
miss: 0 in hit@k and precision@k. The figures are those of scikit-learn (average_precision_score, label_ranking_loss,
f1_score) of the classes that have a positive.
"""

import json
import re
from collections import namedtuple
from typing import TYPE_CHECKING, Any, Dict, List, Optional

import numpy as np

from . import files
from . import labels as read
from .labels import size
from .losses.checks import NotFiniteError
from .losses.options import IGNORE_LABEL, LABEL_FORMAT
from .options import FLAG, Domain, Option, at_least, checked, distinct, nullable, one_or_each
from .predict import predict_labels
from .ranking import average_precision, average_precision_voc2007, by_row, f1, log_softmax, ranking_loss, top_classes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

PAPERS = "CP", "CR", "CF1", "OP", "OR", "OF1"
NAMES = (
    "mAP, hit@k, precision@k (k: a whole number >= 1), ranking_loss, micro_f1, macro_f1, mAP_voc2007, "
    "CP, CR, CF1, OP, OR, OF1, the same six with @k, subset_accuracy, hamming_loss"
)
NAME = re.compile(
    r"mAP|mAP_voc2007|ranking_loss|micro_f1|macro_f1|subset_accuracy|hamming_loss|[CO](?:P|R|F1)|"
    r"(?:hit|precision|[CO](?:P|R|F1))@[1-9][0-9]*"
)
COLUMNS = 64  # so many classes at a time, which makes their scores contiguous

# A batch as (rows, classes): scores in float32, labels in int8, with 1, 0, or -1 for what is ignored.
Rows = namedtuple("Rows", "scores labels")
# One class: its index, and of the images that take part the scores and whether the label is true.
Column = namedtuple("Column", "index scores true")
# Of a rule that predicts labels, for each class: the number of predicted labels, and of those that are true.
Counts = namedtuple("Counts", "predicted hits")
# A metric of the k highest scores.
Cut = namedtuple("Cut", "name k")


def metric_names(value):
    if not isinstance(value, (list, tuple)) or not value or len(set(value)) < len(value):
        raise ValueError
    if not all(NAME.fullmatch(name) for name in value):
        raise ValueError
    return list(value)


def read_thresholds(path):
    """{class: probability} of a JSON file such as {"sea": 0.35, "dog": 0.5}. ValueError if it is none."""
    try:
        given = json.loads(files.read(path).decode("utf-8"), object_pairs_hook=distinct)
    except (json.JSONDecodeError, UnicodeDecodeError):
        given = None
    if not isinstance(given, dict):
        raise ValueError(f'{path} is no file of thresholds; expected JSON such as {{"sea": 0.35, "dog": 0.5}}')
    for name, p in given.items():
        if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
            raise ValueError(f"{path}: expected a probability for {name}, got {json.dumps(p)}; give a number in [0, 1]")
    return given


def thresholds(value):
    return list(read_thresholds(value).values()) if isinstance(value, str) else one_or_each("class").convert(value)


OPTIONS = (
    Option(
        "metrics",
        ["mAP"],
        Domain(f"a list, each once, of {NAMES}", metric_names),
        "The metrics to compute, in this order.",
    ),
    LABEL_FORMAT,
    IGNORE_LABEL,
    Option(
        "threshold",
        None,
        nullable(
            Domain(
                "a number, or a list of one a class, or the name of a file of `evaluate --tune-thresholds`", thresholds
            )
        ),
        "For F1 and its like: a label is predicted if its score is at least this. It has the unit of the scores; in a "
        "file, the thresholds are probabilities.",
    ),
    Option(
        "softmax",
        False,
        FLAG,
        "The scores are those of a softmax. Images are compared by log-probabilities, which are not rounded to 0 or 1. "
        "threshold is a probability.",
    ),
    Option(
        "top_k",
        None,
        nullable(at_least(1)),
        "For F1 and its like: only the k labels with the highest scores are predicted.",
    ),
    Option(
        "at_least_one",
        True,
        FLAG,
        "For F1, subset_accuracy and hamming_loss: the label with the highest score is always predicted. CP to OF1 are "
        "without it, as in papers.",
    ),
)


class MultiLabelMetrics:
    """Measures scores and labels that are added batch by batch. The OPTIONS are keyword arguments.

    scores  shape (N, C, ...): finite numbers, with the classes on axis 1, compared as float32. Each position of
            further axes counts as an image. Only mAP and mAP_voc2007 keep the scores: 5 bytes for each
    labels  DENSE: 0 or 1 for each score. INDEX: K class indices for each image, (N, K, ...), padded with -1; each once,
            but for a `softmax`, whose loss counts repeated ones: here, they are one label

    With `softmax`, the log-probabilities of an image, s - log sum exp s over its classes, take the place of its scores.

    Labels equal to `ignore_label` are ignored. DENSE: that class is left out for that image. INDEX: that index is
    skipped. An image with nothing else is left out.

    ValueError, in one line, for shapes and values outside of this, for a k above C, and for F1 and its like with
    neither threshold nor top_k. For a mean over classes also if no class has a positive.
    """

    metrics: List[str]
    threshold: Any
    top_k: Optional[int]
    softmax: bool

    def __init__(self, **options: Any) -> None:
        vars(self).update(checked(self.name(), OPTIONS, options))
        self.cuts = [Cut(name, int(name.split("@")[1])) for name in self.metrics if "@" in name]
        if self.decides() and self.threshold is None and self.top_k is None:
            self.refuse("{} needs a threshold or top_k, got neither; e.g. threshold=0.5", self.decides()[0])
        self.cut = self.threshold
        self.of_file = isinstance(options.get("threshold"), str)
        if self.softmax and self.threshold is not None:
            if not 0 < np.min(self.threshold) <= np.max(self.threshold) <= 1:
                self.refuse("threshold is {}; with softmax, give a probability in (0, 1]", self.threshold)
            self.cut = np.log(self.threshold)
        self.reset()

    @classmethod
    def name(cls) -> str:
        return cls.__name__

    def refuse(self, text, *values, error=ValueError):
        raise error(f"{self.name()}: {text.format(*values)}")

    def decides(self):
        """The metrics of labels that threshold and top_k predict."""
        others = "micro_f1", "macro_f1", "subset_accuracy", "hamming_loss", *PAPERS
        return [name for name in self.metrics if name in others]

    def reset(self) -> None:
        """Forget all batches. The next `add` starts anew."""
        self.kept: List[Rows] = []
        self.counts: Dict[str, Counts] = {}
        self.classes, self.images, self.averages = None, 0, None
        self.count, self.sums = 0, dict.fromkeys(self.metrics, 0)

    def add(self, scores: "ArrayLike", labels: "ArrayLike") -> None:
        """Add one batch."""
        self.add_batch(*(read.numbers_of(self.name(), *given) for given in (("scores", scores), ("labels", labels))))

    def add_batch(self, scores, labels):
        scores, labels = self.read(scores, labels)
        take_part = (labels >= 0).any(axis=1)
        if not take_part.all():
            scores, labels = scores[take_part], labels[take_part]
        self.images, self.averages = self.images + len(scores), None
        self.positives += (labels == 1).sum(axis=0)
        self.count += np.count_nonzero(labels >= 0)
        if any(name.startswith("mAP") for name in self.metrics):
            self.kept.append(Rows(scores, labels))
        ranked = np.where(labels < 0, np.float32(-np.inf), scores)
        if self.cuts:
            self.add_cuts(ranked, labels)
        if "ranking_loss" in self.metrics:
            self.sums["ranking_loss"] += sum(ranking_loss(row, label) for row, label in zip(scores, labels))
        if self.decides():
            self.add_decisions(ranked, labels)

    def values(self) -> Dict[str, float]:
        """{name: value} of all batches. ValueError if there is no image, or for a mean over classes no positive."""
        if not self.images:
            self.refuse("no image to measure; add some whose labels are not all ignored")
        return {name: float(self.value(name)) for name in self.metrics}

    def value(self, name):
        there = self.positives > 0
        kind, _, k = name.partition("@")
        if kind in ("mAP", "mAP_voc2007", "macro_f1", "CP", "CR", "CF1") and not there.any():
            self.refuse("{} of {} images without a single label; give some that have labels", name, self.images)
        if name == "mAP":
            return self.average_precisions()[there].mean()
        if name == "micro_f1":
            return f1(self.hits.sum(), self.given.sum(), self.positives.sum())
        if name == "macro_f1":
            return f1(self.hits, self.given, self.positives)[there].mean()
        if name == "mAP_voc2007":
            return np.mean(
                [average_precision_voc2007(scores, true) for _, scores, true in self.columns() if true.any()]
            )
        if kind in PAPERS:
            return self.paper(kind, self.counts[name.partition("@")[1] + k])
        if name == "hamming_loss":
            return self.sums[name] / self.count
        return self.sums[name] / (self.images * (int(k) if kind == "precision" else 1))

    def paper(self, kind, counts):
        """CP, CR, CF1, OP, OR or OF1 of these Counts."""
        predicted, hits, true = counts.predicted, counts.hits, self.positives
        if kind[0] == "C":
            there = true > 0
            precision = (hits / np.maximum(1, predicted))[there].mean()
            recall = (hits[there] / true[there]).mean()
        else:
            precision = hits.sum() / max(1, predicted.sum())
            recall = hits.sum() / max(1, true.sum())
        means = {"P": precision, "R": recall, "F1": 2 * precision * recall / (precision + recall or 1)}
        return means[kind[1:]]

    def average_precisions(self):
        """The average precision of each class, NaN without a positive. Only if mAP is among the metrics."""
        if self.averages is None:
            self.averages = np.full(self.classes, np.nan)
            for c, scores, true in self.columns():
                if true.any():
                    self.averages[c] = average_precision(scores, true)
        return self.averages

    def columns(self, classes=None):
        """A Column for each of these classes, or of all."""
        classes = np.arange(self.classes) if classes is None else np.asarray(classes)
        for start in range(0, len(classes), COLUMNS):
            some = classes[start : start + COLUMNS]
            scores, labels = (
                np.ascontiguousarray(np.concatenate([batch[i][:, some] for batch in self.kept]).T) for i in (0, 1)
            )
            for c, row, label in zip(some, scores, labels):
                takes_part = label >= 0
                yield Column(c, row[takes_part], label[takes_part] == 1)

    # What each batch adds

    def add_cuts(self, scores, labels):
        best = top_classes(scores, max(k for _, k in self.cuts))
        codes = labels[np.arange(len(best))[:, None], best]
        for k in {k for name, k in self.cuts if name.partition("@")[0] in PAPERS}:
            classes, code = best[:, :k], codes[:, :k]
            self.add_counts(f"@{k}", *(np.bincount(classes[code >= low], minlength=self.classes) for low in (0, 1)))
        for name, k in self.cuts:
            here = codes[:, :k] == 1
            if name.startswith(("hit", "precision")):
                self.sums[name] += np.count_nonzero(here.any(axis=1) if name.startswith("hit") else here)

    def add_decisions(self, scores, labels):
        takes_part, true = labels >= 0, labels == 1
        positive = predict_labels(scores, self.cut, self.top_k, self.at_least_one) & takes_part
        self.given += positive.sum(axis=0)
        self.hits += (positive & true).sum(axis=0)
        wrong = (positive != true) & takes_part
        if "subset_accuracy" in self.metrics:
            self.sums["subset_accuracy"] += np.count_nonzero(~wrong.any(axis=1))
        if "hamming_loss" in self.metrics:
            self.sums["hamming_loss"] += np.count_nonzero(wrong)
        if any(name in PAPERS for name in self.metrics):
            positive = predict_labels(scores, self.cut, self.top_k, at_least_one=False) & takes_part
            self.add_counts("", positive.sum(axis=0), (positive & true).sum(axis=0))

    def add_counts(self, rule, predicted, hits):
        before = self.counts.get(rule, Counts(0, 0))
        self.counts[rule] = Counts(before.predicted + predicted, before.hits + hits)

    # Reading and checking

    def read(self, scores, labels):
        """The batch as Rows."""
        shape = scores.shape
        if len(shape) < 2 or not shape[1]:
            self.refuse("scores {}; give N x C, with at least one class", shape)
        self.take_classes(shape[1])
        inner = size(shape[2:])
        slots = shape[1] if self.label_format == "DENSE" else size(labels.shape) // max(1, shape[0] * inner)
        fits = labels.shape[:1] == shape[:1] and read.same_layout(labels.shape, (shape[0], slots, *shape[2:]))
        if not fits or (size(shape) and not slots):
            text = "scores {} and {} labels {} do not fit; give {}"
            needed = {"DENSE": "one value per class", "INDEX": "K class indices a row, padded with -1"}
            self.refuse(text, shape, self.label_format, labels.shape, needed[self.label_format])
        codes = self.read_labels(labels, (shape[0], slots, inner))
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
            scores32 = scores.astype(np.float32)
        self.check("scores", ~np.isfinite(scores32), scores, "finite numbers", NotFiniteError)
        if self.softmax:
            scores32 = log_softmax(scores32)
        elif self.of_file:
            self.check("scores", (scores < 0) | (scores > 1), scores,
                       "probabilities, as the file of thresholds has them: put a Sigmoid layer before")  # fmt: skip
        return Rows(by_row(scores32.reshape(shape[0], shape[1], inner)), by_row(codes))

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

    def read_labels(self, array, shape):
        """int8 (outer, classes, inner) of labels in either format. `shape` is their (outer, slots, inner)."""
        labels = array.reshape(shape)
        ignored = np.zeros(shape, bool) if self.ignore_label is None else labels == self.ignore_label
        if self.label_format == "DENSE":
            self.check("labels", (labels != 0) & (labels != 1) & ~ignored, array, "0 or 1")
            return np.where(ignored, -1, labels == 1).astype(np.int8)
        wrong = read.wrong_indices(labels, self.ignore_label, self.classes)
        self.check("labels", wrong, array, f"whole numbers in [0, {self.classes}), or -1 to pad")
        if shape[1] == self.classes and read.looks_dense(labels, self.classes):
            self.refuse("labels {} are a 0 or a 1 for each class; give label_format DENSE", array.shape)
        indices = np.where(ignored | (labels == -1), self.classes, labels).astype(np.intp)
        outer, _, inner = shape
        codes = np.zeros((outer, self.classes + 1, inner), np.int8)
        codes[np.arange(outer)[:, None, None], indices, np.arange(inner)] = 1
        if not self.softmax and np.count_nonzero(codes[:, :-1]) < np.count_nonzero(indices != self.classes):
            repeated = read.repeated_indices(labels, self.ignore_label)
            self.check("labels", repeated, array, "each class of an image once, or say softmax if its loss counts them")
        nothing_else = ignored.any(axis=1) & (indices == self.classes).all(axis=1)
        return np.where(nothing_else[:, None], np.int8(-1), codes[:, :-1])

    def check(self, name, wrong, array, needed, error=ValueError):
        if wrong.any():
            place = np.unravel_index(np.flatnonzero(wrong)[0], array.shape)
            index = ", ".join(str(int(i)) for i in place)
            self.refuse("{}[{}] is {}; give {}", name, index, array[place], needed, error=error)
