"""Precision and recall at their thresholds, and the pictures of an evaluation."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score

from caffe_losses.evaluation.curves import classes_to_draw, draw, precision_recall, steps
from caffe_losses.metrics import MultiLabelMetrics


def test_precision_recall_is_scikit_learns_at_its_thresholds():
    random = np.random.RandomState(0)
    scores, labels = np.round(random.randn(300), 1).astype(np.float32), random.randint(-1, 2, 300).astype(np.int8)
    recall, precision = precision_recall([(scores[:200], labels[:200]), (scores[200:], labels[200:])], 40)
    assert len(recall) > 10
    cuts = np.unique(np.sort(scores[labels == 1])[np.linspace(0, (labels == 1).sum() - 1, 40).astype(int)])
    for r, p, cut in zip(recall, precision, cuts):
        is_given, true = scores[labels >= 0] >= cut, labels[labels >= 0] == 1
        assert (r, p) == pytest.approx((recall_score(true, is_given), precision_score(true, is_given)))


@pytest.mark.parametrize("positives", [1, 2, 7, 60])
def test_the_area_below_the_steps_is_average_precision(positives):
    random = np.random.RandomState(1)
    scores, labels = random.randn(80), np.arange(80) < positives
    recall, precision = steps(*precision_recall([(scores, labels.astype(np.int8))]))
    area = ((recall[:-1] - recall[1:]) * precision[:-1]).sum()
    assert area == pytest.approx(average_precision_score(labels, scores))
    assert (recall[0], recall[-1]) == (1, 0)


def test_curves_are_of_classes_from_frequent_to_rare():
    assert classes_to_draw(np.array([5, 0, 9, 1]), 3).tolist() == [2, 0, 3]
    frequencies = np.arange(100)
    assert classes_to_draw(frequencies, 3).tolist() == [99, 50, 1]


def test_picture_of_a_thousand_classes(tmp_path):
    random = np.random.RandomState(0)
    metrics = MultiLabelMetrics(metrics=["mAP"])
    metrics.add(random.randn(500, 1000), random.rand(500, 1000) < 0.5 / np.arange(1, 1001))
    draw(str(tmp_path / "out.png"), metrics, list(map(str, range(1000))), "title")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
