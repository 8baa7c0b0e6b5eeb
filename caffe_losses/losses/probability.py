"""Losses of probabilities, for nets that end in a Softmax or Sigmoid layer already."""

import numpy as np

from .checks import NotFiniteError
from .sigmoid import BinaryLoss
from .softmax import DistributionLoss

SMALLEST = 1e-20  # as in Caffe's MultinomialLogisticLoss
SLACK = 1e-4  # a Softmax layer's own rounding may pass 1


def minus_log(p):
    """-log max(p, 1e-20), and its derivative."""
    return -np.log(np.maximum(p, SMALLEST)), np.where(p > SMALLEST, -1 / p, 0)


class OfProbabilities:
    """Mixed in: refuses what is no probability, except where it is ignored."""

    has_probabilities = False
    scores_are = "probabilities"
    ignored_score = 0.5

    def score_limits(self):
        return -SLACK, 1 + SLACK

    def check_scores(self):
        probabilities = self.arrays[0]
        wrong = ~((probabilities >= -SLACK) & (probabilities <= 1 + SLACK)) & self.is_kept()
        if wrong.any():
            error = ValueError if (wrong & np.isfinite(probabilities)).any() else NotFiniteError
            text = "{}; give probabilities, or such scores to {}"
            self.refuse(text, self.place("scores", wrong, probabilities), self.of_scores, error=error)


class MultiLabelLogisticLoss(OfProbabilities, DistributionLoss):
    """Cross-entropy of the probabilities p of a Softmax layer for several positive labels.

        loss = -sum over c of T_c log max(p_c, 1e-20)
        d loss / d p_j = -T_j / p_j, and 0 where p_j <= 1e-20

    with the targets T of `DistributionLoss`, 1/M for each of M labels. From scores, MultiLabelSoftmaxLoss
    is more exact and faster.

    References:
        Caffe's MultinomialLogisticLoss for several labels, as in Mahajan et al., 2018, arXiv 1805.00932.
    """

    of_scores = "MultiLabelSoftmaxLoss"
    summary = "-(1/M) Σ y log p, for nets that end in Softmax already"
    kernel = "logistic"

    def of_targets(self, scores, targets):
        loss, slope = minus_log(scores)
        return (targets * loss).sum(axis=1, keepdims=True), targets * slope


class BinaryCrossEntropyLoss(OfProbabilities, BinaryLoss):
    """Cross-entropy of the probabilities p of a Sigmoid layer with labels t in [0, 1].

        loss = -t log max(p, 1e-20) - (1 - t) log max(1 - p, 1e-20)
        d loss / d p = -t / p + (1 - t) / (1 - p), without the term that is clamped

    From scores, SigmoidCrossEntropyLoss is more exact and faster.

    References:
        Good, "Rational Decisions", 1952; clamped as Caffe's MultinomialLogisticLoss is.
    """

    of_scores = "SigmoidCrossEntropyLoss"
    summary = "-Σ t log p + (1 - t) log(1 - p), for nets that end in Sigmoid already"
    kernel = "binary"

    def negative(self, scores):
        loss, slope = minus_log(1 - scores)
        return loss, -slope

    def positive(self, scores):
        return minus_log(scores)
