"""Losses between a row's target distribution and the softmax of its scores, or its probabilities."""

import numpy as np

from ..labels import sum_classes
from ..reduction import Loss
from . import options as params

SMALL, LARGE = 1e-10, 1e30  # sums of exponentials within this have lost nothing that float32 could show


class DistributionLoss(Loss):
    """Base: -sum over c of T_c log p_c, where T is made of the labels y >= 0 by

    T_c = class_weight_c ((1 - label_smoothing) y_c / scale + label_smoothing / C)

    with the scale of `label_scale`: M, the number of the row's positive labels (COUNT), their sum
    (SUM), or 1 (NONE), and C the number of its classes that are not ignored. T = 0 where no label is
    positive: such a row has loss 0 and gradient 0, and counts in the normalizer.
    """

    options = (
        params.AXIS,
        params.LABEL_FORMAT,
        params.LABEL_SCALE,
        params.LABEL_SMOOTHING,
        params.CLASS_WEIGHT,
        params.IGNORE_LABEL,
        params.NORMALIZATION,
    )

    def targets(self, labels):
        """T, as Labels, with the sum of each row in `total`."""
        count = labels.count_rows()
        total = count if labels.all_one else labels.sum_rows(labels.values)
        scale = count if self.label_scale == "COUNT" else total if self.label_scale == "SUM" else count > 0
        share = 1.0 / (scale + (count == 0))
        targets = labels.with_values(labels.spread(share) if labels.all_one else labels.times(share))
        targets.total = share * total
        if self.label_smoothing:
            uniform = np.where(count, self.label_smoothing / labels.classes_left(), 0)
            targets = targets.made_dense(self.dtype)
            targets.values = (1 - self.label_smoothing) * targets.values + targets.spread(uniform)
            targets.values[labels.ignored] = 0
        if self.class_weight is not None:
            targets.values = targets.values * np.resize(self.class_weight, self.classes)[targets.classes()]
        if self.label_smoothing or self.class_weight is not None:
            targets.total = targets.sum_rows(targets.values)
        return targets


class MultiLabelSoftmaxLoss(DistributionLoss):
    """Softmax cross-entropy for several positive labels, each of M with the target 1/M.

    With p = softmax(scores) over the classes of a row that are not ignored, and targets T:

        loss = -sum over c of T_c log p_c            log p = s - max s - log sum exp(s - max s)
        d loss / d s_j = (sum over c of T_c) p_j - T_j

    which for labels of 0 and 1 is p_j - 1/M for the positives and p_j for the others. The targets are
    those of `DistributionLoss`; labels are in [0, 1e6]. The second top is softmax(scores).

    Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining", 2018, arXiv 1805.00932.
    """

    activation = "Softmax"

    def block(self, scores, labels, weights, out, gradient):
        b, _, j = scores.shape
        targets = self.targets(labels)
        partition, shift = self.exponentials(scores, labels, out)
        at = scores.ravel()[targets.index]
        terms = targets.values * (at if shift is None else at - targets.spread(shift))
        at_targets = targets.sum_rows(terms)
        if targets.everywhere and not np.isfinite(at_targets).all():
            at_targets = targets.sum_rows(np.where(targets.values, terms, 0))  # not 0 times a masked class's -inf
        loss = targets.total * np.log(partition.astype(np.float64)) - at_targets
        if weights is not None:
            loss *= weights
        if gradient:
            factor, values = targets.total / partition, targets.values
            if weights is not None:
                factor, values = factor * weights, targets.times(weights)
            out *= factor.astype(out.dtype).reshape(b, 1, j)
            out.ravel()[targets.index] -= values
        return loss.sum()

    def exponentials(self, scores, labels, out):
        """exp(scores - shift) into `out`, 0 for the ignored classes; returns its sums and the shifts of the rows.

        No shift (None) unless a sum comes near the ends of float32's range; then the row's maximum.
        """
        dropped = labels.classes_left() == 0 if labels.ignored.size else slice(0)
        partition = sum_classes(np.exp(masked(scores, labels, out), out=out))
        partition[dropped] = 1
        if partition.size and partition.min() > SMALL and partition.max() < LARGE:
            return partition, None
        kept = masked(scores, labels, out)
        shift = kept.max(axis=1, keepdims=True)
        shift.ravel()[dropped] = 0
        partition = sum_classes(np.exp(np.subtract(kept, shift, out=out), out=out))
        partition[dropped] = 1
        return partition, shift.ravel()

    def probabilities(self, scores, out):
        exp = np.exp(scores - scores.max(axis=1, keepdims=True))
        np.divide(exp, exp.sum(axis=1, keepdims=True), out=out)


def masked(scores, labels, out):
    """The scores; where classes are ignored, a copy in `out` in which these are -inf."""
    if not labels.ignored.size:
        return scores
    np.copyto(out, scores)
    out.ravel()[labels.ignored] = -np.inf
    return out
