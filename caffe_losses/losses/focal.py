"""The focal loss."""

from ..options import Option, nullable, number
from .sigmoid import SigmoidLoss, log_sigmoid, sigmoid

GAMMAS = 0, 0.5, 3, 6, 7, 8  # to test with: the kernels have another way for whole numbers up to 7
GAMMA = Option(
    "gamma",
    2.0,
    number(0, 100),
    "Focuses on wrong predictions: the loss is multiplied by (1 - p)^gamma. 0: no focus.",
    GAMMAS,
)
ALPHA = Option(
    "alpha",
    0.25,
    nullable(number(0, 1)),
    "Weight of the positive labels. The other labels have 1 - alpha. null: all have 1.",
    (None, 0.9),
)


def focal(scores, gamma, slope_of_focus=1):
    """p^gamma times the cross-entropy -log q of a label 0, and its derivative, where p = sigmoid(s) and q = 1 - p.

    slope_of_focus  0: p^gamma is taken as a constant in the derivative
    """
    p, q, log_q = sigmoid(scores), sigmoid(-scores), log_sigmoid(-scores)
    return -(p**gamma) * log_q, p**gamma * (p - slope_of_focus * gamma * q * log_q)


def focal_of_positive(scores, gamma, slope_of_focus=1):
    """The same of a label 1, which at s is like a label 0 at -s."""
    loss, slope = focal(-scores, gamma, slope_of_focus)
    return loss, -slope


class SigmoidFocalLoss(SigmoidLoss):
    """Focal loss: cross-entropy that turns away from the labels that are predicted well already.

    With p = sigmoid(s), and q = 1 - p, for a label 1 and for a label 0:

        loss = -alpha q^gamma log p           loss = -(1 - alpha) p^gamma log q
        d loss / d s = alpha q^gamma (gamma p log p - q)
        d loss / d s = (1 - alpha) p^gamma (p - gamma q log q)

    and for soft labels their mixture; finite at any score. At gamma 0 and alpha None it is
    SigmoidCrossEntropyLoss.

    References:
        Lin et al., "Focal Loss for Dense Object Detection", 2017, arXiv 1708.02002.
    """

    options = SigmoidLoss.options + (GAMMA, ALPHA)
    summary = "Σ -α (1 - p)^γ log p for t = 1, and mirrored for t = 0"
    kernel = "focal"

    def alphas(self):
        """The weights of a label 0 and of a label 1."""
        return (1.0, 1.0) if self.alpha is None else (1 - self.alpha, self.alpha)

    def negative(self, scores):
        return tuple(self.alphas()[0] * x for x in focal(scores, self.gamma))

    def positive(self, scores):
        return tuple(self.alphas()[1] * x for x in focal_of_positive(scores, self.gamma))

    def kernel_options(self):
        alpha_neg, alpha_pos = self.alphas()
        return "focal", {
            "gamma_pos": self.gamma, "gamma_neg": self.gamma, "alpha_pos": alpha_pos, "alpha_neg": alpha_neg,
            "slope_of_focus": 1, "gamma_unannotated": 0, "weight_unannotated": 0,
        }  # fmt: skip
