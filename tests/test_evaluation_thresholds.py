"""Thresholds: as good as any, by trying all; their file; evaluate, predict and the layer with it."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score

from caffe_losses.evaluation import thresholds
from caffe_losses.metrics import MultiLabelMetrics
from caffe_losses.predict import predict_labels


def measured(scores, labels, **options):
    metrics = MultiLabelMetrics(metrics=["mAP"], **options)
    metrics.add(scores, labels)
    return metrics


def f1_of(objective, scores, labels, chosen, kept=None):
    cut = np.array([np.inf if t is None else t for t in chosen])
    given = predict_labels(scores, cut)
    there = labels.any(axis=0)
    if objective == "macro_f1":
        return f1_score(labels[:, there], given[:, there], average="macro", zero_division=0)
    if objective == "micro_f1":
        return f1_score(labels, given, average="micro", zero_division=0)
    rows = labels.any(axis=1)
    return f1_score(labels[rows], given[rows], average="samples", zero_division=0)


def best_of_all(objective, scores, labels):
    """The best of every combination of cuts."""
    columns = [[*np.unique(column), None] for column in scores.T]
    return max(f1_of(objective, scores, labels, chosen) for chosen in itertools.product(*columns))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("objective", thresholds.OBJECTIVES)
def test_as_good_as_any(objective, seed):
    random = np.random.RandomState(seed)
    labels = random.rand(9, 3) < 0.4
    labels[0] = True
    scores = (random.randn(9, 3) + labels).round(1).astype(np.float32)  # with ties
    found = f1_of(objective, scores, labels, thresholds.tune(measured(scores, labels), objective))
    best = best_of_all(objective, scores, labels)
    assert found <= best + 1e-12
    assert found >= best - (1e-12 if objective == "macro_f1" else 0.03)  # of one class at a time


@pytest.mark.parametrize("objective", thresholds.OBJECTIVES)
def test_no_worse_than_one_threshold_for_all(objective):
    random = np.random.RandomState(0)
    labels = random.rand(300, 12) < np.linspace(0.05, 0.5, 12)
    scores = (random.randn(300, 12) + 1.5 * labels - np.linspace(2, 0, 12)).astype(np.float32)
    found = f1_of(objective, scores, labels, thresholds.tune(measured(scores, labels), objective))
    single = max(f1_of(objective, scores, labels, [t] * 12) for t in np.linspace(-3, 3, 61))
    assert found > single


def test_ignored_labels_and_classes_without_images():
    scores = np.array([[0.1, 2, 0], [0.9, 2, 0], [0.5, 0, 3]], np.float32)
    labels = np.array([[0, 1, 0], [1, 1, 0], [-1, 0, 0]])
    found = thresholds.tune(measured(scores, labels, ignore_label=-1), "macro_f1")
    assert found[0] == pytest.approx(0.5)  # between 0.1 and 0.9: the ignored one does not count
    assert found[2] is None


def test_probabilities_of_scores():
    assert thresholds.probability_of(0, "Sigmoid") == 0.5
    assert thresholds.probability_of(np.log(0.3), "Softmax") == pytest.approx(0.3)
    assert 0 < thresholds.probability_of(-800, "Softmax") < thresholds.probability_of(100, "Sigmoid") < 1
    assert thresholds.probability_of(7, None) == 7


def test_a_file_is_read_as_it_is_written(tmp_path):
    path = str(tmp_path / "thresholds.json")
    names, values = ["dog", 'a "b"', "ß"], [0.25, 1e-7, 0.999999999]
    with open(path, "w", encoding="utf-8") as file:
        file.write(thresholds.text(values, names))
    assert thresholds.read(path, names) == values
    assert thresholds.read(path, names[::-1]) == values[::-1]
    assert MultiLabelMetrics(metrics=["micro_f1"], threshold=path).threshold == values


def test_thresholds_are_in_the_order_of_the_classes(tmp_path):
    (tmp_path / "t.json").write_text('{"sunset": 0, "sea": 0.35, "été": 1}', encoding="utf-8")
    assert thresholds.read(str(tmp_path / "t.json"), ["sea", "été", "sunset"]) == [0.35, 1, 0]


@pytest.mark.parametrize("text, reason", [
    ("sea 0.35", r't.json is no file of thresholds; expected JSON such as {"sea": 0.35, "dog": 0.5}'),
    ('{"sea": 0.35, "dog": 0.5, "sea": 0.5}', "t.json: expected a probability for sea (twice), got null"),
    ("[0.35, 0.5]", "t.json is no file of thresholds"),
    ('{"sea": 0.35}', "t.json has none for ['dog']; give one threshold for each of the 2 classes"),
    ('{"sea": 0.35, "dog": 0.5, "cat": 0.5}', "t.json names ['cat'], which are no classes"),
    ('{"sea": 0.35, "dog": 1.5}', "t.json: expected a probability for dog, got 1.5"),
    ('{"sea": 0.35, "dog": NaN}', "t.json: expected a probability for dog, got NaN"),
    ('{"sea": 0.35, "dog": true}', "t.json: expected a probability for dog, got true"),
    ('{"sea": 0.35, "dog": "0.5"}', 't.json: expected a probability for dog, got "0.5"'),
])  # fmt: skip
def test_what_is_refused(tmp_path, monkeypatch, text, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ValueError) as refusal:
        thresholds.read("t.json", ["sea", "dog"])
    assert str(refusal.value).startswith(reason)
