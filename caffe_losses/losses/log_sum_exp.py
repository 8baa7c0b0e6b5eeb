"""What losses of sums of exponentials share: the scores of the labels 0 stand against those of the labels 1."""

from typing import Tuple

import numpy as np

from ..labels import ROUNDING
from ..options import Option
from .base import Loss
from .options import AXIS, IGNORE_LABEL, LABEL_FORMAT, NORMALIZATION
from .sigmoid import SigmoidLoss, sigmoid

ROWS, CLASSES = 1, (0, 2)  # the axes of (outer, classes, inner) that a sum runs over: of each row, or of each class


class LogSumExpLoss(Loss):
    """Base: the loss of a row is a function of two numbers,

        n = T_neg log sum of e^(s / T_neg) over the labels 0
        p = T_pos log sum of e^(-s / T_pos) over the labels 1

    smooth maxima of s and of -s, -infinity where there is no such label. A subclass says in `of_sums` what it makes of
    them. TwoWayLoss makes the same of a class, over all rows. Labels are 0 or 1.
    """

    options: Tuple[Option, ...] = (AXIS, LABEL_FORMAT, IGNORE_LABEL, NORMALIZATION)
    label_limit = 1
    labels_are = "0 or 1"
    activation = "Sigmoid"
    temperature_neg = temperature_pos = 1.0
    of_classes = False  # whether the classes have such a loss, too

    probabilities = SigmoidLoss.probabilities

    def of_sums(self, n, p):
        """(loss, its derivative in n, in p)"""
        raise NotImplementedError

    def formula(self, scores, labels, ignored):
        return self.of_groups(scores, (labels == 0) & ~ignored, labels > 0, ROWS)

    def of_groups(self, scores, negative, positive, axes):
        """(loss of each row or class, its derivative in each score), of masks of the labels 0 and of the labels 1."""
        t_neg, t_pos = self.temperature_neg, self.temperature_pos
        n, share_neg = log_sum_exp(scores, t_neg, negative, axes)
        p, share_pos = log_sum_exp(-scores, t_pos, positive, axes)
        loss, slope_n, slope_p = self.of_sums(n, p)
        return loss, slope_n * share_neg - slope_p * share_pos

    def wrong_dense(self, labels):
        soft = (labels != 0) & (labels < 2 - ROUNDING) & ~self.is_ignored(labels)
        return soft | super().wrong_dense(labels)[0], "give 0 or 1"

    def kernel_options(self):
        return self.kernel, {"temperature_neg": self.temperature_neg, "temperature_pos": self.temperature_pos}

    def kernel_fields(self):
        return {"of_classes": self.of_classes}


def log_sum_exp(values, t, mask, axes):
    """(t log of the sum of e^(values / t) over some axes, of what the mask has; the share of each in its sum)."""
    lowest = -np.finfo(np.float64).max
    kept = np.where(mask, np.maximum(values, lowest), lowest)
    largest = kept.max(axis=axes, keepdims=True) if kept.size else lowest
    e = np.where(mask, np.exp((values - largest) / t), 0)
    total = e.sum(axis=axes, keepdims=True)
    return largest + t * np.log(total), np.where(e, e / total, 0)


def log_one_plus_exp(x):
    """(log(1 + e^x), its derivative)"""
    return np.logaddexp(0, x), sigmoid(x)
