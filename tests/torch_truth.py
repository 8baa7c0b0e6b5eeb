"""The losses and their gradients against PyTorch's, in float64; `make truth` runs it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from caffe_losses import losses

pytestmark = pytest.mark.usefixtures("arithmetic")

CLOSE = {"rtol": 1e-11, "atol": 1e-13}
random = np.random.RandomState(0)
SCORES = 3 * random.randn(12, 7)
LABELS = (random.rand(12, 7) < 0.3) * 1.0
LABELS[:, 2] = np.maximum(LABELS[:, 2], LABELS.sum(1) == 0)  # PyTorch has no rule for empty rows
SOFT = LABELS * random.rand(12, 7)
WEIGHTS = np.arange(1.0, 8.0)


def by_autograd(function, scores, *arrays):
    s = torch.tensor(scores, requires_grad=True)
    value = function(s, *[torch.tensor(a) for a in arrays])
    value.backward()
    return value.item(), s.grad.numpy()


def assert_same(ours, theirs):
    np.testing.assert_allclose(ours[0], theirs[0], **CLOSE)
    np.testing.assert_allclose(ours[1], theirs[1], **CLOSE)


@pytest.mark.parametrize("labels", [LABELS, SOFT])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"class_weight": WEIGHTS.tolist()},
                                     {"label_smoothing": 0.2, "class_weight": WEIGHTS.tolist()}])  # fmt: skip
@pytest.mark.parametrize("shape", [(12, 7), (3, 7, 4)])
def test_softmax_of_a_distribution(labels, options, shape):
    ours = losses.MultiLabelSoftmaxLoss(label_scale="SUM", **options)
    weight = torch.tensor(WEIGHTS) if "class_weight" in options else None
    scores, labels = (np.moveaxis(a.reshape(3, 4, 7), 1, 2) if len(shape) == 3 else a for a in (SCORES, labels))
    targets = labels / labels.sum(1, keepdims=True)

    def theirs(s, t):
        total = F.cross_entropy(s, t, weight, reduction="sum", label_smoothing=options.get("label_smoothing", 0))
        return total / 12

    assert_same(ours(scores, labels), by_autograd(theirs, scores, targets))


@pytest.mark.parametrize("ignore", [-100, 3])
def test_softmax_of_one_index(ignore):
    index = random.randint(0, 7, 12)
    ours = losses.MultiLabelSoftmaxLoss(label_format="INDEX", ignore_label=ignore)(SCORES, index[:, None])
    assert_same(ours, by_autograd(lambda s, i: F.cross_entropy(s, i, ignore_index=ignore), SCORES, index))


@pytest.mark.parametrize("labels", [LABELS, SOFT])
@pytest.mark.parametrize("pos_weight", [None, WEIGHTS.tolist()])
@pytest.mark.parametrize("class_weight", [None, WEIGHTS[::-1].tolist()])
def test_sigmoid(labels, pos_weight, class_weight):
    ours = losses.SigmoidCrossEntropyLoss(normalization="FULL", pos_weight=pos_weight, class_weight=class_weight)
    weight, q = (None if w is None else torch.tensor(w) for w in (class_weight, pos_weight))

    def theirs(s, t):
        return F.binary_cross_entropy_with_logits(s, t, weight, pos_weight=q)

    assert_same(ours(SCORES, labels), by_autograd(theirs, SCORES, labels))


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("gamma, alpha", [(2, 0.25), (0, None), (0.5, 0.9), (3.5, None)])
def test_focal(gamma, alpha, scale):
    def theirs(s, t):
        cross_entropy = F.binary_cross_entropy_with_logits(s, t, reduction="none")
        p_t = torch.sigmoid(s) * t + torch.sigmoid(-s) * (1 - t)
        q_t = torch.sigmoid(-s) * t + torch.sigmoid(s) * (1 - t)
        assert torch.allclose(p_t + q_t, torch.ones_like(s))
        weight = 1 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
        return (weight * q_t**gamma * cross_entropy).mean()

    ours = losses.SigmoidFocalLoss(gamma=gamma, alpha=alpha, normalization="FULL")
    assert_same(ours(scale * SCORES, LABELS), by_autograd(theirs, scale * SCORES, LABELS))


@pytest.mark.parametrize("gamma_pos, gamma_neg, clip", [(0, 4, 0.05), (1, 2, 0.2), (0, 0, 0), (1, 4, 0)])
def test_asymmetric(gamma_pos, gamma_neg, clip):
    def theirs(s, t):
        p, q = torch.sigmoid(s), torch.sigmoid(-s)
        not_r = (q + clip).clamp(max=1) if clip else q
        r = (p - clip).clamp(min=0) if clip else p
        positive = q**gamma_pos * -F.logsigmoid(s)
        negative = r**gamma_neg * (-torch.log(not_r) if clip else -F.logsigmoid(-s))
        return (t * positive + (1 - t) * negative).sum()

    ours = losses.AsymmetricLoss(gamma_pos=gamma_pos, gamma_neg=gamma_neg, clip=clip, normalization="NONE")
    assert_same(ours(SCORES, LABELS), by_autograd(theirs, SCORES, LABELS))


@pytest.mark.parametrize("gamma_pos, gamma_neg, clip", [(0, 4, 0.05), (1, 2, 0.2), (2, 1, 0)])
def test_asymmetric_as_its_authors_train_it(gamma_pos, gamma_neg, clip):
    def theirs(s, t):
        p = torch.sigmoid(s)
        not_p = (1 - p + clip).clamp(max=1)
        with torch.no_grad():
            weight = (1 - p * t - not_p * (1 - t)) ** (gamma_pos * t + gamma_neg * (1 - t))
        return -(weight * (t * torch.log(p) + (1 - t) * torch.log(not_p))).sum()

    ours = losses.AsymmetricLoss(
        gamma_pos=gamma_pos, gamma_neg=gamma_neg, clip=clip, normalization="NONE", stop_gradient=True
    )
    assert_same(ours(SCORES, LABELS), by_autograd(theirs, SCORES, LABELS))


@pytest.mark.parametrize("lamb, margin, gamma", [(1.5, 1, 2), (1, 0, 0.5), (3, 2, 1)])
def test_hill(lamb, margin, gamma):
    def theirs(s, t):
        p, m = torch.sigmoid(s), torch.sigmoid(s - margin)
        return (t * (1 - m) ** gamma * -torch.log(m) + (1 - t) * (lamb - p) * p**2).sum()

    ours = losses.HillLoss(lamb=lamb, margin=margin, gamma=gamma, normalization="NONE")
    assert_same(ours(SCORES, LABELS), by_autograd(theirs, SCORES, LABELS))


def masked(mask):
    return torch.where(mask, 0.0, -torch.inf).double()


@pytest.mark.parametrize("scale", [1, 30])
def test_zlpr(scale):
    def theirs(s, t):
        zero = torch.zeros(len(s), 1, dtype=s.dtype)
        n = torch.logsumexp(torch.cat([zero, s + masked(t == 0)], 1), 1)
        return (n + torch.logsumexp(torch.cat([zero, -s + masked(t > 0)], 1), 1)).mean()

    assert_same(losses.ZLPRLoss()(scale * SCORES, LABELS), by_autograd(theirs, scale * SCORES, LABELS))


@pytest.mark.parametrize("temperature_pos, temperature_neg", [(4, 1), (1, 1), (0.5, 3)])
def test_two_way(temperature_pos, temperature_neg):
    def theirs(s, t):
        total = 0
        for axis in (0, 1):
            groups, marks = (x.movedim(axis, -1)[(t > 0).any(axis)] for x in (s, t))
            p = temperature_pos * torch.logsumexp(-groups / temperature_pos + masked(marks > 0), 1)
            n = temperature_neg * torch.logsumexp(groups / temperature_neg + masked(marks == 0), 1)
            total = total + F.softplus(n + p).mean()
        return total

    ours = losses.TwoWayLoss(temperature_pos=temperature_pos, temperature_neg=temperature_neg)
    labels = LABELS.copy()
    labels[3] = 0  # a row without labels, and a class
    labels[:, 5] = 0
    assert_same(ours(SCORES, labels), by_autograd(theirs, SCORES, labels))


def test_on_probabilities():
    p = 1 / (1 + np.exp(-SCORES))
    ours = losses.BinaryCrossEntropyLoss(normalization="FULL")(p, SOFT)
    assert_same(ours, by_autograd(F.binary_cross_entropy, p, SOFT))
    ours = losses.MultiLabelLogisticLoss(label_scale="NONE", normalization="NONE")(p, SOFT)
    assert_same(ours, by_autograd(lambda s, t: -(t * torch.log(s)).sum(), p, SOFT))
