"""Sigmoid cross-entropy, and what losses of independent yes-or-no labels share."""

from typing import Tuple

import numpy as np

from ..labels import size
from ..options import Option
from .base import Loss
from .options import (
    AXIS,
    CLASS_WEIGHT,
    IGNORE_LABEL,
    LABEL_FORMAT,
    LABEL_SMOOTHING,
    NORMALIZATION,
    POS_WEIGHT,
    SOFT_LABELS,
)

IGNORED_SCORES = (
    "Labels exactly equal to this are ignored. DENSE: that score is left out. INDEX: that index is skipped, and a row "
    "with nothing else is left out."
)
SCALED_LABELS = "false: labels that are all 0 or a scale of pictures such as 1/255 are refused. true: they are meant."
NORMALIZED_BY_SCORES = (
    "Divides the summed loss. FULL: by the number of scores. VALID: by the number of scores that are not ignored. "
    "BATCH_SIZE: by the batch size. NONE: by 1."
)


class BinaryLoss(Loss):
    """Base: per score, (1 - t) negative(s) + pos_weight t positive(s), times class_weight.

    t is the label, in [0, 1], smoothed to (1 - label_smoothing) t + label_smoothing / 2. A subclass says in
    `negative` and `positive` what a label 0 and a label 1 lose.

    The normalizer counts single scores rather than rows (BATCH_SIZE: the first dimension), as in Caffe's
    SigmoidCrossEntropyLoss; an ignored label drops one score. Scores (N,) are taken as (N, 1).
    """

    options: Tuple[Option, ...] = (
        AXIS,
        LABEL_FORMAT,
        SOFT_LABELS._replace(meaning=SCALED_LABELS),
        LABEL_SMOOTHING._replace(meaning="A label t becomes (1 - e) t + e / 2, where e is this value."),
        CLASS_WEIGHT,
        POS_WEIGHT,
        IGNORE_LABEL._replace(meaning=IGNORED_SCORES),
        NORMALIZATION._replace(default="BATCH_SIZE", meaning=NORMALIZED_BY_SCORES),
    )
    label_limit = 1
    labels_are = "a number in [0, 1]"

    def negative(self, scores):
        """(loss, derivative) of each score with the label 0."""
        raise NotImplementedError

    def positive(self, scores):
        """(loss, derivative) of each score with the label 1."""
        raise NotImplementedError

    def formula(self, scores, labels, ignored):
        t = (1 - self.label_smoothing) * np.minimum(labels, 1) + self.label_smoothing / 2
        q = self.of_class("pos_weight", np.ones(1)).reshape(-1, 1) * t
        both = zip(self.negative(scores), self.positive(scores))
        loss, slope = ((1 - t) * no + np.where(t, q * yes, 0) for no, yes in both)
        return np.where(ignored, 0, loss), slope

    def weights_of(self, weights):
        return super().weights_of(weights) * self.of_class("class_weight", np.ones(1)).reshape(-1, 1)

    def kernel_fields(self):
        return dict(super().kernel_fields(), label_smoothing=self.label_smoothing)

    def canonical(self, shape):
        return super().canonical(shape + (1,) if len(shape) == 1 else shape)

    def units(self):
        return self.rows * self.classes

    def batch_size(self):
        return self.batch

    def shape_of_losses(self, scores):
        return scores

    def count_valid(self, ignored):
        return size(ignored.shape) - np.count_nonzero(ignored)


class SigmoidLoss(BinaryLoss):
    """Base: the scores become probabilities by a sigmoid."""

    activation = "Sigmoid"

    def probabilities(self, scores, out):
        np.exp(np.minimum(scores, 80), out=out)  # sigmoid(80) is 1 in float64; exp(80) is finite in float32
        np.divide(out, 1 + out, out=out)


class SigmoidCrossEntropyLoss(SigmoidLoss):
    """Cross-entropy of the sigmoid of each score with its label t in [0, 1].

        loss = max(s, 0) - s t + log(1 + exp(-|s|))
        d loss / d s = sigmoid(s) - t

    With pos_weight q: q t log(1 + exp(-s)) + (1 - t) log(1 + exp(s)). The same numbers as Caffe's
    C++ layer of this name, but ignore_label is compared exactly: C++ truncates the label first, so
    that an ignore_label of 0 drops every soft label below 1.

    References:
        Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.3.2.
    """

    summary = "Σ max(s, 0) - s t + log(1 + e^-&#124;s&#124;)"
    kernel = "cross_entropy"

    def negative(self, scores):
        return -log_sigmoid(-scores), sigmoid(scores)

    def positive(self, scores):
        return -log_sigmoid(scores), -sigmoid(-scores)


def log_sigmoid(scores):
    return -np.logaddexp(0, -scores)


def sigmoid(scores):
    return np.exp(log_sigmoid(scores))
