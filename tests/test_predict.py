import numpy as np
import pytest

from caffe_losses import predict_labels

SCORES = np.array([[0.9, 0.6, 0.1], [0.2, 0.3, 0.1], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize("options, expected", [
    ({"threshold": 0.5}, [[1, 1, 0], [0, 1, 0], [1, 1, 1]]),
    ({"threshold": 0.5, "at_least_one": False}, [[1, 1, 0], [0, 0, 0], [1, 1, 1]]),
    ({"threshold": [0.95, 0.3, 0.05]}, [[1, 1, 1], [0, 1, 1], [1, 1, 1]]),
    ({"threshold": [0.95, 0.3, 0.05], "at_least_one": False}, [[0, 1, 1], [0, 1, 1], [0, 1, 1]]),
    ({"top_k": 1}, [[1, 0, 0], [0, 1, 0], [1, 0, 0]]),
    ({"top_k": 2}, [[1, 1, 0], [1, 1, 0], [1, 1, 0]]),
    ({"top_k": 9}, [[1, 1, 1]] * 3),
    ({"top_k": 2, "threshold": 0.5}, [[1, 1, 0], [0, 1, 0], [1, 1, 0]]),
])  # fmt: skip
def test_rules(options, expected):
    labels = predict_labels(SCORES, **options)
    assert labels.dtype == bool
    np.testing.assert_array_equal(labels, expected)
    spatial = predict_labels(SCORES.T[None], axis=1, **options)
    np.testing.assert_array_equal(spatial[0].T, expected)


def test_order_is_all_that_counts_for_top_k():
    scores = np.random.RandomState(0).randn(20, 9)
    np.testing.assert_array_equal(predict_labels(scores, top_k=3), predict_labels(np.exp(scores), top_k=3))
    assert (predict_labels(scores, top_k=3).sum(1) == 3).all()


@pytest.mark.parametrize("options, text", [
    ({}, "expected a threshold or top_k, got neither"),
    ({"top_k": 0}, "expected a whole top_k >= 1, got 0"),
    ({"top_k": 1.5}, "expected a whole top_k >= 1, got 1.5"),
    ({"threshold": [1, 2]}, "expected one threshold or one for each of 3 classes"),
    ({"threshold": float("nan")}, "expected one threshold"),
    ({"threshold": "0.5"}, "^predict_labels: threshold: expected an array of numbers, got <U3"),
    ({"scores": np.ones((2, 3), complex), "top_k": 1}, "^predict_labels: scores: expected an array of numbers, got c"),
])  # fmt: skip
def test_refusals(options, text):
    with pytest.raises(ValueError, match=text):
        predict_labels(**dict({"scores": SCORES}, **options))


def test_nan_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"scores\[1, 2\] is nan"):
        predict_labels(np.where(np.arange(9).reshape(3, 3) == 5, np.nan, SCORES), top_k=1)
