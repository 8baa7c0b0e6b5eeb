"""The float32 losses against their formulas at 50 digits.

The bound: an error of at most 2 units in the last place (ulp) of the result's scale.

- A gradient's scale is the largest number that it is a difference of. Softmax: (sum of T) p_j - T_j, both of
  them at most the sum of T. An exponential of z = s - max is off by a relative |z| u, z being rounded, with
  u = 2^-24, half an ulp; but it is at most exp(z), and |z| exp(z) < 0.37, so it is off by less than u. The
  sum of exponentials, the quotient and the product add a rounding or so of p each, the difference and
  the scaling by top diff / normalizer two more. Sigmoid: a label of 1 minus a probability.
  Focal and asymmetric: a power of gamma magnifies the rounding of its base gamma-fold, so that the scale is gamma.
  Losses of sums of exponentials: a share of such a sum, as for softmax, times a slope in [0, 1] that is computed in
  double; two of these for TwoWayLoss.
- A loss's scale is the sum over rows of (sum of T) (1 + loss): the log of a sum of exponentials that is 1
  or more. The sigmoid family's terms are each right to a few roundings of their own, so that their
  scale is the loss itself; all are added in float64. Of sums of exponentials, each log is off by some u,
  times its temperature: the scale is 1 a log, and for TwoWayLoss 5 a row and 5 a class.
"""

import mpmath
import numpy as np
import pytest
import reference
from registry import settings

from caffe_losses import losses

pytestmark = pytest.mark.usefixtures("arithmetic")

SCALES = [0.01, 1, 10, 100, 1e4]
LOSSES = [getattr(losses, name) for name in losses.__all__ if getattr(losses, name).has_probabilities]


def exact(monkeypatch, loss, scores, labels):
    with monkeypatch.context() as patch, mpmath.workdps(50):
        patch.setattr(reference, "math", mpmath)
        value, gradient = reference.reduce(loss.name(), scores, labels, **settings(loss))
        return float(value), gradient


def ulps(found, expected, scale):
    return np.abs(np.float64(found) - expected).max() / np.spacing(np.float32(scale)).astype(np.float64)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", LOSSES, ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("shape", [(40, 7), (4, 300), (300, 3)])
def test_within_two_units_in_the_last_place(kind, shape, scale, monkeypatch):
    random = np.random.RandomState(int(scale * 100) + shape[0])
    scores = (scale * random.randn(*shape)).astype(np.float32)
    scores[0] = scale * np.sign(scores[0])
    labels = (random.rand(*shape) < 0.3).astype(np.float32)
    labels[1] = 0
    loss = kind(normalization="NONE")
    value, gradient = loss(scores, labels)
    value32 = np.float32(value)
    expected_value, expected_gradient = exact(monkeypatch, loss, scores, labels)
    scale_of_slope = max(getattr(loss, name, 1) for name in ("gamma", "gamma_neg"))
    sums = {losses.MultiLabelSoftmaxLoss: shape[0], losses.ZLPRLoss: 2 * shape[0], losses.TwoWayLoss: 5 * sum(shape)}
    assert ulps(gradient, expected_gradient, scale_of_slope) <= 2
    assert ulps(value32, expected_value, sums.get(kind, 0) + expected_value) <= 2
