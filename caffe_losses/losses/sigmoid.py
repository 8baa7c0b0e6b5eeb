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
        softplus(scores, loss)
        sigmoid(scores, slope)

    def positive(self, scores):
        return softplus(-scores), -sigmoid(-scores)

    def probabilities(self, scores, out):
        sigmoid(scores, out)


class SigmoidFocalLoss(BinaryLoss):
    """Focal loss: cross-entropy that turns away from the labels that are predicted well already.

    With p = sigmoid(s), and q = 1 - p, for a label 1 and for a label 0:

        loss = -alpha q^gamma log p           loss = -(1 - alpha) p^gamma log q
        d loss / d s = alpha q^gamma (gamma p log p - q)
        d loss / d s = (1 - alpha) p^gamma (p - gamma q log q)

    and for soft labels their mixture. All is computed from log-sigmoids, and finite at any score. At
    gamma 0 and alpha null it is SigmoidCrossEntropyLoss. The second top is sigmoid(scores).

    Lin et al., "Focal Loss for Dense Object Detection", 2017, arXiv 1708.02002.
    """

    options = BinaryLoss.options + (params.GAMMA, params.ALPHA)
    probabilities = SigmoidCrossEntropyLoss.probabilities

    def negative(self, scores, loss, slope):
        weight = 1 if self.alpha is None else 1 - self.alpha
        loss[...], slope[...] = focal(scores, self.gamma, weight)

    def positive(self, scores):
        loss, slope = focal(-scores, self.gamma, 1 if self.alpha is None else self.alpha)
        return loss, -slope


class AsymmetricLoss(BinaryLoss):
    """Asymmetric loss: focal, with another gamma for the labels 0, and a margin below which they lose nothing.

    With p = sigmoid(s), q = 1 - p and r = max(p - clip, 0), for a label 1 and for a label 0:

        loss = -q^gamma_pos log p             loss = -r^gamma_neg log(1 - r)
        d loss / d s = q^gamma_pos (gamma_pos p log p - q)
        d loss / d s = p q r^gamma_neg (1 / (1 - r) - gamma_neg log(1 - r) / r)        0 if p <= clip

    and for soft labels their mixture. At gammas 0 and clip 0 it is SigmoidCrossEntropyLoss. The second
    top is sigmoid(scores).

    Ridnik et al., "Asymmetric Loss For Multi-Label Classification", 2021, arXiv 2009.14119.
    """

    options = BinaryLoss.options + (params.GAMMA_POS, params.GAMMA_NEG, params.CLIP)
    probabilities = SigmoidCrossEntropyLoss.probabilities

    def negative(self, scores, loss, slope):
        if not self.clip:
            loss[...], slope[...] = focal(scores, self.gamma_neg)
            return
        p, q = sigmoid(scores), sigmoid(-scores)
        r, not_r = np.maximum(p - self.clip, 0), np.minimum(q + self.clip, 1)  # 1 - r would cancel
        log_not_r = np.log(not_r)
        focus = power(r, self.gamma_neg)
        np.multiply(-log_not_r, focus, out=loss)
        inner = 1 / not_r - self.gamma_neg * log_not_r / np.where(r > 0, r, 1)
        np.multiply(p * q * (r > 0), focus * inner, out=slope)

    def positive(self, scores):
        loss, slope = focal(-scores, self.gamma_pos)
        return loss, -slope


def log1p_exp(scores):
    """log(1 + exp(-|s|)), in which no exponential overflows."""
    out = np.abs(scores)
    np.negative(out, out=out)
    np.exp(out, out=out)
    return np.log1p(out, out=out)


def softplus(scores, out=None):
    """log(1 + exp(s)), the cross-entropy of a label 0."""
    return np.add(np.maximum(scores, 0, out=out), log1p_exp(scores), out=out)


def sigmoid(scores, out=None):
    out = np.negative(scores, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def focal(scores, gamma, weight=1):
    """weight p^gamma softplus(s), the focal loss of a label 0, and its derivative."""
    tail = log1p_exp(scores)
    log_p, log_q = np.minimum(scores, 0) - tail, -(np.maximum(scores, 0) + tail)
    focus = np.exp(gamma * log_p)
    if weight != 1:
        focus *= weight
    return -focus * log_q, focus * (sigmoid(scores) - gamma * np.exp(log_q) * log_q)


def power(base, exponent):
    """base ** exponent; a whole exponent by products, many times faster than a power."""
    if exponent != int(exponent) or exponent > 8:
        return base**exponent
    result = np.ones_like(base)
    for _ in range(int(exponent)):
        result *= base
    return result
