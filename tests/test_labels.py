"""Labels that look like something else are refused, unless they are meant; soft labels and counts are not."""

import numpy as np
import pytest
from nets import loss_net, run

from caffe_losses import losses

pytestmark = pytest.mark.usefixtures("arithmetic")

SOFTMAX = losses.MultiLabelSoftmaxLoss, losses.MultiLabelLogisticLoss
SIGMOID = losses.SigmoidCrossEntropyLoss, losses.AsymmetricLoss, losses.BinaryCrossEntropyLoss
EYE = np.eye(5)[[0, 3, 3, 1]]
NUMBERS = np.array([[0, 1, 2, 3, 4], [4, 1, 0, 2, 3], [2, 2, 2, 2, 2], [0, 0, 0, 0, 0]])  # K = C = 5

each_softmax = pytest.mark.parametrize("loss", SOFTMAX, ids=lambda loss: loss.__name__)
each_of_both = pytest.mark.parametrize("loss", SOFTMAX + SIGMOID, ids=lambda loss: loss.__name__)


def scores():
    return np.random.RandomState(0).uniform(0.1, 0.9, EYE.shape)


def refused(loss, labels, **options):
    with pytest.raises(ValueError) as error:
        loss(**options)(scores(), labels)
    (line,) = str(error.value).splitlines()
    return line


@each_softmax
@pytest.mark.parametrize("labels, text", [
    (255 * EYE, "whole numbers up to 255; give 0 and 1, which are these times 0.00392157, label_scale SUM for counts"),
    (2 * EYE, "up to 2; give 0 and 1, which are these times 0.5, label_format INDEX for class numbers, label_scale"),
    (NUMBERS, "whole numbers up to 4; give 0 and 1, label_format INDEX for class numbers, label_scale SUM for counts"),
])  # fmt: skip
def test_whole_numbers_above_1_are_refused(loss, labels, text):
    assert text in refused(loss, labels)
    assert text in refused(loss, labels, label_scale="NONE", axis=-1)
    sums = loss(label_scale="SUM")(scores(), labels)
    np.testing.assert_allclose(sums[1], loss(label_scale="SUM")(scores(), labels / labels.max())[1])
    assert loss(soft_labels=True)(scores(), labels)[0] > 0


@each_of_both
@pytest.mark.parametrize("scale", [1 / 256, 0.00392157, 0.0039, 1 / 128, 0.0078, 0.017])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_that_were_scaled_like_pictures_are_refused(loss, scale, dtype):
    labels = (EYE * scale).astype(dtype)
    text = f"labels are all 0 or {scale:g}, as if multiplied like pictures; give 0 and 1, or say soft_labels true"
    assert text in refused(loss, labels)
    with_ignored = np.where(np.arange(5) == 4, 255, labels)
    assert text in refused(loss, with_ignored, ignore_label=255)
    assert np.isfinite(loss(soft_labels=True)(scores(), labels)[0])


@each_of_both
@pytest.mark.parametrize("labels", [
    EYE, 0.9 * EYE, 0.5 * EYE, EYE / 256 + EYE[::-1] / 2, 0.1 + 0.8 * EYE, np.full(EYE.shape, 1 / 256), 0 * EYE,
    255 * np.float32(0.00392157) * EYE,
], ids=repr)  # fmt: skip
def test_soft_labels_are_taken(loss, labels):
    for options in ({}, {"label_scale": "NONE"} if issubclass(loss, losses.DistributionLoss) else {}):
        found = loss(**options)(scores(), labels)
        expected = loss(soft_labels=True, **options)(scores(), labels)
        assert found[0] == expected[0]
        np.testing.assert_array_equal(found[1], expected[1])


@each_softmax
def test_real_labels_above_1_are_taken(loss):
    assert loss()(scores(), 1.7 * EYE + 0.3)[0] > 0
    assert loss()(scores(), NUMBERS + 0.25)[0] > 0


@pytest.mark.parametrize("loss", SIGMOID, ids=lambda loss: loss.__name__)
def test_a_label_above_1_says_what_it_may_be(loss):
    assert "255.0 (row 0, class 0); give numbers in [0, 1]: 0 and 1, which are these times 0.00392" in refused(
        loss, 255 * EYE, soft_labels=True
    )
    assert "give numbers in [0, 1]: 0 and 1, label_format INDEX for class numbers" in refused(loss, NUMBERS)
    assert refused(loss, 1.5 * EYE).endswith("is 1.5 (row 0, class 0); give numbers in [0, 1]")


@pytest.mark.parametrize("scale", [255, 1 / 256])
def test_the_first_batch_with_a_label_tells_it(scale):
    """Of more labels than a sample has, with those that tell it at the end."""
    loss = losses.MultiLabelSoftmaxLoss()
    zeros, ones, wrong = np.zeros((3, 4000)), np.zeros((3, 4000)), np.zeros((3, 4000))
    ones[2, 3000], wrong[2, 3000:3002] = 1, scale
    for _ in range(2):
        assert loss(zeros, zeros)[0] == 0
    with pytest.raises(ValueError, match="labels are"):
        loss(zeros, wrong)
    assert loss(zeros, ones)[0] > 0
    assert loss(zeros, wrong)[0] > 0  # a later batch is not looked at


@pytest.mark.parametrize("layer", ["MultiLabelSoftmaxLoss", "SigmoidCrossEntropyLoss"])
@pytest.mark.parametrize("scale", [255, 1 / 256])
def test_in_caffe(layer, scale):
    labels = (scale * EYE).astype(np.float32)
    with pytest.raises(ValueError, match=r"labels are (all 0 or 0.00390625|whole .* 255)|is 255.0 .*times 0.00392157"):
        loss_net(layer, scores(), labels).forward()
    if scale < 1 or layer == "MultiLabelSoftmaxLoss":
        assert run(loss_net(layer, scores(), labels, param={"soft_labels": True}))[0] > 0
