"""The softmax loss of scores, and what losses of a distribution share."""

from typing import Tuple

import numpy as np

from ..options import Option
from .base import Loss
from .options import (
    AXIS,
    CLASS_WEIGHT,
    IGNORE_LABEL,
    LABEL_FORMAT,
    LABEL_SCALE,
    LABEL_SMOOTHING,
    NORMALIZATION,
    SOFT_LABELS,
)


class DistributionLoss(Loss):
    """Base: -sum over c of T_c log p_c, where T is made of the labels y >= 0 by

    T_c = class_weight_c ((1 - label_smoothing) y_c / scale + label_smoothing / C)

    with the scale of `label_scale`: M, the number of the row's positive labels (COUNT), their sum
    (SUM), or 1 (NONE), and C the number of its classes that are not ignored. T = 0 where no label is
    positive: such a row has loss 0 and gradient 0, and counts in the normalizer.

    A subclass says in `of_targets` what it makes of scores and T.
    """

    options: Tuple[Option, ...] = (
        AXIS,
        LABEL_FORMAT,
        LABEL_SCALE,
        SOFT_LABELS,
        LABEL_SMOOTHING,
        CLASS_WEIGHT,
        IGNORE_LABEL,
        NORMALIZATION,
    )

    def looks_matter(self):
        return super().looks_matter() and self.label_scale != "SUM"

    def of_targets(self, scores, targets):
        """(loss of each row, its derivative in each score), of arrays (outer, classes, inner)."""
        raise NotImplementedError

    def formula(self, scores, labels, ignored):
        return self.of_targets(scores, self.targets(labels, ignored))

    def targets(self, labels, ignored):
        count, total = ((a.sum(axis=1, keepdims=True)) for a in (labels != 0, labels))
        scale = {"COUNT": count, "SUM": total, "NONE": 1}[self.label_scale]
        uniform = self.label_smoothing / (~ignored).sum(axis=1, keepdims=True)
        targets = self.of_class("class_weight", 1.0) * ((1 - self.label_smoothing) * labels / scale + uniform)
        return np.where(ignored | (count == 0), 0, targets)

    def of_class(self, name, default=None):
        weights = super().of_class(name, default)
        return weights.reshape(-1, 1) if isinstance(weights, np.ndarray) else weights

    def kernel_fields(self):
        scale = {"count": self.label_scale == "COUNT", "sum": self.label_scale == "SUM"}
        return dict(super().kernel_fields(), label_smoothing=self.label_smoothing, **scale)


class MultiLabelSoftmaxLoss(DistributionLoss):
    """Softmax cross-entropy for several positive labels, each of M with the target 1/M.

    With p = softmax(scores) over the classes of a row that are not ignored, and targets T:

        loss = -sum over c of T_c log p_c            log p = s - max s - log sum exp(s - max s)
        d loss / d s_j = (sum over c of T_c) p_j - T_j

    which for labels of 0 and 1 is p_j - 1/M for the positives and p_j for the others. The targets are
    those of `DistributionLoss`.

    References:
        Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining", 2018, arXiv 1805.00932.
    """

    summary = "-(1/M) Σ y log softmax(s), over the M labels of the row"
    activation = "Softmax"
    kernel = "softmax"

    def of_targets(self, scores, targets):
        log_p = log_softmax(scores)
        loss = -np.where(targets, targets * log_p, 0).sum(axis=1, keepdims=True)
        return loss, targets.sum(axis=1, keepdims=True) * np.exp(log_p) - targets

    def probabilities(self, scores, out):
        np.subtract(scores, scores.max(axis=1, keepdims=True), out=out)
        np.exp(out, out=out)
        np.divide(out, out.sum(axis=1, keepdims=True, dtype=np.float64), out=out, casting="same_kind")


def log_softmax(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
