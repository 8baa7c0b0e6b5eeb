"""Metrics against scikit-learn on the whole set, and the layer in real Caffe, whose printed means are exact."""

import re
import warnings

import caffe
import h5py
import mpmath
import numpy as np
import pytest
from nets import caffe_program, fill, input_layer, loss_layer, loss_net, net
from sklearn.metrics import average_precision_score, f1_score, label_ranking_loss

from caffe_losses import predict_labels
from caffe_losses.losses import SigmoidCrossEntropyLoss
from caffe_losses.metrics import MultiLabelMetrics
from caffe_losses.ranking import log_softmax, top_classes

NAMES = ["mAP", "hit@1", "hit@3", "precision@1", "precision@4", "ranking_loss", "micro_f1", "macro_f1"]
RULES = [{"threshold": 0.5}, {"threshold": 0.5, "at_least_one": False}, {"top_k": 2}, {"top_k": 3, "threshold": 1}]


def data(images=70, classes=6, ties=True, seed=0):
    """Scores with ties and labels; an image and a class without any label, one of each with all."""
    random = np.random.RandomState(seed)
    scores = random.randn(images, classes)
    scores = np.round(scores * 2) / 2 if ties else scores
    labels = (random.rand(images, classes) < 0.3).astype(np.float32)
    labels[0], labels[1] = 0, 1
    labels[:, 0], labels[2:, 1] = 0, 1
    return scores.astype(np.float32), labels


def indices(labels, slots=6):
    rows = np.full((len(labels), slots), -1, np.float32)
    for row, label in zip(rows, labels):
        classes = np.flatnonzero(label == 1)
        row[: len(classes)] = classes
    return rows


def measured(scores, labels, batch=16, **options):
    metrics = MultiLabelMetrics(metrics=NAMES, **options)
    for start in range(0, len(scores), batch):
        metrics.add(scores[start : start + batch], labels[start : start + batch])
    return metrics.values()


def expected(scores, labels, **rule):
    """scikit-learn's figures; of labels -1, which it does not know, none are left to it."""
    taking = labels >= 0
    true = labels == 1
    predicted = predict_labels(np.where(taking, scores, -np.inf), **rule) & taking
    with_positives = [c for c in range(labels.shape[1]) if true[:, c].any()]
    order = np.argsort(-np.where(taking, scores, -np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(true, order, axis=1)
    rows = [(t[p], s[p]) for t, s, p in zip(true, scores, taking)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of images with a single label to rank
        by_class = [average_precision_score(true[taking[:, c], c], scores[taking[:, c], c]) for c in with_positives]
        ranking = [label_ranking_loss([t], [s]) if len(t) > 1 else 0 for t, s in rows if len(t)]
    kept = taking.any(axis=1)
    return {
        "mAP": np.mean(by_class),
        "hit@1": ranked[kept, 0].mean(),
        "hit@3": ranked[kept, :3].any(axis=1).mean(),
        "precision@1": ranked[kept, :1].mean(),
        "precision@4": ranked[kept, :4].mean(),
        "ranking_loss": np.mean(ranking),
        "micro_f1": f1_score(true[taking], predicted[taking], zero_division=0),
        "macro_f1": np.mean(
            [f1_score(true[taking[:, c], c], predicted[taking[:, c], c], zero_division=0) for c in with_positives]
        ),
    }


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_is_scikit_learns(rule, ties):
    scores, labels = data(ties=ties)
    assert measured(scores, labels, **rule) == pytest.approx(expected(scores, labels, **rule), abs=1e-12)
    predicted = predict_labels(scores, **rule)
    values = measured(scores, labels, **rule)
    kept = labels.any(axis=0)
    macro_f1 = f1_score(labels[:, kept], predicted[:, kept], average="macro", zero_division=0)
    assert values["macro_f1"] == pytest.approx(macro_f1, abs=1e-12)
    assert values["micro_f1"] == pytest.approx(f1_score(labels, predicted, average="micro", zero_division=0), abs=1e-12)
    assert values["ranking_loss"] == pytest.approx(label_ranking_loss(labels, scores), abs=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_what_is_ignored_takes_no_part(rule):
    scores, labels = data()
    labels[np.random.RandomState(1).rand(*labels.shape) < 0.3] = -1
    labels[5] = -1
    values = measured(scores, labels, ignore_label=-1, **rule)
    assert values == pytest.approx(expected(scores, labels, **rule), abs=1e-12)
    others = np.arange(len(labels)) != 5
    assert values == measured(scores[others], labels[others], ignore_label=-1, **rule)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_indices_are_dense_labels(rule):
    scores, labels = data()
    assert measured(scores, indices(labels), label_format="INDEX", **rule) == measured(scores, labels, **rule)
    index = indices(labels)
    index[labels.sum(axis=1) <= 3, 5] = 9  # is skipped; an image with nothing else is left out
    index[4], labels[4] = [9, -1, 9, -1, -1, 9], -1
    labels[0] = -1
    values = measured(scores, index, label_format="INDEX", ignore_label=9, **rule)
    assert values == measured(scores, labels, ignore_label=-1, **rule)


def test_each_position_of_spatial_scores_is_an_image():
    scores, labels = data(72)
    spatial = [a.reshape(6, 3, 4, 6).transpose(0, 3, 1, 2) for a in (scores, labels)]
    assert measured(*spatial, batch=2, top_k=2) == pytest.approx(measured(scores, labels, top_k=2), abs=1e-12)
    index = indices(labels).reshape(6, 3, 4, 6).transpose(0, 3, 1, 2)
    values = measured(spatial[0], index, batch=6, label_format="INDEX", top_k=2)
    assert values == pytest.approx(measured(scores, labels, top_k=2), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_top_classes_are_those_of_predict_labels(k):
    scores = np.random.RandomState(0).randint(0, 4, (200, 9)).astype(np.float32)
    best = top_classes(scores, k)
    np.testing.assert_array_equal(best, np.argsort(-scores, axis=1, kind="stable")[:, :k])
    positive = np.zeros(scores.shape, bool)
    positive[np.arange(200)[:, None], best] = True
    np.testing.assert_array_equal(positive, predict_labels(scores, top_k=k))


def test_the_whole_is_not_the_mean_of_the_batches_and_no_input_is_kept_or_changed():
    scores, labels = data(40)
    metrics = MultiLabelMetrics(metrics=["mAP"])
    parts = []
    for start in (0, 20):
        batch, truth = scores[start : start + 20].copy(), labels[start : start + 20].copy()
        metrics.add(batch, truth)
        np.testing.assert_array_equal(batch, scores[start : start + 20])
        parts.append(measured(batch, truth, top_k=1)["mAP"])
        batch[...] = truth[...] = 0
    whole = metrics.values()["mAP"]
    assert whole == expected(scores, labels, top_k=1)["mAP"]
    assert abs(whole - np.mean(parts)) > 1e-3


REFUSED = [
    ({"metrics": ["map"]}, (2, 3), (2, 3), r"metrics must be a list, each once, of mAP, hit@k"),
    ({"metrics": ["hit@0"]}, (2, 3), (2, 3), "metrics must be"),
    ({"metrics": "mAP"}, (2, 3), (2, 3), "metrics must be"),
    ({"metrics": ["mAP", "mAP"]}, (2, 3), (2, 3), "metrics must be"),
    ({"metrics": [3]}, (2, 3), (2, 3), "metrics must be"),
    ({"metric": ["mAP"]}, (2, 3), (2, 3), "did you mean metrics"),
    ({"top_k": 0}, (2, 3), (2, 3), "top_k must be a whole number >= 1"),
    ({"threshold": "0.5"}, (2, 3), (2, 3), "threshold must be a number, or a list"),
    ({"at_least_one": 1}, (2, 3), (2, 3), "at_least_one must be true or false"),
    ({"metrics": ["macro_f1"]}, (2, 3), (2, 3), "macro_f1 needs a threshold or top_k"),
    ({"metrics": ["macro_f1"], "threshold": [1, 2]}, (2, 3), (2, 3), "one threshold or one for each of 3 classes"),
    ({"metrics": ["hit@4"]}, (2, 3), (2, 3), "hit@4 of 3 classes; give a k of at most 3"),
    ({}, (2,), (2,), r"scores \(2,\); give N x C"),
    ({}, (2, 0), (2, 0), r"scores \(2, 0\); give N x C"),
    ({}, (2, 3), (2, 4), "do not fit; give one value per class"),
    ({}, (2, 3), (3, 2), "do not fit; give one value per class"),
    ({}, (2, 3, 4), (2, 4, 3), "do not fit; give one value per class"),
    ({"label_format": "INDEX"}, (2, 3), (3, 2), "do not fit; give K class indices"),
    ({}, (2, 3), (2, 3), "mAP of 2 images without a single label"),
    ({"metrics": ["macro_f1"], "top_k": 1}, (2, 3), (2, 3), "macro_f1 of 2 images without a single label"),
    ({"ignore_label": 0}, (2, 3), (2, 3), "no image to measure"),
    (
        {"softmax": True, "threshold": 0},
        (2, 3),
        (2, 3),
        r"threshold is 0.0; with softmax, give a probability in \(0, 1\]",
    ),
    ({"softmax": True, "threshold": [0.5, 1, 2]}, (2, 3), (2, 3), "give a probability in"),
    ({"softmax": "yes"}, (2, 3), (2, 3), "softmax must be true or false"),
]


@pytest.mark.parametrize("options, scores, labels, text", REFUSED)
def test_refusals_are_one_line(options, scores, labels, text):
    with pytest.raises(ValueError, match=text) as refusal:
        metrics = MultiLabelMetrics(**options)
        metrics.add(np.zeros(scores), np.zeros(labels))
        metrics.values()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name, value, options, text", [
    ("scores", np.nan, {}, r"scores\[1, 2\] is nan; give finite numbers"),
    ("scores", 1e300, {}, r"scores\[1, 2\] is 1e\+300; give finite numbers"),
    ("labels", 2, {}, r"labels\[1, 2\] is 2.0; give 0 or 1"),
    ("labels", -1, {}, r"labels\[1, 2\] is -1.0; give 0 or 1"),
    ("labels", np.nan, {}, r"labels\[1, 2\] is nan; give 0 or 1"),
    ("labels", 3, {"label_format": "INDEX"}, r"labels\[1, 2\] is 3.0; give whole numbers in \[0, 3\), or -1 to pad"),
    ("labels", 0.5, {"label_format": "INDEX"}, r"labels\[1, 2\] is 0.5; give whole numbers"),
])  # fmt: skip
def test_wrong_values_are_named_with_their_place(name, value, options, text):
    arrays = {"scores": np.zeros((2, 3)), "labels": np.zeros((2, 3))}
    arrays[name][1, 2] = value
    with pytest.raises(ValueError, match=f"^MultiLabelMetrics: {text}"):
        MultiLabelMetrics(**options).add(**arrays)


@pytest.mark.parametrize("array, text", [
    (np.ones((2, 3), complex), r"complex128 \(2, 3\); give real numbers"),
    ([["1", "0", "1"], ["1", "0", "1"]], r"<U1 \(2, 3\); give real numbers"),
    (np.ma.array(np.ones((2, 3)), mask=True), "a masked one; give "),
    ([[1, 0, 1], [1, 0]], "(.* give rows of one length|object)"),
])  # fmt: skip
def test_arrays_of_what_are_no_numbers_are_refused(array, text):
    for name in ("scores", "labels"):
        arrays = dict({"scores": np.zeros((2, 3)), "labels": np.zeros((2, 3))}, **{name: array})
        with pytest.raises(ValueError, match=f"^MultiLabelMetrics: {name}: expected an array of numbers, got {text}"):
            MultiLabelMetrics().add(**arrays)


@pytest.mark.parametrize("labels, text", [
    ([[1, 0, 1], [0, 0, 1]], r"labels \(2, 3\) are a 0 or a 1 for each class; give label_format DENSE"),
    ([[2, 0, 2], [1, -1, -1]], r"labels\[0, 0\] is 2; give each class of an image once, or say softmax"),
    ([[2, 9, 9, 1], [2, -1, 9, 2]], r"labels\[1, 0\] is 2; give each class of an image once"),
])  # fmt: skip
def test_indices_that_the_losses_refuse_are_refused(labels, text):
    options = {"label_format": "INDEX", "ignore_label": 9}
    with pytest.raises(ValueError, match=text):
        MultiLabelMetrics(**options).add(np.zeros((2, 3)), np.array(labels))
    with pytest.raises(ValueError):
        SigmoidCrossEntropyLoss(**options)(np.zeros((2, 3)), np.array(labels))


def test_indices_in_another_layout_are_refused():
    for labels in (np.zeros((2, 4, 5, 2)), np.zeros((2, 4, 10))):
        with pytest.raises(ValueError, match=r"INDEX labels \(2, 4, .* do not fit"):
            MultiLabelMetrics(label_format="INDEX").add(np.zeros((2, 3, 4, 5)), labels)


def test_a_softmax_takes_repeated_indices_as_one_label():
    scores, options = np.random.RandomState(0).randn(2, 6), {"label_format": "INDEX", "softmax": True, "top_k": 1}
    assert measured(scores, np.array([[2, 0, 2], [1, -1, -1]]), **options) == measured(
        scores, np.array([[2, 0, -1], [1, -1, -1]]), **options
    )


def test_a_batch_of_other_classes_is_refused():
    metrics = MultiLabelMetrics()
    metrics.add(np.zeros((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="scores of 4 classes after a batch of 3"):
        metrics.add(np.zeros((2, 4)), np.ones((2, 4)))


@pytest.mark.parametrize("threshold", [0.2, [0.1, 0.2, 0.3, 0.1, 0.2, 0.3]])
def test_of_a_softmax_it_measures_probabilities(threshold):
    scores, labels = data()
    probabilities = np.exp(scores.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    values = measured(scores, labels, threshold=threshold, softmax=True)
    assert values == pytest.approx(measured(probabilities, labels, threshold=threshold), abs=1e-6)
    spatial = [a[:60].reshape(5, 3, 4, 6).transpose(0, 3, 1, 2) for a in (scores, labels)]
    expected = measured(scores[:60], labels[:60], threshold=threshold, softmax=True)
    assert measured(*spatial, threshold=threshold, softmax=True) == pytest.approx(expected, abs=1e-12)


def test_log_probabilities_are_as_exact_as_the_scores():
    """With mpmath's 60 digits: to float32's rounding near 1, near 0 and at the ends of float32."""
    rows = [[0, 40, 0], [0, 60, -3], [1e4, -1e4, 3], [3e38, -3e38, 0], [7, 7, 7], [0.5, 0.25, -0.125]]
    found = log_softmax(np.array(rows, np.float32))
    with mpmath.workdps(60):
        for row, values in zip(np.array(rows, np.float32), found):
            total = mpmath.log(mpmath.fsum(mpmath.exp(mpmath.mpf(float(s)) - mpmath.mpf(float(max(row)))) for s in row))
            for s, value in zip(row, values):
                exact = float(mpmath.mpf(float(s)) - mpmath.mpf(float(max(row))) - total)
                assert float(value) == pytest.approx(max(exact, float(np.finfo(np.float32).min)), rel=1.2e-7)


def test_an_empty_batch_adds_nothing():
    scores, labels = data(20)
    metrics = MultiLabelMetrics(metrics=NAMES, top_k=1)
    metrics.add(scores, labels)
    before = metrics.values()
    metrics.add(scores[:0], labels[:0])
    assert metrics.values() == before


# The layer


def metrics_layer(names, **param):
    return loss_layer(
        "MultiLabelMetrics", ["scores", "labels"], [name.replace("@", "_at_") for name in names],
        loss_weight=None, param=dict(metrics=names, **param), name="metrics",
    )  # fmt: skip


def metrics_net(batch, names=NAMES, classes=6, phase=caffe.TEST, slots=None, **param):
    inputs = input_layer("scores", (batch, classes)) + input_layer("labels", (batch, slots or classes))
    return net(inputs + metrics_layer(names, **param), phase)


def passes(loaded, scores, labels, batch, test_iter, count):
    """The mean of each top over the batches of each pass, the data wrapping round."""
    position, means = 0, []
    for _ in range(count):
        total = 0
        for k in range(test_iter):
            rows = np.arange(position, position + batch) % len(scores)
            fill(loaded, scores=scores[rows], labels=labels[rows])
            tops = loaded.forward()
            values = np.array([tops[name.replace("@", "_at_")] for name in NAMES])
            assert values.shape == (len(NAMES),)
            assert k == test_iter - 1 or not values.any()
            total = total + values
            position += batch
        means.append(dict(zip(NAMES, total / test_iter)))
    return means


@pytest.mark.parametrize("batch, test_iter, images", [(10, 7, None), (16, 5, 70), (69, 2, 70), (70, 1, None)])
def test_mean_over_each_pass_is_that_of_the_whole_set(batch, test_iter, images):
    scores, labels = data(70)
    loaded = metrics_net(batch, test_iter=test_iter, images=images, threshold=0.5)
    for values in passes(loaded, scores, labels, batch, test_iter, 3):
        assert values == pytest.approx(expected(scores, labels, threshold=0.5), abs=1e-6)


def test_a_pass_that_was_cut_short_is_said_at_the_next_one():
    scores, labels = data(70)
    loaded = metrics_net(10, test_iter=7, threshold=0.5)
    whole = passes(loaded, scores, labels, 10, 7, 1)
    training = loss_net("MultiLabelSoftmaxLoss", np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32))
    fill(loaded, scores=scores[:10], labels=labels[:10])
    loaded.forward()
    training.forward()
    text = "the last test pass ended after 1 of 7 batches, and its metrics were not measured; this one begins anew"
    with pytest.warns(RuntimeWarning, match=text):
        assert passes(loaded, scores, labels, 10, 7, 1) == whole
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training.forward()
        assert passes(loaded, scores, labels, 10, 7, 1) == whole


def test_layer_takes_indices_and_ignored_labels():
    scores, labels = data(20)
    loaded = metrics_net(10, slots=6, test_iter=2, label_format="INDEX", ignore_label=9, top_k=2)
    index = indices(labels)
    index[3] = 9
    labels[3] = -1
    (values,) = passes(loaded, scores, index, 10, 2, 1)
    assert values == pytest.approx(expected(scores, labels, top_k=2), abs=1e-6)


def test_metrics_have_no_gradient():
    scores, labels = data(8)
    text = input_layer("scores", (8, 6)) + input_layer("labels", (8, 6)) + metrics_layer(["mAP"], test_iter=1)
    text += loss_layer("MultiLabelSoftmaxLoss", ["scores", "labels"])
    both, alone = net(text, caffe.TEST), metrics_net(8, ["mAP"], test_iter=1)
    for loaded in (both, alone):
        fill(loaded, scores=scores, labels=labels)
        loaded.blobs["scores"].diff[...] = 7
        loaded.forward()
        loaded.backward()
    assert both.blobs["scores"].diff.any()
    assert not alone.blobs["scores"].diff.any()


@pytest.mark.parametrize("options, text", [
    ({}, "test_iter is required, got none; give a whole number >= 1. Batches of a test pass. Give the test_iter"),
    ({"test_iter": 0}, "test_iter must be a whole number >= 1"),
    ({"test_iter": 2, "phase": caffe.TRAIN}, "in the TRAIN phase.* add include { phase: TEST }"),
    ({"test_iter": 6, "images": 50}, "test_iter 6 of batches of 10 for 50 images; give test_iter 5"),
    ({"test_iter": 5, "images": 51}, "test_iter 5 of batches of 10 for 51 images; give test_iter 6"),
    ({"test_iters": 2}, "did you mean test_iter"),
])  # fmt: skip
def test_layer_refuses(options, text):
    with pytest.raises(ValueError, match=f"^MultiLabelMetrics: [^\n]*{text}[^\n]*$"):
        metrics_net(10, names=["mAP"], **options)


def test_layer_wants_a_top_for_each_metric():
    inputs = input_layer("scores", (4, 6)) + input_layer("labels", (4, 6))
    text = inputs + loss_layer(
        "MultiLabelMetrics", ["scores", "labels"], ["mAP"], None, {"metrics": ["mAP", "hit@1"], "test_iter": 1}
    )
    with pytest.raises(ValueError, match="1 tops; give one for each of mAP, hit@1"):
        net(text, caffe.TEST)


# In the caffe program


def write_hdf5(folder, name, scores, labels):
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["data"], file["labels"] = scores, labels
    (folder / f"{name}.txt").write_text(f"{folder / name}.h5\n")


def write_net(folder, batch, **param):
    """A net whose TEST scores are its data, as the weights are fixed to one each."""
    data_layers = "".join(
        f'layer {{ name: "data" type: "HDF5Data" top: "data" top: "labels" include {{ phase: {phase.upper()} }} '
        f'hdf5_data_param {{ source: "{phase}.txt" batch_size: {batch} }} }}\n'
        for phase in ("train", "test")
    )
    scale = (
        'layer { name: "scores" type: "Scale" bottom: "data" top: "scores" param { lr_mult: 0 } '
        'scale_param { filler { type: "constant" value: 1 } } }\n'
    )
    layer = metrics_layer(NAMES, **param).replace("python_param", "include { phase: TEST } python_param")
    loss = loss_layer("SigmoidCrossEntropyLoss", ["scores", "labels"])
    (folder / "net.prototxt").write_text(data_layers + scale + layer + loss)


def train(folder, test_iter, solver_test_iter=None, flags=("--solver=solver.prototxt",), batch=10, **param):
    """The program's log of two test passes over 70 images, and what they are."""
    scores, labels = data(70)
    for name in ("train", "test"):
        write_hdf5(folder, name, scores, labels)
    write_net(folder, batch, test_iter=test_iter, threshold=0.5, **param)
    (folder / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0 lr_policy: "fixed" max_iter: 2 test_interval: 2 '
        f"test_iter: {solver_test_iter or test_iter} snapshot_after_train: false"
    )
    return caffe_program("train", *flags, cwd=folder, check=solver_test_iter is None), scores, labels


@pytest.mark.slow
@pytest.mark.parametrize("batch, test_iter, images", [(10, 7, None), (16, 5, 70)])
def test_caffe_train_prints_the_metrics_of_the_whole_set_in_each_pass(batch, test_iter, images, tmp_path):
    done, scores, labels = train(tmp_path, test_iter, batch=batch, images=images)
    wanted = expected(scores, labels, threshold=0.5)
    for name in NAMES:
        printed = re.findall(rf"Test net output #\d+: {name.replace('@', '_at_')} = (\S+)", done.stdout)
        assert [float(value) for value in printed] == pytest.approx([wanted[name]] * 2, rel=1e-5)  # 6 digits


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--solver=solver.prototxt"], ["-solver", "solver.prototxt"]], ids=len)
def test_a_test_iter_that_is_not_the_solvers_is_refused(flags, tmp_path):
    done, *_ = train(tmp_path, 7, 8, flags)
    assert done.returncode == 1
    text = "MultiLabelMetrics: test_iter is 7, and solver.prototxt has 8; give both the same number"
    assert text in done.stdout
    assert "Iteration 0" not in done.stdout


@pytest.mark.slow
def test_iterations_of_caffe_test_have_to_be_test_iter(tmp_path):
    train(tmp_path, 7)
    weights = ["--model", "net.prototxt", "--weights", "none.caffemodel"]
    done = caffe_program("test", *weights, "--iterations", "6", cwd=tmp_path, check=False)
    assert "test_iter is 7, and caffe test --iterations has 6; give both the same number" in done.stdout
