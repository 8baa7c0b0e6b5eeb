"""The two-way loss."""

import math

import numpy as np

from ..options import Option, number
from .base import mean_over_ranks
from .log_sum_exp import CLASSES, ROWS, LogSumExpLoss, log_one_plus_exp
from .options import NORMALIZATION

TEMPERATURE_POS = Option(
    "temperature_pos",
    4.0,
    number(0.01, 1000),
    "The temperature of the positive labels. The higher, the more evenly they share the gradient.",
    (1, 0.5),
)
TEMPERATURE_NEG = Option("temperature_neg", 1.0, number(0.01, 1000), "The temperature of the other labels.", (3, 0.5))
NORMALIZED_TWICE = (
    "Divides the summed losses of rows, and those of classes. VALID: each by the number of them that have a positive "
    "label. FULL: by the number of all. BATCH_SIZE: by the batch size, and by the number of all classes. NONE: by 1."
)


class TwoWayLoss(LogSumExpLoss):
    """Two-way loss: the classes of each row are told apart, and the rows of each class in the batch.

    With n and p of the scores of a row, or of a class over all rows of the batch,

        n = T_neg log sum of e^(s / T_neg) over the labels 0
        p = T_pos log sum of e^(-s / T_pos) over the labels 1
        loss = mean over rows of log(1 + e^(n + p)) + mean over classes of log(1 + e^(n + p))

        d loss / d s = sigmoid(n + p) e^(s / T_neg) / (sum of these)          for a label 0, in each term
        d loss / d s = -sigmoid(n + p) e^(-s / T_pos) / (sum of these)        for a label 1

    The means are over the rows, and the classes, that have a positive label: normalization VALID, as in the authors'
    code. That code takes any number above 0 as a label 1. It puts scores 100 lower where the paper leaves them out;
    with temperature 4, that counts from scores of some hundred on.

    A row is in the loss of its classes, too, so that it has no weight of its own. On several processes, each one
    compares the rows of its own batch.

    References:
        Kobayashi, "Two-way Multi-Label Loss", 2023, CVPR.
    """

    options = (
        *LogSumExpLoss.options[:-1],
        NORMALIZATION._replace(meaning=NORMALIZED_TWICE),
        TEMPERATURE_POS,
        TEMPERATURE_NEG,
    )
    summary = "log(1 + e^(n + p)) of rows and of classes: n, p are smooth maxima of s over t = 0, of -s over t = 1"
    kernel = "two_way"
    of_classes = True
    row_weights = False
    of_calls = ()

    def of_sums(self, n, p):
        loss, slope = log_one_plus_exp(n + p)
        return loss, slope, slope

    def formula(self, scores, labels, ignored):
        negative, positive = (labels == 0) & ~ignored, labels > 0
        total, gradient = 0.0, 0.0
        groups = [self.of_groups(scores, negative, positive, axes) for axes in (ROWS, CLASSES)]
        for (loss, slope), share in zip(
            groups, self.shares(*(positive.any(axis=axes).sum() for axes in (ROWS, CLASSES)))
        ):
            total, gradient = total + share * loss.sum(), gradient + share * slope
        return np.asarray(total), gradient

    def by_kernel(self, losses):
        of_rows, rows, wrong = self.compiled.forward(*self.arrays, losses)
        if wrong:
            self.check_domain()
        problem, result = self.compiled.problem, self.compiled.result
        if not math.isfinite(of_rows + result.loss_of_classes):
            return self.by_formula(losses)
        problem.row_share, problem.class_share = self.shares(rows, result.valid_classes)
        return problem.row_share * of_rows + problem.class_share * result.loss_of_classes, 0

    def shares(self, rows, classes):
        """What the losses of rows, and of classes, are divided by, inverted. The arguments have a positive label."""
        if self.normalization == "VALID":
            rows, classes = mean_over_ranks(float(rows)), mean_over_ranks(float(classes))
        else:
            batch = self.outer if self.normalization == "BATCH_SIZE" else self.rows
            rows, classes = (1, 1) if self.normalization == "NONE" else (batch, self.classes)
        return 1 / (rows or 1), 1 / (classes or 1)

    def divisor(self, valid):
        return 1.0  # `shares` has divided already
