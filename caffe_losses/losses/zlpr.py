"""The ZLPR loss."""

from .log_sum_exp import LogSumExpLoss, log_one_plus_exp


class ZLPRLoss(LogSumExpLoss):
    """Zero-bounded log-sum-exp and pairwise rank-based loss: all labels 1 above the score 0, all labels 0 below it.

        loss = log(1 + sum over the labels 0 of e^s) + log(1 + sum over the labels 1 of e^-s)
        d loss / d s = e^s / (1 + sum of e^s)               for a label 0
        d loss / d s = -e^-s / (1 + sum of e^-s)            for a label 1

    of each row. It is softmax cross-entropy for several labels, with the score 0 as the threshold; with one label or
    none it ranks that threshold, too. A score of 0 or more, a probability of 0.5, is a label.

    References:
        Su et al., "ZLPR: A Novel Loss for Multi-label Classification", 2022, arXiv 2208.02955.
    """

    summary = "log(1 + Σ e^s over t = 0) + log(1 + Σ e^-s over t = 1)"
    kernel = "zlpr"

    def of_sums(self, n, p):
        (loss_n, slope_n), (loss_p, slope_p) = log_one_plus_exp(n), log_one_plus_exp(p)
        return loss_n + loss_p, slope_n, slope_p
