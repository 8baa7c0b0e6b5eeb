"""Values and gradients of the losses that can be worked out by hand, or from another loss."""

from math import exp, log

import numpy as np
import pytest

import caffe_losses

pytestmark = pytest.mark.usefixtures("arithmetic")


def test_softmax_closed_forms():
    softmax = caffe_losses.multi_label_softmax_loss
    assert softmax(np.zeros((1, 5)), [[1, 1, 0, 0, 0]])[0] == pytest.approx(log(5), rel=1e-15)
    scores = np.log([[1.0, 2.0, 3.0, 4.0]])
    loss, gradient = softmax(scores, [[0, 1, 0, 1]])
    assert loss == pytest.approx(log(10) - 0.5 * log(8), rel=1e-14)
    np.testing.assert_allclose(gradient, [[0.1, 0.2 - 0.5, 0.3, 0.4 - 0.5]], rtol=1e-14)


def test_softmax_scales_labels():
    scores = np.log([[1.0, 2.0, 5.0]])
    labels = [[0.5, 1.5, 0]]
    cross_entropy = 0.5 * log(8) + 1.5 * log(4)
    for scale, divisor in (("COUNT", 2), ("SUM", 2), ("NONE", 1)):
        loss, gradient = caffe_losses.multi_label_softmax_loss(scores, labels, label_scale=scale)
        assert loss == pytest.approx(cross_entropy / divisor, rel=1e-14)
        np.testing.assert_allclose(gradient, (2 * np.exp(scores) / 8 - labels) / divisor, rtol=1e-13)


def test_sigmoid_closed_forms():
    sigmoid = caffe_losses.sigmoid_cross_entropy_loss
    loss, gradient = sigmoid(np.array([[0.0, log(3)]]), [[1, 0]])
    assert loss == pytest.approx(log(2) + log(4), rel=1e-15)
    np.testing.assert_allclose(gradient, [[-0.5, 0.75]], rtol=1e-15)
    assert sigmoid(np.array([[2.0]]), [[1]], pos_weight=3)[0] == pytest.approx(3 * log(1 + exp(-2)), rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_perfect_predictions_lose_nothing(dtype):
    labels = np.array([[0, 1, 0], [1, 0, 0]])
    scores = np.where(labels, 1000, -1000).astype(dtype)
    for function in (caffe_losses.multi_label_softmax_loss, caffe_losses.sigmoid_cross_entropy_loss):
        loss, gradient = function(scores, labels)
        assert loss == 0
        assert (gradient == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [1e4, 1e30])
def test_a_score_gap_is_the_loss(dtype, gap):
    scores = np.array([[0, gap]], dtype)
    gap = float(scores[0, 1])
    loss, gradient = caffe_losses.multi_label_softmax_loss(scores, [[1, 0]])
    assert loss == gap
    np.testing.assert_array_equal(gradient, [[-1, 1]])
    loss, gradient = caffe_losses.sigmoid_cross_entropy_loss(np.array([[gap, -gap]], dtype), [[0, 1]])
    assert loss == 2 * gap
    np.testing.assert_array_equal(gradient, [[1, -1]])


def test_an_empty_row_counts_but_loses_nothing():
    scores = np.random.RandomState(0).randn(2, 4)
    labels = np.array([[1, 0, 1, 0], [0, 0, 0, 0]])
    both = caffe_losses.multi_label_softmax_loss(scores, labels)
    first = caffe_losses.multi_label_softmax_loss(scores[:1], labels[:1])
    assert both[0] == first[0] / 2
    np.testing.assert_array_equal(both[1], [first[1][0] / 2, np.zeros(4)])


def test_a_repeated_index_counts_each_time():
    scores = np.random.RandomState(0).randn(1, 4)
    found = caffe_losses.multi_label_softmax_loss(scores, [[2, 2, 0]], label_format="INDEX")
    expected = caffe_losses.multi_label_softmax_loss(scores, [[1, 0, 2, 0]], soft_labels=True)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


def test_millions_of_terms_keep_their_precision():
    scores = np.random.RandomState(0).randn(1000, 4000).astype(np.float32)
    labels = scores > 1
    for function in (caffe_losses.multi_label_softmax_loss, caffe_losses.sigmoid_cross_entropy_loss):
        exact = function(scores.astype(np.float64), labels)[0]
        assert function(scores, labels)[0] == pytest.approx(exact, rel=1e-6)


def test_a_masked_class_may_have_minus_infinity():
    loss, gradient = caffe_losses.multi_label_softmax_loss(np.array([[0.0, 0.0, -np.inf]]), [[1, 0, 0]])
    assert loss == pytest.approx(log(2))
    np.testing.assert_allclose(gradient, [[-0.5, 0.5, 0]])


def test_focal_and_asymmetric_reduce_to_sigmoid_cross_entropy():
    random = np.random.RandomState(0)
    for dtype in (np.float32, np.float64):
        scores = (10 * random.randn(30, 8)).astype(dtype)
        labels = (random.rand(30, 8) < 0.3).astype(dtype)
        expected = caffe_losses.sigmoid_cross_entropy_loss(scores, labels)
        for reduced in (
            caffe_losses.sigmoid_focal_loss(scores, labels, gamma=0, alpha=None),
            caffe_losses.asymmetric_loss(scores, labels, gamma_pos=0, gamma_neg=0, clip=0),
        ):
            eps = float(np.finfo(dtype).eps)  # compilers may fuse other operations
            assert reduced[0] == pytest.approx(expected[0], rel=4 * eps)
            np.testing.assert_allclose(reduced[1], expected[1], rtol=0, atol=4 * eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [0, 0.5, 2, 5])
def test_focal_at_saturation(dtype, gamma):
    scores = np.array([[100, -100, 100, -100]], dtype)
    loss, gradient = caffe_losses.sigmoid_focal_loss(scores, [[1, 0, 0, 1]], gamma=gamma, alpha=None)
    assert loss == pytest.approx(200, rel=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0, 1, -1]], atol=1e-7)


def test_focal_closed_form():
    loss, gradient = caffe_losses.sigmoid_focal_loss(np.array([[log(3)]]), [[1]])
    assert loss == pytest.approx(0.25 * 0.25**2 * log(4 / 3), rel=1e-14)
    slope = 0.25 * 0.25**2 * (2 * 0.75 * log(0.75) - 0.25)
    assert gradient[0, 0] == pytest.approx(slope, rel=1e-14)


def test_asymmetric_closed_form():
    """p = 3/4 and r = 0.7 for the label 0; below the margin nothing is lost."""
    loss, gradient = caffe_losses.asymmetric_loss(np.array([[log(3), -4.0]]), [[0, 0]])
    assert loss == pytest.approx(-(0.7**4) * log(0.3), rel=1e-14)
    assert gradient[0, 0] == pytest.approx(3 / 16 * (0.7**4 / 0.3 - 4 * 0.7**3 * log(0.3)), rel=1e-13)
    assert gradient[0, 1] == 0


def test_asymmetric_closed_form_with_a_stopped_gradient():
    """The same loss; the slope of the cross-entropy times the power."""
    scores = np.array([[log(3), log(3)]])
    loss, gradient = caffe_losses.asymmetric_loss(scores, [[0, 1]], gamma_pos=2, stop_gradient=True)
    assert loss == pytest.approx(-(0.7**4) * log(0.3) - 1 / 16 * log(0.75), rel=1e-14)
    np.testing.assert_allclose(gradient, [[0.7**4 * 3 / 16 / 0.3, -1 / 16 / 4]], rtol=1e-13)


def test_asymmetric_closed_form_of_labels_that_nobody_has_judged():
    scores, labels = np.full((1, 3), log(3)), np.array([[-1, 0, 1]])
    found = caffe_losses.asymmetric_loss(scores, labels, ignore_label=-1, unannotated=[2, 0.5], clip=0)
    assert found[0] == pytest.approx(-0.5 * 0.75**2 * log(0.25) - 0.75**4 * log(0.25) - log(0.75), rel=1e-14)
    assert found[1][0, 0] == pytest.approx(0.5 * 0.75**2 * (0.75 - 2 * 0.25 * log(0.25)), rel=1e-14)
    weak = caffe_losses.asymmetric_loss(scores, labels, ignore_label=-1, unannotated=[4, 1], normalization="VALID")
    plain = caffe_losses.asymmetric_loss(scores, labels > 0, normalization="FULL")
    assert weak[0] == pytest.approx(plain[0], rel=1e-14)  # all of them count
    with pytest.raises(
        ValueError, match=r"unannotated \[2.0, 0.5\] has no ignore_label; give the label that marks them"
    ):
        caffe_losses.asymmetric_loss(scores, labels > 0, unannotated=[2, 0.5])


def test_hill_closed_form():
    """p = 3/4 for the label 0; m = 1/2 for the label 1, behind a margin of log 3."""
    loss, gradient = caffe_losses.hill_loss(np.array([[log(3), log(3)]]), [[0, 1]], margin=log(3))
    assert loss == pytest.approx(0.75 * 0.75**2 + 0.25 * log(2), rel=1e-14)
    slope = 0.25 * (2 * 0.5 * log(0.5) - 0.5)
    np.testing.assert_allclose(gradient, [[3 * 0.75**2 * 0.25**2, slope]], rtol=1e-13)
    falling = caffe_losses.hill_loss(np.array([[4.0]]), [[0]], lamb=1)[1]
    assert falling < 0  # beyond the top of the hill


def test_zlpr_closed_form():
    scores = np.log([[2.0, 3.0, 4.0, 5.0]])
    loss, gradient = caffe_losses.zlpr_loss(scores, [[0, 1, 0, 1]])
    assert loss == pytest.approx(log(1 + 2 + 4) + log(1 + 1 / 3 + 1 / 5), rel=1e-14)
    sum_pos = 1 + 1 / 3 + 1 / 5
    np.testing.assert_allclose(gradient, [[2 / 7, -1 / 3 / sum_pos, 4 / 7, -1 / 5 / sum_pos]], rtol=1e-13)
    assert caffe_losses.zlpr_loss(scores, [[0, 0, 0, 0]])[0] == pytest.approx(log(15), rel=1e-14)
    one_class = np.array([[1.5]])
    assert caffe_losses.zlpr_loss(one_class, [[1]])[0] == caffe_losses.sigmoid_cross_entropy_loss(one_class, [[1]])[0]


def test_two_way_closed_form():
    """Of rows: (2 + 3) / 4 and 6 / 5; of classes: 5 / 4 for the first and 3 / 6 for the last. All T are 1."""
    scores, labels = np.log([[4.0, 2.0, 3.0], [5.0, 1.0, 6.0]]), [[1, 0, 0], [0, 0, 1]]
    loss, gradient = caffe_losses.two_way_loss(scores, labels, temperature_pos=1)
    rows, classes = (log(1 + 5 / 4) + log(1 + 6 / 6)) / 2, (log(1 + 5 / 4) + log(1 + 3 / 6)) / 2
    assert loss == pytest.approx(rows + classes, rel=1e-14)
    sigmoid = [5 / 9, 6 / 12, 5 / 9, 3 / 9]  # of n + p: row 0, row 1, class 0, class 2
    expected = np.array([
        [-sigmoid[0] - sigmoid[2], sigmoid[0] * 2 / 5, sigmoid[0] * 3 / 5 + sigmoid[3]],
        [sigmoid[1] * 5 / 6 + sigmoid[2], sigmoid[1] / 6, -sigmoid[1] - sigmoid[3]],
    ])  # fmt: skip
    np.testing.assert_allclose(gradient, expected / 2, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_probabilities_keep_their_digits(dtype):
    """Down to the smallest number of float32 that has all of its digits, 1.2e-38."""
    for s in (-20, -79, -81, -87):
        scores = np.array([[s, 0.0]], dtype)
        loss, gradient = caffe_losses.sigmoid_cross_entropy_loss(scores[:, :1], [[0]])
        assert [loss, gradient[0, 0]] == pytest.approx([exp(s), exp(s)], rel=1e-6, abs=0)
        gradient = caffe_losses.multi_label_softmax_loss(scores, [[0, 1]])[1]
        assert gradient[0, 0] == pytest.approx(exp(s), rel=1e-6, abs=0)
        gradient = caffe_losses.zlpr_loss(scores[:, :1], [[0]])[1]
        assert gradient[0, 0] == pytest.approx(exp(s), rel=1e-6, abs=0)


@pytest.mark.parametrize("temperatures", [{}, {"temperature_neg": 0.3, "temperature_pos": 7.0}], ids=str)
def test_two_way_of_scores_far_from_0_is_that_of_the_same_scores_near_it(temperatures):
    """n and p are some thousands then, and n + p is not: what float32 has rounded away of both counts."""
    random = np.random.RandomState(0)
    scores, labels = np.float32(random.randint(-200, 200, (6, 20)) / 64), random.rand(6, 20) < 0.3
    expected = caffe_losses.two_way_loss(scores, labels, **temperatures)
    for far in (4096, -4096):
        found = caffe_losses.two_way_loss(scores + np.float32(far), labels, **temperatures)
        assert found[0] == pytest.approx(expected[0], rel=1e-6)
        np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6 * np.abs(expected[1]).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_of_probabilities_are_clamped_and_so_are_their_gradients(dtype):
    p = np.array([[0, 1, 0.5]], dtype)
    loss, gradient = caffe_losses.multi_label_logistic_loss(p, [[1, 1, 0]])
    assert loss == pytest.approx(-log(1e-20) / 2, rel=1e-6)
    np.testing.assert_array_equal(gradient, [[0, -0.5, 0]])
    loss, gradient = caffe_losses.binary_cross_entropy_loss(p, [[1, 0, 1]])
    assert loss == pytest.approx(-2 * log(1e-20) + log(2), rel=1e-6)
    np.testing.assert_array_equal(gradient, [[0, 0, -2]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_the_clamp_itself_the_gradient_is_0_and_above_it_is_not(dtype):
    clamp = dtype(1e-20)
    for p, slope in ((clamp, 0), (np.nextafter(clamp, dtype(1)), -1e20)):
        for function in (caffe_losses.multi_label_logistic_loss, caffe_losses.binary_cross_entropy_loss):
            assert function(np.array([[p]]), [[1]])[1] == pytest.approx(slope, rel=1e-6)


def test_losses_of_probabilities_are_those_of_scores_behind_a_softmax_or_sigmoid():
    random = np.random.RandomState(0)
    scores, labels = random.randn(6, 5), random.rand(6, 5) < 0.4
    exp_scores = np.exp(scores)
    softmax = exp_scores / exp_scores.sum(axis=1, keepdims=True)
    expected = caffe_losses.multi_label_softmax_loss(scores, labels)[0]
    assert caffe_losses.multi_label_logistic_loss(softmax, labels)[0] == pytest.approx(expected, rel=1e-14)
    expected = caffe_losses.sigmoid_cross_entropy_loss(scores, labels)[0]
    assert caffe_losses.binary_cross_entropy_loss(exp_scores / (1 + exp_scores), labels)[0] == pytest.approx(expected)


def test_binary_cross_entropy_is_the_two_class_softmax():
    """A sigmoid of s is a softmax over (0, s): the same loss, and the gradient of s."""
    scores = np.random.RandomState(0).randn(9, 1) * 3
    labels = np.arange(9).reshape(9, 1) % 2
    sigmoid = caffe_losses.sigmoid_cross_entropy_loss(scores, labels)
    softmax = caffe_losses.multi_label_softmax_loss(np.hstack([np.zeros((9, 1)), scores]), labels, label_format="INDEX")
    assert softmax[0] == pytest.approx(sigmoid[0], rel=1e-14)
    np.testing.assert_allclose(softmax[1][:, 1:], sigmoid[1], rtol=1e-12)
