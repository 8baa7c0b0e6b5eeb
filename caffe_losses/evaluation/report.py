"""The figures of an evaluation as a table and as JSON."""

import numpy as np

from ..ranking import f1
from . import curves, field, thresholds

MOST, ENDS = 100, 20  # of more classes than MOST, so many of each end are printed
COLUMNS = ("class", "images", "AP", "precision", "recall", "F1")


class Report:
    """The figures of an evaluation.

    metrics   MultiLabelMetrics with mAP and F1, to which all was added
    names     of the classes
    overall   the names of the metrics to tell
    decision  {"threshold": x} or {"top_k": k} or both: which labels an image is given; x, or one for each class, in the
              scores' own unit
    makes     "Softmax" or "Sigmoid", which makes probabilities of the scores; or None
    """

    def __init__(self, metrics, names, overall, decision, makes=None):
        self.makes = makes
        self.metrics, self.names, self.decision, self.images = metrics, names, decision, metrics.images
        self.overall = {name: value(metrics, name) for name in overall}
        self.frequencies = metrics.positives
        by_class = {
            "AP": metrics.average_precisions(),
            "precision": metrics.hits / np.maximum(1, metrics.given),
            "recall": metrics.hits / np.maximum(1, metrics.positives),
            "F1": f1(metrics.hits, metrics.given, metrics.positives),
        }
        # a class without images has no figures: each of the means over classes is that of this table
        self.by_class = {name: np.where(self.frequencies > 0, column, np.nan) for name, column in by_class.items()}

    def order(self):
        """Classes by frequency, the most frequent first."""
        return np.argsort(-self.frequencies, kind="mergesort")

    def lines(self):
        """The table, the most frequent class first, and the metrics over all classes."""
        order = self.order()
        cut = len(order) > MOST
        shown = [self.row(c) for c in (np.concatenate([order[:ENDS], order[-ENDS:]]) if cut else order)]
        width = max(len(row[0]) for row in [COLUMNS, *shown])
        lines = [f"{row[0]:{width}}" + "".join(f"  {cell:>9}" for cell in row[1:]) for row in [COLUMNS, *shown]]
        if cut:
            lines.insert(1 + ENDS, f"... {len(order) - 2 * ENDS} more classes: --json OUT has them all ...")
        unit = "probabilities" if self.metrics.softmax else "scores"
        rules = " and ".join(rule(name, value, unit) for name, value in self.decision.items())
        lines += ["", f"{self.images} images; precision, recall and F1 of labels given to {rules}, always the best"]
        width = max(map(len, self.overall))
        return lines + [f"{name:{width}}  {text(figure)}" for name, figure in self.overall.items()]

    def row(self, c):
        figures = [column[c] for column in self.by_class.values()]
        return [self.names[c], str(self.frequencies[c])] + ["-" if np.isnan(x) else f"{x:.4f}" for x in figures]

    def all(self):
        """What goes into the JSON file: figures are null for a class without images."""
        keys = {"AP": "average_precision", "precision": "precision", "recall": "recall", "F1": "f1"}
        classes = [
            dict(
                {"name": self.names[c], "index": int(c), "images": int(self.frequencies[c])},
                **{key: number(self.by_class[name][c]) for name, key in keys.items()},
            )
            for c in self.order()
        ]
        return {"images": self.images, "metrics": self.overall, "classes": classes}

    def tuned(self, objective):
        """The text of a file with the thresholds that are best for an objective.

        ValueError if no probabilities are made of the scores.
        """
        if self.makes is None:
            raise ValueError("--tune-thresholds: expected scores that a Softmax or Sigmoid makes probabilities of; "
                             "leave out --scores")  # fmt: skip
        found = thresholds.tune(self.metrics, objective)
        values = [
            thresholds.UNKNOWN if score is None else thresholds.probability_of(score, self.makes) for score in found
        ]
        return thresholds.text(values, self.names)

    def draw(self, path, title):
        """Write a PNG of precision and recall, and of average precision by frequency."""
        curves.draw(path, self.metrics, self.names, f"{title}: {self.images} images, {len(self.names)} classes")


def value(metrics, name):
    """A number, or [low, high] of an interval."""
    if name == "mAP_interval":
        return field.METRICS[name](metrics)
    return float(field.METRICS[name](metrics) if name in field.METRICS else metrics.value(name))


def text(figure):
    if isinstance(figure, float):
        return f"{figure:.4f}"
    low, high = figure
    return f"{low:.4f} to {high:.4f}  ({field.LEVEL:.0%} of {field.DRAWS} draws of the images, seed {field.SEED})"


def rule(name, value, unit):
    if isinstance(value, list):
        return f"{unit} >= the threshold of their class"
    return f"{unit} >= {value:.4g}" if name == "threshold" else f"the {value} highest scores"


def number(value):
    return None if np.isnan(value) else float(value)
