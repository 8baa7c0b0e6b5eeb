"""Losses between a row's target distribution and the softmax of its scores, or its probabilities."""

import numpy as np

from .. import params
from ..reduction import Loss


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
    label_limit = np.finfo(np.float64).max

    def targets(self, labels):
        """T, as Labels."""
        count = labels.count_rows()
        scale = {"COUNT": count, "SUM": labels.sum_rows(labels.values), "NONE": np.ones(count.size)}
        share = np.where(count, 1 / scale[self.label_scale], 0)
        targets = labels.with_values(labels.values * labels.spread(share))
        if self.label_smoothing:
            uniform = np.where(count, self.label_smoothing / labels.classes_left(), 0)
            targets = targets.made_dense()
            targets.values = (1 - self.label_smoothing) * targets.values + targets.spread(uniform)
            targets.values[labels.ignored] = 0
        if self.class_weight is not None:
            targets.values = targets.values * np.resize(self.class_weight, self.classes)[targets.classes()]
        return targets


class MultiLabelSoftmaxLoss(DistributionLoss):
    """Softmax cross-entropy for several positive labels, each of M with the target 1/M.

    With p = softmax(scores) over the classes of a row that are not ignored, and targets T:

        loss = -sum over c of T_c log p_c            log p = s - max s - log sum exp(s - max s)
        d loss / d s_j = (sum over c of T_c) p_j - T_j

    which for labels of 0 and 1 is p_j - 1/M for the positives and p_j for the others. The targets are
    those of `DistributionLoss`; labels are finite numbers >= 0. The second top is softmax(scores).

    Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining", 2018, arXiv 1805.00932.
    """

    def block(self, scores, labels, weights, out, gradient):
        b, _, j = scores.shape
        targets = self.targets(labels)
        shifted = self.shifted(scores, labels, out)
        terms = targets.values * shifted.ravel()[targets.index]
        if targets.everywhere:
            terms[targets.values == 0] = 0  # not 0 times the -inf of an ignored class
        at_targets = targets.sum_rows(terms)
        exp = np.exp(shifted, out=out)
        partition = sum_classes(exp)
        if labels.ignored.size:
            partition[labels.classes_left() == 0] = 1
        total = targets.sum_rows(targets.values)
        loss = total * np.log(partition) - at_targets
        if weights is not None:
            loss *= weights
            total = total * weights
        if gradient:
            exp *= (total / partition).astype(exp.dtype).reshape(b, 1, j)
            values = targets.values if weights is None else targets.values * targets.spread(weights)
            exp.ravel()[targets.index] -= values
        return loss.sum()

    def shifted(self, scores, labels, out):
        """scores - max, which overflows no exponential; -inf for the classes that are ignored."""
        if not labels.ignored.size:
            return np.subtract(scores, scores.max(axis=1, keepdims=True), out=out)
        np.copyto(out, scores)
        out.ravel()[labels.ignored] = -np.inf
        top = out.max(axis=1, keepdims=True)
        top.ravel()[labels.classes_left() == 0] = 0
        return np.subtract(out, top, out=out)

    def probabilities(self, scores, out):
        exp = np.exp(scores - scores.max(axis=1, keepdims=True))
        np.divide(exp, exp.sum(axis=1, keepdims=True), out=out)


def sum_classes(block):
    """The sum of each row of a block (b, classes, j)."""
    if block.shape[2] == 1:  # a BLAS product, several times faster than a reduction of short rows
        return block[:, :, 0].dot(np.ones(block.shape[1], block.dtype))
    return block.sum(axis=1).ravel()
