"""Losses of independent yes-or-no labels: one sigmoid a class."""

import numpy as np

from ..labels import size, sum_classes
from ..reduction import Loss
from . import options as params

BOUND = 80.0  # sigmoid(80) is 1 and log(1 + exp(80)) is 80, to all digits of float64; exp(80) is finite in float32


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
    sparse = 1 / 4

    def negative(self, scores, loss, slope, spare):
        """Write the loss of the label 0, and its derivative, into arrays of the scores' shape; two are to spare."""
        raise NotImplementedError

    def positive(self, scores):
        """The loss of the label 1, and its derivative."""
        raise NotImplementedError

    def block(self, scores, labels, weights, out, gradient):
        loss, *spare = (flat[: scores.size].reshape(scores.shape) for flat in self.scratch)
        self.negative(scores, loss, out, spare)
        self.blend(scores.ravel(), labels, loss.ravel(), out.ravel())
        factor = self.factor(weights, scores.shape)
        if factor is not None:
            loss *= factor
            out *= factor
        rows = sum_classes(loss) if scores.shape[2] == 1 else loss
        return float(rows.sum(dtype=np.float64))

    def blend(self, scores, labels, loss, slope):
        """Where labels are not 0 or are ignored, put that right in the loss and slope of the label 0."""
        if self.label_smoothing:
            labels = labels.made_dense(self.dtype)
            labels = labels.with_values((1 - self.label_smoothing) * labels.values + self.label_smoothing / 2)
        at, t = labels.index, labels.values
        positive_loss, positive_slope = self.positive(scores[at])
        q = 1 if self.pos_weight is None else np.resize(self.pos_weight, self.classes)[labels.classes()]
        if labels.all_one:
            loss[at], slope[at] = q * positive_loss, q * positive_slope
        else:
            loss[at] = (1 - t) * loss[at] + q * t * positive_loss
            slope[at] = (1 - t) * slope[at] + q * t * positive_slope
        if labels.ignored.size:
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


class SigmoidLoss(BinaryLoss):
    """Base: losses of scores that are symmetric in form, a label 1 at s being like a label 0 at -s.

    A subclass writes `cost`. All of them are made of E = exp(s): p = sigmoid(s) = E / (1 + E), q = 1 / (1 + E)
    and the cross-entropy of a label 0, -log q = log(1 + E).
    """

    activation = "Sigmoid"

    def cost(self, scores, label, loss, slope, spare):
        """Write the loss of the label 0 at scores, or of 1 at -scores, and its derivative there."""
        raise NotImplementedError

    def block(self, scores, labels, weights, out, gradient):
        self.bound = np.inf
        total = super().block(scores, labels, weights, out, gradient)
        if np.isfinite(total):
            return total
        if (scores.ravel()[labels.taking_part()] == np.inf).any():
            return np.inf
        self.bound = BOUND  # an exponential has overflowed, or else a score is NaN
        return super().block(scores, labels, weights, out, gradient)

    def exponential(self, scores, out):
        return np.exp(np.minimum(scores, self.bound) if self.bound == BOUND else scores, out=out)

    def softplus(self, scores, exp, out):
        """log(1 + exp(s)) into `out`, and exp(s) into `exp`."""
        np.log1p(self.exponential(scores, exp), out=out)
        if self.bound == BOUND:
            out += np.maximum(scores - BOUND, 0)

    def focal(self, scores, gamma, loss, slope, spare):
        """p^gamma log(1 + exp(s)), the focal loss of a label 0, and its derivative."""
        p, (q, focus) = slope, spare
        self.softplus(scores, p, loss)
        logistic(p, p, q)
        if self.bound == BOUND:
            q[scores > BOUND] = 0  # which counts where the loss is 1e30
        if gamma:
            power(p, gamma, focus)
            q *= loss
            q *= gamma
            slope += q
            slope *= focus
            loss *= focus

    def negative(self, scores, loss, slope, spare):
        self.cost(scores, 0, loss, slope, spare)

    def positive(self, scores):
        loss, slope, *spare = np.empty((4,) + scores.shape, scores.dtype)
        self.cost(-scores, 1, loss, slope, spare)
        return loss, -slope

    def probabilities(self, scores, out):
        np.exp(np.minimum(scores, BOUND), out=out)
        np.divide(out, 1 + out, out=out)


class SigmoidCrossEntropyLoss(SigmoidLoss):
    """Cross-entropy of the sigmoid of each score with its label t in [0, 1].

        loss = max(s, 0) - s t + log(1 + exp(-|s|))
        d loss / d s = sigmoid(s) - t

    With pos_weight q: q t log(1 + exp(-s)) + (1 - t) log(1 + exp(s)). The same numbers as Caffe's
    C++ layer of this name, but ignore_label is compared exactly: C++ truncates the label first, so
    that an ignore_label of 0 drops every soft label below 1. The second top is sigmoid(scores).
    """

    def cost(self, scores, label, loss, slope, spare):
        self.softplus(scores, slope, loss)
        np.divide(slope, np.add(slope, 1, out=spare[0]), out=slope)


class SigmoidFocalLoss(SigmoidLoss):
    """Focal loss: cross-entropy that turns away from the labels that are predicted well already.

    With p = sigmoid(s), and q = 1 - p, for a label 1 and for a label 0:

        loss = -alpha q^gamma log p           loss = -(1 - alpha) p^gamma log q
        d loss / d s = alpha q^gamma (gamma p log p - q)
        d loss / d s = (1 - alpha) p^gamma (p - gamma q log q)

    and for soft labels their mixture; finite at any score. At gamma 0 and alpha null it is
    SigmoidCrossEntropyLoss. The second top is sigmoid(scores).

    Lin et al., "Focal Loss for Dense Object Detection", 2017, arXiv 1708.02002.
    """

    options = SigmoidLoss.options + (params.GAMMA, params.ALPHA)

    def cost(self, scores, label, loss, slope, spare):
        self.focal(scores, self.gamma, loss, slope, spare)
        if self.alpha is not None:
            weight = self.alpha if label else 1 - self.alpha
            loss *= weight
            slope *= weight


class AsymmetricLoss(SigmoidLoss):
    """Asymmetric loss: focal, with another gamma for the labels 0, and a margin below which they lose nothing.

    With p = sigmoid(s), q = 1 - p and r = max(p - clip, 0), for a label 1 and for a label 0:

        loss = -q^gamma_pos log p             loss = -r^gamma_neg log(1 - r)
        d loss / d s = q^gamma_pos (gamma_pos p log p - q)
        d loss / d s = p q r^gamma_neg (1 / (1 - r) - gamma_neg log(1 - r) / r)        0 if p <= clip

    and for soft labels their mixture. At gammas 0 and clip 0 it is SigmoidCrossEntropyLoss. The second
    top is sigmoid(scores). The defaults are the paper's for many classes.

    Ridnik et al., "Asymmetric Loss For Multi-Label Classification", 2021, arXiv 2009.14119.
    """

    options = SigmoidLoss.options + (params.GAMMA_POS, params.GAMMA_NEG, params.CLIP)

    def cost(self, scores, label, loss, slope, spare):
        if label or not self.clip:
            self.focal(scores, self.gamma_pos if label else self.gamma_neg, loss, slope, spare)
        else:
            self.with_margin(scores, loss, slope, spare)

    def with_margin(self, scores, loss, slope, spare):
        p, (q, r) = slope, spare
        logistic(self.exponential(scores, p), p, q)
        np.maximum(np.subtract(p, self.clip, out=r), 0, out=r)
        p *= q
        not_r = np.minimum(np.add(q, self.clip, out=q), 1, out=q)  # 1 - r would cancel
        minus_log = np.negative(np.log(not_r, out=loss), out=loss)
        np.reciprocal(not_r, out=q)
        focus = power(r, self.gamma_neg, np.empty_like(r))
        p *= focus
        if self.gamma_neg:
            np.maximum(r, np.finfo(r.dtype).tiny, out=r)  # where r is 0, so is the logarithm
            np.divide(minus_log, r, out=r)
            r *= self.gamma_neg
            q += r
        else:
            p *= r > 0
        slope *= q
        loss *= focus


def logistic(exp, p, q):
    """sigmoid(s) into p, which may be `exp`, and 1 - sigmoid(s), without cancellation, into q."""
    np.add(exp, 1, out=q)
    np.divide(exp, q, out=p)
    np.reciprocal(q, out=q)


def power(base, exponent, out):
    """base ** exponent, for base >= 0; numpy's own power is many times slower than these."""
    if exponent != int(exponent) or exponent > 8:
        return np.exp(np.multiply(np.log(base, out=out), exponent, out=out), out=out)
    if not exponent:
        np.multiply(base, 0, out=out)  # a NaN stays one
        out += 1
        return out
    np.copyto(out, base)
    for _ in range(int(exponent) - 1):
        out *= base
    return out
