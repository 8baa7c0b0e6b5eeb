"""The asymmetric loss."""

import numpy as np

from ..options import Option, number
from .focal import focal, focal_of_positive
from .sigmoid import SigmoidLoss, sigmoid

GAMMA_POS = Option("gamma_pos", 0.0, number(0, 100), "The gamma of the positive labels.")
GAMMA_NEG = Option("gamma_neg", 4.0, number(0, 100), "The gamma of the other labels.")
CLIP = Option(
    "clip",
    0.05,
    number(0, 1, high_open=True),
    "Lowers the probability p of the other labels to max(p - clip, 0). With p <= clip, they have no loss.",
)


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

    options = SigmoidLoss.options + (GAMMA_POS, GAMMA_NEG, CLIP)
    summary = "like focal, with a γ for each kind of label, and a margin for t = 0"
    kernel = "asymmetric"

    def negative(self, scores):
        if not self.clip:
            return focal(scores, self.gamma_neg)
        p, q, gamma = sigmoid(scores), sigmoid(-scores), self.gamma_neg
        r = np.maximum(p - self.clip, 0)
        not_r = np.minimum(q + self.clip, 1)  # 1 - r would cancel
        focus, log_not_r = np.where(r > 0, r**gamma, 0), np.log(not_r)
        return -focus * log_not_r, p * q * focus * (1 / not_r - gamma * log_not_r / np.where(r > 0, r, 1))

    def positive(self, scores):
        return focal_of_positive(scores, self.gamma_pos)

    def check_scores(self):
        """The margin makes the loss of an infinite score finite; a net that has one has diverged all the same."""
        scores, labels, _ = self.inputs
        if (np.isposinf(scores).reshape(self.shape) & ~self.dense(labels)[1]).any():
            self.blame(np.inf)

    def kernel_options(self):
        options = {"gamma_pos": self.gamma_pos, "gamma_neg": self.gamma_neg, "alpha_pos": 1.0, "alpha_neg": 1.0}
        return ("asymmetric" if self.clip else "focal"), dict(options, clip=self.clip)
