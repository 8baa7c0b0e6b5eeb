"""Losses of independent yes-or-no labels: one sigmoid a class."""

import numpy as np

from .. import params
from ..labels import size
from ..reduction import Loss


class BinaryLoss(Loss):
    """Base: per score, (1 - t) negative(s) + pos_weight t positive(s), times class_weight.

    t is the label, in [0, 1], smoothed to (1 - label_smoothing) t + label_smoothing / 2. Being linear in
    t, it needs `positive` only where t is not 0, which is at few of the scores.

    The normalizer counts single scores rather than rows (BATCH_SIZE: the first dimension), as in Caffe's
    SigmoidCrossEntropyLoss; an ignored label drops one score. Scores (N,) are taken as (N, 1).
    """

    options = (
        params.AXIS,
        params.LABEL_FORMAT,
        params.LABEL_SMOOTHING,
        params.CLASS_WEIGHT,
        params.POS_WEIGHT,
        params.IGNORE_LABEL,
        params.NORMALIZATION._replace(default="BATCH_SIZE"),
    )
    label_limit = 1

    def negative(self, scores, loss, slope):
        """Write the loss of the label 0, and its derivative, into arrays of the scores' shape."""
        raise NotImplementedError

    def positive(self, scores):
        """The loss of the label 1, and its derivative."""
        raise NotImplementedError

    def block(self, scores, labels, weights, out, gradient):
        loss = self.scratch[0, : scores.size].reshape(scores.shape)
        self.negative(scores, loss, out)
        self.blend(scores.ravel(), labels, loss.ravel(), out.ravel())
        factor = self.factor(weights, scores.shape)
        if factor is not None:
            loss *= factor
            out *= factor
        return float(loss.sum())

    def blend(self, scores, labels, loss, slope):
        """Where labels are not 0 or are ignored, put that right in the loss and slope of the label 0."""
        if self.label_smoothing:
            labels = labels.made_dense()
            labels.values = (1 - self.label_smoothing) * labels.values + self.label_smoothing / 2
        at, t = labels.index, labels.values
        positive_loss, positive_slope = self.positive(scores[at])
        q = 1 if self.pos_weight is None else np.resize(self.pos_weight, self.classes)[labels.classes()]
        loss[at] = (1 - t) * loss[at] + q * t * positive_loss
        slope[at] = (1 - t) * slope[at] + q * t * positive_slope
        loss[labels.ignored] = slope[labels.ignored] = 0

    def factor(self, weights, shape):
        """class_weight times the row weights, to multiply a block of this shape; None for 1."""
        factor = None if self.class_weight is None else np.resize(self.class_weight, (1, self.classes, 1))
        if weights is not None:
            rows = weights.reshape(shape[0], 1, shape[2])
            factor = rows if factor is None else rows * factor
        return factor

    def canonical(self, shape):
        return super().canonical(shape + (1,) if len(shape) == 1 else shape)

    def units(self):
        return self.rows * self.classes

    def batch_size(self):
        return self.batch

    def count_valid(self, labels):
        return size(labels.shape) - labels.ignored.size


class SigmoidCrossEntropyLoss(BinaryLoss):
    """Cross-entropy of the sigmoid of each score with its label t in [0, 1].

        loss = max(s, 0) - s t + log(1 + exp(-|s|))
        d loss / d s = sigmoid(s) - t

    With pos_weight q: q t log(1 + exp(-s)) + (1 - t) log(1 + exp(s)). The same numbers as Caffe's
    C++ layer of this name, but ignore_label is compared exactly: C++ truncates the label first, so
    that an ignore_label of 0 drops every soft label below 1. The second top is sigmoid(scores).
    """

    def negative(self, scores, loss, slope):
        np.abs(scores, out=slope)
        np.negative(slope, out=slope)
        np.exp(slope, out=slope)
        np.log1p(slope, out=slope)
        np.maximum(scores, 0, out=loss)
        loss += slope
        self.probabilities(scores, slope)

    def positive(self, scores):
        return np.log1p(np.exp(-np.abs(scores))) + np.maximum(-scores, 0), -1 / (1 + np.exp(scores))

    def probabilities(self, scores, out):
        np.negative(scores, out=out)
        np.exp(out, out=out)
        out += 1
        np.reciprocal(out, out=out)
