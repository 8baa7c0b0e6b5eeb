"""The Hill loss, for data whose labels are incomplete."""

from ..options import Option, number
from .focal import GAMMAS, focal_of_positive
from .sigmoid import SigmoidLoss, sigmoid

LAMB = Option(
    "lamb",
    1.5,
    number(1, 100),
    "The paper's lambda: the loss of the other labels is (lamb - p) p^2. Below 1.5, its gradient is negative where p "
    "is near 1: such a label is taken to be missing.",
    (1, 3),
)
MARGIN = Option("margin", 1.0, number(0, 100), "Lowers the scores of the positive labels, in their loss.", (0, 2.5))
GAMMA = Option(
    "gamma", 2.0, number(0, 100), "Focuses the positive labels: their loss is multiplied by (1 - p)^gamma.", GAMMAS
)


class HillLoss(SigmoidLoss):
    """Hill loss: the labels 0 with a high probability lose little, as they may be missing positives.

    With p = sigmoid(s), q = 1 - p, m = sigmoid(s - margin) and n = 1 - m, for a label 1 and for a label 0:

        loss = -n^gamma log m                          loss = (lamb - p) p^2
        d loss / d s = n^gamma (gamma m log m - n)     d loss / d s = (2 lamb - 3 p) p^2 q

    and for soft labels their mixture. The gradient for a label 0 is 3 p^2 q^2 with the default lamb of 1.5: greatest at
    p = 0.5, and 0 at both ends. The loss for a label 1 is the paper's focal margin loss; its gradient goes
    through n^gamma, too, as in the authors' code. That code sums over the batch: normalization NONE.

    References:
        Zhang et al., "Simple and Robust Loss Design for Multi-Label Learning with Missing Labels", 2021,
        arXiv 2112.07368.
    """

    options = SigmoidLoss.options + (LAMB, MARGIN, GAMMA)
    summary = "Σ -(1 - m)^γ log m for t = 1, m = sigmoid(s - margin); (λ - p) p² for t = 0"
    kernel = "hill"

    def negative(self, scores):
        p, q = sigmoid(scores), sigmoid(-scores)
        return p**2 * (self.lamb - 1 + q), p**2 * q * (2 * self.lamb - 3 + 3 * q)

    def positive(self, scores):
        return focal_of_positive(scores - self.margin, self.gamma)

    def kernel_options(self):
        options = {"gamma_pos": self.gamma, "alpha_pos": 1, "slope_of_focus": 1}
        return "hill", dict(options, margin=self.margin, lamb=self.lamb)
