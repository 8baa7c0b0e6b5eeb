"""Contracts that hold for each loss with each option, on the pure functions."""

import numpy as np
import pytest
import reference
from registry import CASES, COMMON, LOSSES, Case, build, case_id, inputs, settings

import caffe_losses
from caffe_losses import losses
from caffe_losses.gradcheck import check_function

pytestmark = pytest.mark.usefixtures("arithmetic")

each_case = pytest.mark.parametrize("case", CASES, ids=case_id)
each_common = pytest.mark.parametrize("case", COMMON, ids=case_id)
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
each_loss_of_rows = pytest.mark.parametrize(
    "loss", [loss for loss in LOSSES if loss.row_weights], ids=lambda loss: loss.__name__
)

# float64 sums of a few hundred terms, in another order than the reference's
CLOSE = {"rtol": 1e-12, "atol": 1e-13}


@each_case
def test_is_its_formula(case):
    """With labels of 0 and 1; and with real ones and weights of rows, some of them 0."""
    loss = build(case)
    rows = int(np.prod(case.shape)) // case.shape[case.axis]
    for real, weights in ((False, None), (True, np.arange(rows) % 3.0 if case.loss.row_weights else None)):
        scores, labels = inputs(case, real=real)
        expected, gradient = reference.reduce(loss.name(), scores, labels, weights, **settings(loss))
        found = loss(scores, labels, weights)
        np.testing.assert_allclose(found[0], expected, **CLOSE)
        np.testing.assert_allclose(found[1], gradient, **CLOSE)


@pytest.mark.parametrize("case", [case for case in CASES if not case.options.get("stop_gradient")], ids=case_id)
@pytest.mark.parametrize("arithmetic", ["compiled"], indirect=True)  # numpy has the same gradient: the test above
def test_gradient_is_the_central_difference(case):
    loss, (scores, labels) = build(case), inputs(case, real=True)
    wrong = [e for e in check_function(lambda s: loss(s, labels), scores) if not e.right]
    assert not wrong, "\n".join(map(str, wrong))


def as_indices(labels, axis, k):
    """DENSE labels of 0 and 1 as INDEX, in k slots of which each row's last are padding."""
    rows = np.moveaxis(labels, axis, -1)
    out = np.full(rows.shape[:-1] + (k,), -1.0)
    for row in np.ndindex(*rows.shape[:-1]):
        found = np.flatnonzero(rows[row])
        out[row][: found.size] = found
    return np.moveaxis(out, -1, axis)


@each_common
def test_indices_are_dense_labels(case):
    scores, labels = inputs(case._replace(options={}))
    case = case._replace(options={k: v for k, v in case.options.items() if k != "ignore_label"})
    expected = build(case)(scores, labels)
    found = build(case, label_format="INDEX")(scores, as_indices(labels, case.axis, scores.shape[case.axis] + 1))
    np.testing.assert_allclose(found[0], expected[0], **CLOSE)
    np.testing.assert_allclose(found[1], expected[1], **CLOSE)


@each_loss
def test_a_row_of_ignored_indices_is_ignored(loss):
    case = Case(loss, {"ignore_label": 255, "label_format": "INDEX", "normalization": "VALID"}, (4, 5), 1)
    scores, _ = inputs(case._replace(options={}))
    indices = np.array([[0, -1, -1], [255, -1, 255], [2, 255, 4], [-1, -1, -1]], float)
    kept = [0, 2, 3]
    rest = build(case)(scores[kept], indices[kept])
    found = build(case)(scores, indices)
    np.testing.assert_allclose(found[0], rest[0], **CLOSE)
    np.testing.assert_allclose(found[1][kept], rest[1], **CLOSE)
    assert (found[1][1] == 0).all()


@each_loss
@pytest.mark.parametrize("normalization", ["VALID", "NONE"])
def test_ignoring_a_class_is_slicing_it_off(loss, normalization):
    case = Case(loss, {"ignore_label": -1, "normalization": normalization}, (6, 5), 1)
    scores, labels = inputs(case._replace(options={}))
    labels[:, 2] = -1
    kept = [0, 1, 3, 4]
    found, sliced = build(case)(scores, labels), build(case)(scores[:, kept], labels[:, kept])
    np.testing.assert_allclose(found[0], sliced[0], **CLOSE)
    np.testing.assert_allclose(found[1][:, kept], sliced[1], **CLOSE)
    assert (found[1][:, 2] == 0).all()


@each_loss
def test_what_is_ignored_may_be_anything(loss):
    case = Case(loss, {"ignore_label": -1}, (6, 5), 1)
    scores, labels = inputs(case._replace(options={}))
    labels[1], labels[2, 3] = -1, -1
    expected = build(case)(scores, labels)
    if loss.has_probabilities:
        scores[1], scores[2, 3] = np.nan, 1e30
    found = build(case)(scores, labels)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


@each_loss
def test_all_ignored_is_0(loss):
    value, gradient = loss(ignore_label=0.25)(np.full((6, 5), 0.5), np.full((6, 5), 0.25))
    assert value == 0
    assert (gradient == 0).all()


@each_common
def test_float32_is_float64_to_its_precision(case):
    scores, labels = inputs(case, dtype=np.float32)
    single, double = build(case)(scores, labels), build(case)(scores.astype(np.float64), labels)
    assert single[1].dtype == np.float32
    assert double[1].dtype == np.float64
    assert single[0] == pytest.approx(double[0], rel=1e-6)
    # A few roundings, of 6e-8, of the numbers that a slope is the difference of: several times the largest slope.
    scale = np.abs(double[1]).max()
    np.testing.assert_allclose(single[1], double[1], rtol=0, atol=2e-6 * scale)


@each_common
def test_inputs_are_not_modified(case):
    weights = [np.ones(int(np.prod(case.shape)) // case.shape[case.axis])] * case.loss.row_weights
    arrays = [*inputs(case), *weights]
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    build(case)(*arrays)
    for array, copy in zip(arrays, copies):
        np.testing.assert_array_equal(array, copy)


@each_loss
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float16, np.float32])
def test_labels_of_any_type(loss, dtype):
    case = Case(loss, {}, (6, 5), 1)
    scores, labels = inputs(case)
    expected, found = build(case)(scores, labels), build(case)(scores, labels.astype(dtype))
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


@each_loss
def test_an_empty_batch_is_0(loss):
    value, gradient = loss()(np.zeros((0, 5)), np.zeros((0, 5)))
    assert value == 0
    assert gradient.shape == (0, 5)


@pytest.mark.slow
def test_the_package_does_not_import_caffe():
    import subprocess
    import sys

    code = "import sys, caffe_losses, caffe_losses.gradcheck; assert 'caffe' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("loss", [losses.ZLPRLoss, losses.TwoWayLoss])
def test_soft_labels_are_refused_where_they_have_no_meaning(loss):
    for dtype in (np.float32, np.float64):
        for label in (0.5, 1.5, -1.0, np.nan):
            with pytest.raises(ValueError, match=rf"labels\[0, 1\] is {label} \(row 0, class 1\); give 0 or 1$"):
                loss()(np.zeros((2, 3), dtype), np.array([[0, label, 1], [1, 0, 0]], dtype))
            with pytest.raises(ValueError, match=rf"labels\[0, 1\] is {label} \(row 0, class 1\); give 0 or 1$"):
                loss()(np.zeros((2, 3), dtype), np.array([[0, label, 1], [1, 0.5, 7]], dtype))


def test_weights_are_refused_where_rows_have_none():
    with pytest.raises(
        ValueError, match=r"TwoWayLoss: weights \(2,\); expected none, as the loss is not a sum over rows"
    ):
        caffe_losses.two_way_loss(np.zeros((2, 3)), np.ones((2, 3)), [1, 1])


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan, np.inf])
def test_what_is_no_probability_is_refused(bad):
    p = np.full((2, 3), 0.5)
    p[1, 2] = bad
    for function in (caffe_losses.multi_label_logistic_loss, caffe_losses.binary_cross_entropy_loss):
        with pytest.raises(ValueError, match=r"scores\[1, 2\] is .* \(row 1, class 2\); give probabilities, or such"):
            function(p, np.ones((2, 3)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [n for n in losses.__all__ if n.startswith(("Sigmoid", "Asym"))])
def test_exponentials_that_overflow_change_nothing(name, dtype):
    """A score of 1000 makes its block be computed again: found by fuzzing to smooth labels twice, and to give NaN."""
    loss = getattr(losses, name)
    for options in [{"label_smoothing": 0.1}, {"normalization": "NONE"}] + [{"gamma_neg": 0}] * (name[0] == "A"):
        scores = np.array([[1000, -1, 0.5, -1000, 1e30]], dtype)
        labels = np.array([[0.5, 1, 0, 0.25, 0]])
        found = loss(**options)(scores, labels)
        expected = reference.reduce(name, scores, labels, **settings(loss(**options)))
        assert found[0] == pytest.approx(expected[0], rel=1e-6)
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-7)


@each_loss
def test_an_infinite_score_is_refused(loss):
    with pytest.raises(ValueError, match=r"scores\[0, 1\] is inf \(row 0, class 1\)"):
        loss()(np.array([[0, np.inf]]), [[1, 0]])


def test_the_largest_weights_and_labels_leave_the_gradient_finite():
    """Found by fuzzing: a loss of 0 with a weight of 1e38 and a gradient that overflowed."""
    limit = 1e6
    for name in losses.__all__:
        kind = getattr(losses, name)
        names = [option.name for option in kind.options]
        options = {o: limit for o in ("class_weight", "pos_weight") if o in names}
        options.update({"label_scale": "NONE", "soft_labels": True} if "label_scale" in names else {})
        for score in (-20.0, 0.0, 60.0) if kind.has_probabilities else (0.0, 1.0):
            scores = np.full((2, 3), score, np.float32)
            labels = np.full((2, 3), min(limit, kind.label_limit), np.float32)
            weights = np.full(2, limit) if kind.row_weights else None
            found = kind(normalization="NONE", **options)(scores, labels, weights)
            assert np.isfinite(found[1]).all()


LAYOUTS = [
    ({}, (2, 10, 3, 5), (2, 3, 5, 10), None, r"scores \(2, 10, 3, 5\) and labels \(2, 3, 5, 10\) differ"),
    ({}, (4, 6), (4, 3, 2), None, r"scores \(4, 6\) and labels \(4, 3, 2\) differ"),
    ({"label_format": "INDEX"}, (2, 10, 3, 5), (2, 3, 5, 4), None, r"INDEX labels \(2, 3, 5, 4\) do not fit"),
    ({}, (2, 10, 3, 5), (2, 10, 3, 5), (5, 3, 2), r"weights \(5, 3, 2\) for scores \(2, 10, 3, 5\)"),
    ({}, (2, 10, 3, 5), (2, 10, 3, 5), (2, 5, 3), r"weights \(2, 5, 3\) for scores \(2, 10, 3, 5\)"),
]


@each_loss_of_rows
@pytest.mark.parametrize("options, scores, labels, weights, text", LAYOUTS, ids=lambda x: str(x)[:30])
def test_arrays_of_another_layout_are_refused(loss, options, scores, labels, weights, text):
    with pytest.raises(ValueError, match=text):
        loss(**options)(np.full(scores, 0.5), np.zeros(labels), None if weights is None else np.ones(weights))


@each_loss_of_rows
def test_joined_axes_and_axes_of_length_1_are_the_same_layout(loss):
    random = np.random.RandomState(0)
    scores, labels, weights = random.rand(2, 4, 3, 5), random.rand(2, 4, 3, 5) < 0.3, random.rand(2, 3, 5)
    expected = loss()(scores, labels, weights)[0]
    for shapes in [((2, 60), (2, 15)), ((120,), (30,)), ((2, 4, 1, 3, 5), (2, 1, 3, 5))]:
        assert loss()(scores, labels.reshape(shapes[0]), weights.reshape(shapes[1]))[0] == expected


@each_loss
def test_dense_labels_as_indices_are_refused(loss):
    scores, labels = np.full((4, 5), 0.5), np.eye(5)[:4]
    with pytest.raises(ValueError, match=r"labels \(4, 5\) are a 0 or a 1 for each class; give label_format DENSE"):
        loss(label_format="INDEX")(scores, labels)
    loss(label_format="INDEX")(scores, np.where(labels == 1, 2, -1))


@each_loss
def test_a_label_that_passes_1_by_a_rounding_is_1(loss):
    scores, labels = np.full((2, 3), 0.4, np.float32), np.zeros((2, 3), np.float32)
    labels[:, 1] = np.float32(255) * np.float32(0.00392157)
    assert labels.max() > 1
    found, expected = loss()(scores, labels), loss()(scores, np.round(labels))
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6, atol=1e-7)
    if loss.label_limit == 1:
        assert found[0] == expected[0]
        with pytest.raises(ValueError, match=r"labels\[0, 1\] is 1\.001"):
            loss()(scores, labels * 1.001)


@each_loss
def test_backward_without_its_forward_is_refused(loss):
    scores, labels, out = np.full((2, 3), 0.5, np.float32), np.ones((2, 3), np.float32), np.empty((2, 3), np.float32)
    layer = loss()
    text = f"^{loss.name()}: backward has no forward that it belongs to; call forward first, of the same shapes$"
    with pytest.raises(ValueError, match=text):
        layer.backward(1.0, out)
    layer.reshape(scores.shape, labels.shape)
    with pytest.raises(ValueError, match=text):
        layer.backward(1.0, out)
    layer.forward(scores, labels)
    layer.backward(1.0, out)
    with pytest.raises(ValueError, match="nan"):
        layer.forward(scores, labels * np.nan)
    with pytest.raises(ValueError, match=text):
        layer.backward(1.0, out)
    layer.forward(scores, labels)
    layer.reshape((4, 3), (4, 3))
    with pytest.raises(ValueError, match=text):
        layer.backward(1.0, np.empty((4, 3), np.float32))


@each_common
def test_a_score_of_nan_is_refused_wherever_it_is(case):
    """Found by fuzzing, twice: the margin of AsymmetricLoss hid one, and its gradient was NaN."""
    scores, labels = inputs(case)
    places = np.argwhere(labels != case.options.get("ignore_label", 9))
    for place in map(tuple, places[:: max(1, len(places) // 5)]):
        with_nan = scores.copy()
        with_nan[place] = np.nan
        for dtype in (np.float32, np.float64):
            with pytest.raises(ValueError, match=r"scores\[[\d, ]+\] is nan"):
                build(case)(with_nan.astype(dtype), labels)


@each_loss
def test_no_option_is_called_self(loss):
    with pytest.raises(ValueError, match=r"got 'self'; remove it"):
        loss(**{"self": 1})
    with pytest.raises(TypeError, match=f"^{loss.name()}: expected options by name, got 1 without; give e.g. axis=1$"):
        loss(1)


@each_loss
def test_an_ignored_label_is_compared_in_the_type_of_the_labels(loss):
    """Found by fuzzing: 1e-48 is 0 in float32; and 0.1 of a prototxt is meant to be the 0.1 of a blob."""
    scores, labels = np.full((2, 3), 0.4, np.float32), np.array([[0.1, 1, 0], [0, 1, 1]], np.float32)
    hard = np.round(labels)
    kept = loss()(scores, hard)
    for never in (1e-48, 1e300):
        found = loss(ignore_label=never)(scores, hard)
        assert found[0] == kept[0]
        np.testing.assert_array_equal(found[1], kept[1])
    assert loss(ignore_label=0.1)(scores, labels)[1][0, 0] == 0
    labels = labels.astype(float)  # which has another 0.1
    if issubclass(loss, losses.LogSumExpLoss):
        with pytest.raises(ValueError, match="give 0 or 1"):
            loss(ignore_label=0.1)(scores.astype(float), labels)
    else:
        assert loss(ignore_label=0.1)(scores.astype(float), labels)[1][0, 1] != 0
