"""The metrics of papers, against loops written from their definitions, and scikit-learn's names by hand."""

import numpy as np
import pytest
from test_metrics import data

from caffe_losses.evaluation import field
from caffe_losses.metrics import MultiLabelMetrics
from caffe_losses.ranking import average_precision

PAPERS = "CP", "CR", "CF1", "OP", "OR", "OF1"
NAMES = ["mAP", "mAP_voc2007", *PAPERS, *(f"{name}@3" for name in PAPERS), "subset_accuracy", "hamming_loss"]


def labelled(ignoring, ties=True):
    scores, labels = data(40, ties=ties)
    if ignoring:
        labels[np.random.RandomState(1).rand(*labels.shape) < 0.3] = -1
        labels[5] = -1
    return scores, labels


def added(scores, labels, **options):
    metrics = MultiLabelMetrics(metrics=NAMES, threshold=0.5, ignore_label=-1, **options)
    for start in range(0, len(scores), 16):
        metrics.add(scores[start : start + 16], labels[start : start + 16])
    return metrics


def best(row, label, k):
    """The k highest scores that are not ignored; among equals, the lower class."""
    return sorted((c for c in range(len(row)) if label[c] >= 0), key=lambda c: (-row[c], c))[:k]


def papers(labels, predicted):
    """From sets of predicted classes, one an image."""
    classes, means = range(labels.shape[1]), {}
    hits, all_predicted, true = [0] * len(classes), [0] * len(classes), [0] * len(classes)
    for label, chosen in zip(labels, predicted):
        for c in classes:
            hits[c] += c in chosen and label[c] == 1
            all_predicted[c] += c in chosen
            true[c] += label[c] == 1
    counted = [c for c in classes if true[c]]
    means["CP"] = sum(hits[c] / all_predicted[c] if all_predicted[c] else 0 for c in counted) / len(counted)
    means["CR"] = sum(hits[c] / true[c] for c in counted) / len(counted)
    means["OP"], means["OR"] = sum(hits) / sum(all_predicted), sum(hits) / sum(true)
    for kind in "CO":
        p, r = means[f"{kind}P"], means[f"{kind}R"]
        means[f"{kind}F1"] = 2 * p * r / (p + r)
    return means


@pytest.mark.parametrize("ignoring", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_papers_precision_and_recall(ignoring, ties):
    scores, labels = labelled(ignoring, ties)
    values = added(scores, labels).values()
    at_threshold = [{c for c in range(6) if label[c] >= 0 and row[c] >= 0.5} for row, label in zip(scores, labels)]
    at_3 = [set(best(row, label, 3)) for row, label in zip(scores, labels)]
    assert any(not chosen for chosen in at_threshold)  # no best label is added
    for suffix, predicted in (("", at_threshold), ("@3", at_3)):
        for name, value in papers(labels, predicted).items():
            assert values[name + suffix] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("ignoring", [False, True])
def test_subset_accuracy_and_hamming_loss(ignoring):
    scores, labels = labelled(ignoring)
    labels[2] = scores[2] >= 0.5
    labels[2, scores[2].argmax()] = 1
    right = wrong = images = total = 0
    for row, label in zip(scores, labels):
        kept = [c for c in range(6) if label[c] >= 0]
        if kept:
            misses = sum((row[c] >= 0.5 or c == best(row, label, 1)[0]) != (label[c] == 1) for c in kept)
            right, wrong, images, total = right + (misses == 0), wrong + misses, images + 1, total + len(kept)
    values = added(scores, labels).values()
    assert right
    assert values["subset_accuracy"] == pytest.approx(right / images, abs=1e-12)
    assert values["hamming_loss"] == pytest.approx(wrong / total, abs=1e-12)


def precisions(pairs):
    """(recall's numerator, precision) at each true image of a class, from (score, true)."""
    for score, true in pairs:
        if true:
            as_high = [other for s, other in pairs if s >= score]
            yield sum(as_high), sum(as_high) / len(as_high)


def mean_over_classes(scores, labels, average):
    values = []
    for c in range(labels.shape[1]):
        pairs = [(s, y == 1) for s, y in zip(scores[:, c], labels[:, c]) if y >= 0]
        if any(true for _, true in pairs):
            values.append(average(pairs))
    return sum(values) / len(values)


def eleven_points(pairs):
    points, total = list(precisions(pairs)), sum(true for _, true in pairs)
    return sum(max(p for hits, p in points if 10 * hits >= r * total) for r in range(11)) / 11


def mean_precision(pairs):
    points = [p for _, p in precisions(pairs)]
    return sum(points) / len(points)


@pytest.mark.parametrize("ignoring", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_of_voc2007(ignoring, ties):
    scores, labels = labelled(ignoring, ties)
    wanted = mean_over_classes(scores, labels, eleven_points)
    assert added(scores, labels).values()["mAP_voc2007"] == pytest.approx(wanted, abs=1e-12)


def test_the_interval_is_that_of_resampled_pictures():
    scores, labels = labelled(ignoring=True)
    metrics = added(scores, labels)
    kept = (labels >= 0).any(axis=1)
    scores, labels = scores[kept], labels[kept]
    random, means = np.random.RandomState(3), []
    for _ in range(120):  # more than a block
        drawn = random.randint(len(scores), size=len(scores))
        means.append(mean_over_classes(scores[drawn], labels[drawn], mean_precision))
    low, high = field.mean_average_precision_interval(metrics, draws=120, seed=3)
    value = metrics.value("mAP")
    lowest, highest = np.percentile(means, [2.5, 97.5])
    assert [low, high] == pytest.approx([2 * value - highest, 2 * value - lowest], abs=1e-12)
    assert low < value < high


def test_the_interval_has_the_map_of_very_many_images():
    """Classes with few positives: the mAP of a sample is too high there, and of a sample of a sample even more."""
    random, shift, prevalence = np.random.RandomState(0), 1.5, 0.03
    true = random.rand(1_000_000) < prevalence
    of_many = average_precision((random.randn(true.size) + shift * true).astype(np.float32), true)
    found = []
    for _ in range(20):
        labels = (random.rand(600, 20) < prevalence).astype(np.float32)
        low, high = field.mean_average_precision_interval(
            added((random.randn(600, 20) + shift * labels).astype(np.float32), labels), draws=100
        )
        found.append(low < of_many < high)
    assert sum(found) >= 15  # 0.89 of all; of the percentiles themselves 0.29


def test_the_interval_stays_in_0_to_1():
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2] * 4]
    assert field.mean_average_precision_interval(added(labels, labels)) == [1, 1]
    noisy = (labels + np.random.RandomState(0).randn(12, 3) * 0.5).astype(np.float32)
    low, high = field.mean_average_precision_interval(added(noisy, labels))
    assert 0 <= low < high <= 1


def area(pairs):
    true, others = [s for s, y in pairs if y], [s for s, y in pairs if not y]
    return sum((p > n) + (p == n) / 2 for p in true for n in others) / (len(true) * len(others))


@pytest.mark.parametrize("ignoring", [False, True])
def test_those_of_scikit_learn(ignoring):
    scores, labels = labelled(ignoring)
    metrics = added(scores, labels)
    everything, by_class = [], []
    for c in range(6):
        pairs = [(s, y == 1) for s, y in zip(scores[:, c], labels[:, c]) if y >= 0]
        everything += pairs
        if len({y for _, y in pairs}) == 2:
            by_class.append(area(pairs))
    ranking, covered = [], []
    for row, label in zip(scores, labels):
        pairs = [(s, y == 1) for s, y in zip(row, label) if y >= 0]
        if pairs:
            points = [p for _, p in precisions(pairs)]
            ranking.append(sum(points) / len(points) if points else 1)
            covered.append(max([sum(s >= cut for s, _ in pairs) for cut, y in pairs if y], default=0))
    assert len(by_class) < 6
    assert field.METRICS["macro_AUROC"](metrics) == pytest.approx(np.mean(by_class), abs=1e-12)
    assert field.METRICS["micro_AUROC"](metrics) == pytest.approx(area(everything), abs=1e-12)
    assert field.METRICS["LRAP"](metrics) == pytest.approx(np.mean(ranking), abs=1e-12)
    assert field.METRICS["coverage"](metrics) == pytest.approx(np.mean(covered), abs=1e-12)


@pytest.mark.parametrize("scale", [1, 1e30, np.finfo(np.float32).max / 2])
def test_an_ignored_label_does_not_tie_with_the_lowest_score(scale):
    metrics = added(scale * np.array([[2.0, -2, -2]]), np.array([[0, 1, -1]]))
    assert field.METRICS["LRAP"](metrics) == 1 / 2
    assert field.METRICS["coverage"](metrics) == 2


def test_areas_without_both_kinds_of_labels_are_refused():
    metrics = MultiLabelMetrics(metrics=["mAP"])
    metrics.add(np.zeros((2, 3)), np.ones((2, 3)))
    for name in ("macro_AUROC", "micro_AUROC"):
        with pytest.raises(ValueError, match=f"{name}: .*; give more images"):
            field.METRICS[name](metrics)
