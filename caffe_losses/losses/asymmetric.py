"""The asymmetric loss."""

import numpy as np

from ..options import FLAG, NO_NUMBERS, Domain, Option, nullable, number
from .focal import GAMMAS, focal, focal_of_positive
from .sigmoid import SigmoidLoss, sigmoid

GAMMA_POS = Option("gamma_pos", 0.0, number(0, 100), "The gamma of the positive labels.", GAMMAS)
GAMMA_NEG = Option("gamma_neg", 4.0, number(0, 100), "The gamma of the other labels.", GAMMAS)
CLIP = Option(
    "clip",
    0.05,
    number(0, 1, high_open=True),
    "Lowers the probability p of the other labels to max(p - clip, 0). With p <= clip, they have no loss.",
    (0, 0.3),
)
STOP_GRADIENT = Option(
    "stop_gradient",
    False,
    FLAG,
    "true: the gradient takes the powers of gamma as constants, as the authors train. It is then not the gradient of "
    "the loss, and a gradient check says so.",
)


def gamma_and_weight(value):
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError
    return number(0, 100).convert(value[0]), number(0, 1e6).convert(value[1])


UNANNOTATED = Option(
    "unannotated",
    None,
    nullable(
        Domain(
            "a list of a gamma in [0, 100] and a weight in [0, 1e6]",
            gamma_and_weight,
            "Sequence[float]",
            ([0, 1], [1.5, 3], [2, 0.5]),
            (*NO_NUMBERS, 1, [1], [1, 2, 3], [-1, 1], [101, 1], [1, -1], [1, 2e6], [1, "2"], "12"),
        )
    ),
    "What becomes of ignored labels, which nobody has judged. They count as labels 0, with a gamma and a weight of "
    "their own. null: they are left out.",
)


class AsymmetricLoss(SigmoidLoss):
    """Asymmetric loss: focal, with another gamma for the labels 0, and a margin below which they lose nothing.

    With p = sigmoid(s), q = 1 - p and r = max(p - clip, 0), for a label 1 and for a label 0:

        loss = -q^gamma_pos log p             loss = -r^gamma_neg log(1 - r)
        d loss / d s = q^gamma_pos (gamma_pos p log p - q)
        d loss / d s = p q r^gamma_neg (1 / (1 - r) - gamma_neg log(1 - r) / r)        0 if p <= clip

    and for soft labels their mixture. At gammas 0 and clip 0 it is SigmoidCrossEntropyLoss. The
    defaults are the paper's for many classes.

    With stop_gradient, the derivatives are those of the cross-entropies, times q^gamma_pos or r^gamma_neg. The paper
    does not say so; the authors' training code does it, with gamma_pos 0 (the default of their class is 1).

    With unannotated [gamma, weight], an ignored label loses -weight r^gamma log(1 - r): it is a weak negative. Cole et
    al., "Multi-Label Learning from Single Positive Labels", 2021: gamma 0, weight 1 / (C - 1). Ben-Baruch et al.,
    "Multi-label Classification with Partial Annotations using Class-aware Selective Loss", 2022: a higher gamma than
    gamma_neg. Choosing which labels to ignore by a prior, as the latter does, is left to the list.

    References:
        Ridnik et al., "Asymmetric Loss For Multi-Label Classification", 2021, arXiv 2009.14119.
    """

    options = SigmoidLoss.options + (GAMMA_POS, GAMMA_NEG, CLIP, STOP_GRADIENT, UNANNOTATED)
    summary = "Σ -(1 - p)^γ₊ log p for t = 1; -r^γ₋ log(1 - r), r = max(p - clip, 0), for t = 0"
    kernel = "asymmetric"

    def negative(self, scores):
        return self.with_gamma(scores, self.gamma_neg)

    def with_gamma(self, scores, gamma):
        """(loss, derivative) of each score with the label 0."""
        if not self.clip:
            return focal(scores, gamma, self.slope_of_focus())
        p, q = sigmoid(scores), sigmoid(-scores)
        r = np.maximum(p - self.clip, 0)
        not_r = np.minimum(q + self.clip, 1)  # 1 - r would cancel
        focus, log_not_r = np.where(r > 0, r**gamma, 0), np.log(not_r)
        slope_of_focus = self.slope_of_focus() * gamma * log_not_r / np.where(r > 0, r, 1)
        return -focus * log_not_r, p * q * focus * (1 / not_r - slope_of_focus)

    def positive(self, scores):
        return focal_of_positive(scores, self.gamma_pos, self.slope_of_focus())

    def slope_of_focus(self):
        return 0 if self.stop_gradient else 1

    def dense(self, labels):
        labels, ignored = super().dense(labels)
        self.unjudged = ignored if self.unannotated else np.zeros_like(ignored)
        return labels, ignored & ~self.unjudged

    def formula(self, scores, labels, ignored):
        loss, slope = super().formula(scores, labels, ignored)
        if not self.unannotated:
            return loss, slope
        gamma, weight = self.unannotated
        return tuple(
            np.where(self.unjudged, weight * weak, judged)
            for weak, judged in zip(self.with_gamma(scores, gamma), (loss, slope))
        )

    def check_options(self):
        super().check_options()
        if self.unannotated and self.ignore_label is None:
            self.refuse("unannotated {} has no ignore_label; give the label that marks them", list(self.unannotated))

    def kernel_options(self):
        gamma, weight = self.unannotated or (0, 0)
        options = {"gamma_pos": self.gamma_pos, "gamma_neg": self.gamma_neg, "alpha_pos": 1}
        options.update(slope_of_focus=self.slope_of_focus(), gamma_unannotated=gamma, weight_unannotated=weight)
        return ("asymmetric", dict(options, clip=self.clip)) if self.clip else ("focal", dict(options, alpha_neg=1))

    def kernel_fields(self):
        return dict(super().kernel_fields(), unannotated=self.unannotated is not None)
