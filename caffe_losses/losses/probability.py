"""Losses of probabilities, for nets that end in a Softmax or Sigmoid layer already."""

import numpy as np

from .sigmoid import BinaryLoss
from .softmax import DistributionLoss

SMALLEST = 1e-20  # as in Caffe's MultinomialLogisticLoss
SLACK = 1e-4  # a Softmax layer's own rounding may pass 1


class OfProbabilities:
    """Mixed in: refuses what is no probability, except where it is ignored."""

    has_probabilities = False

    def prepared(self, scores, labels):
        if labels.ignored.size:
            scores = scores.copy()
            scores.ravel()[labels.ignored] = 0.5
        if scores.size and not (scores.min() >= -SLACK and scores.max() <= 1 + SLACK):
            given = self.inputs[0]
            wrong = ~((given >= -SLACK) & (given <= 1 + SLACK))
            text = "{}; give probabilities, or such scores to {}"
            self.refuse(text, self.place("scores", wrong, given), self.of_scores)
        return scores


class MultiLabelLogisticLoss(OfProbabilities, DistributionLoss):
    """Cross-entropy of the probabilities p of a Softmax layer for several positive labels.

        loss = -sum over c of T_c log max(p_c, 1e-20)
        d loss / d p_j = -T_j / p_j, and 0 where p_j <= 1e-20

    with the targets T of `DistributionLoss`, 1/M for each of M labels. No second top. From scores,
    MultiLabelSoftmaxLoss is more exact and faster.

    Caffe's MultinomialLogisticLoss for several labels, as in Mahajan et al., 2018, arXiv 1805.00932.
    """

    of_scores = "MultiLabelSoftmaxLoss"

    def block(self, scores, labels, weights, out, gradient):
        targets = self.targets(labels)
        values = targets.values if weights is None else targets.times(weights)
        p = scores.ravel()[targets.index]
        out.fill(0)
        out.ravel()[targets.index] = np.where(p > SMALLEST, -values / p, 0)
        return -(values * np.log(np.maximum(p, SMALLEST))).sum()


class BinaryCrossEntropyLoss(OfProbabilities, BinaryLoss):
    """Cross-entropy of the probabilities p of a Sigmoid layer with labels t in [0, 1].

        loss = -t log max(p, 1e-20) - (1 - t) log max(1 - p, 1e-20)
        d loss / d p = -t / p + (1 - t) / (1 - p), without the term that is clamped

    No second top. From scores, SigmoidCrossEntropyLoss is more exact and faster.

    Good, "Rational Decisions", 1952; clamped as Caffe's MultinomialLogisticLoss is.
    """

    of_scores = "SigmoidCrossEntropyLoss"

    def negative(self, scores, loss, slope, spare):
        minus_log(np.subtract(1, scores, out=slope), loss)

    def positive(self, scores):
        slope, loss = scores.copy(), np.empty_like(scores)
        minus_log(slope, loss)
        return loss, -slope


def minus_log(p, loss):
    """-log max(p, 1e-20) into `loss`; p becomes its derivative's opposite, 1 / p or 0."""
    kept = p > SMALLEST
    np.maximum(p, SMALLEST, out=p)
    np.negative(np.log(p, out=loss), out=loss)
    np.reciprocal(p, out=p)
    p *= kept
