"""Scores that are not finite: an error in TRAIN, and nan that is said once in TEST."""

import re
import warnings

import caffe
import deep_nets
import h5py
import numpy as np
import pytest
from nets import caffe_program, fill, input_layer, loss_layer, loss_net, net
from registry import LOSSES
from rewiring import command

from caffe_losses.layers import clock, untrained
from caffe_losses.losses.checks import NotFiniteError

LABELS = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]], np.float32)
METRICS = "mAP", "hit@1", "micro_f1"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(untrained, "said", set())
    monkeypatch.setattr(clock, "iterations", 0)


def scores(bad=0.25):
    array = np.full(LABELS.shape, 0.5, np.float32)
    array[1, 2] = bad
    return array


def said(function):
    """What is said while a function runs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_test_hands_on_what_train_refuses(arithmetic, loss, bad):
    tops = ["loss"] + ["probabilities"] * loss.has_probabilities + ["losses"] * loss.row_weights
    in_test = loss_net(loss.__name__, scores(bad), LABELS, tops=tops, phase=caffe.TEST)
    (text,) = said(lambda: [in_test.forward() for _ in range(2)])
    where = rf"scores\[1, 2\] is {bad} \(row 1, class 2\)"
    assert re.match(rf"in TEST, {loss.__name__}: .*{where}; handed on as nan\. ", text)
    assert "as the statistics of BatchNorm are 0 until then" in text
    for top in tops:
        assert np.isnan(in_test.blobs[top].data).all()
    fill(in_test, scores=scores())
    assert all(np.isfinite(values).all() for values in in_test.forward().values())
    in_train = loss_net(loss.__name__, scores(bad), LABELS, tops=tops)
    with pytest.raises(NotFiniteError, match=where):
        in_train.forward()


def test_scores_whose_loss_is_too_large_are_handed_on(arithmetic):
    for phase, expected in ((caffe.TEST, np.nan), (caffe.TRAIN, NotFiniteError)):
        loaded = loss_net("SigmoidCrossEntropyLoss", np.full((4, 4), 3e38), np.zeros((4, 4)), phase=phase)
        if phase == caffe.TEST:
            assert len(said(loaded.forward)) == 1
            assert np.isnan(loaded.blobs["loss"].data)
        else:
            with pytest.raises(expected, match="the loss is not finite in float32"):
                loaded.forward()


@pytest.mark.parametrize("given, text", [
    ({"labels": LABELS - 2}, r"labels\[0, 0\] is -2"), ({"labels": LABELS * np.nan}, r"labels\[0, 0\] is nan"),
    ({"weights": np.full(3, -1.0)}, r"weights\[0\] is -1"),
])  # fmt: skip
def test_what_is_wrong_besides_stays_an_error_in_test(arithmetic, given, text):
    given = {"labels": LABELS, **given}
    loaded = loss_net("MultiLabelSoftmaxLoss", scores(np.nan), phase=caffe.TEST, **given)
    with pytest.raises(ValueError, match=text):
        loaded.forward()


def test_probabilities_beyond_1_stay_an_error_in_test(arithmetic):
    for bad in (1.5, -3):
        loaded = loss_net("BinaryCrossEntropyLoss", scores(bad), LABELS, phase=caffe.TEST)
        with pytest.raises(ValueError, match="give probabilities"):
            loaded.forward()


def test_it_is_said_once_before_the_first_iteration_and_once_after_it():
    losses = [loss_net(name, scores(np.nan), LABELS, phase=caffe.TEST) for name in ("HillLoss", "ZLPRLoss")]
    assert len(said(lambda: [loaded.forward() for loaded in losses])) == 1
    loss_net("ZLPRLoss", scores(), LABELS).forward()
    (text,) = said(lambda: [loaded.forward() for loaded in losses])
    assert "If it was this net, this is a fault: lower base_lr" in text


# Metrics


def metrics_net():
    inputs = input_layer("scores", LABELS.shape) + input_layer("labels", LABELS.shape)
    param = {"metrics": METRICS, "test_iter": 3, "threshold": 0.4}
    tops = [name.replace("@", "_") for name in METRICS]
    return net(inputs + loss_layer("MultiLabelMetrics", ["scores", "labels"], tops, None, param), caffe.TEST)


@pytest.mark.parametrize("batch", range(3))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_metrics_of_a_pass_with_a_score_that_is_not_finite_are_nan(batch, bad):
    loaded = metrics_net()
    for passes, expected in (("of nan", True), ("after it", False)):
        for k in range(3):
            fill(loaded, scores=scores(bad if k == batch and expected else 0.25), labels=LABELS)
            told = said(loaded.forward)
            values = np.array([loaded.blobs[name].data for name in loaded.outputs])
            assert bool(told) == (k == batch and expected), passes
            assert (np.isnan(values).all() if expected else (values > 0).all()) if k == 2 else not values.any()


def test_metrics_refuse_wrong_labels_of_scores_that_are_not_finite():
    loaded = metrics_net()
    fill(loaded, scores=scores(np.nan), labels=LABELS * 7)
    with pytest.raises(ValueError, match=r"labels\[0, 1\] is 7.0; give 0 or 1"):
        loaded.forward()


# Training, by the caffe program and its default solver, which tests before the first iteration


def numbers(log, name):
    """What the tests of a training gave."""
    return [float(value) for value in re.findall(rf"Test net output #\d+: {name} = (\S+)", log)]


def check_training(log, metric):
    """The test before the first iteration gives nan, which is said once, and the one after the last numbers."""
    assert log.count("RuntimeWarning: in TEST, ") == 1
    assert "as the statistics of BatchNorm are 0 until then" in log
    for name in ("loss", metric):
        first, last = numbers(log, name)
        assert np.isnan(first), name
        assert np.isfinite(last), name
    losses = [float(value) for value in re.findall(r"Iteration \d+ \(.*\), loss = (\S+)", log)]
    assert len(losses) >= 4
    assert np.isfinite(losses).all()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["MultiLabelSoftmaxLoss", "SigmoidCrossEntropyLoss"])
@pytest.mark.parametrize("name", deep_nets.NETS)
def test_public_nets_train(tmp_path, name, loss):
    (tmp_path / "net.prototxt").write_text(deep_nets.NETS[name](loss, thin=4))
    (tmp_path / "solver.prototxt").write_text(deep_nets.SOLVER)
    check_training(caffe_program("train", "--solver", "solver.prototxt", cwd=tmp_path).stdout, "mAP")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
@pytest.mark.parametrize("template", ["mobilenet", "resnet50"])
def test_our_templates_train(tmp_path, template, loss):
    options = ["--data", "hdf5", "--num-classes", 5, "--size", "32", "--images", 16, "--test-images", 8, "--batch", 4]
    options += ["--iter-size", 1, "--epochs", 1, "--warmup-epochs", 0, "--base-lr", 0.001]
    assert command("template", template, "--loss", loss, "-o", tmp_path, *options) == 0
    random = np.random.RandomState(0)
    for name in ("train", "test"):
        with h5py.File(str(tmp_path / f"{name}.h5"), "w") as file:
            file["data"], file["labels"] = random.standard_normal((16, 3, 32, 32)), np.eye(5)[np.arange(16) % 5]
        (tmp_path / f"{name}.txt").write_text(f"{name}.h5\n")
    text = (tmp_path / "solver.prototxt").read_text()
    assert "test_initialization: false\n" in text
    text = re.sub(r"(display|average_loss): \d+", r"\1: 1", text.replace("test_initialization: false\n", ""))
    (tmp_path / "solver.prototxt").write_text(text)
    check_training(caffe_program("train", "--solver", "solver.prototxt", cwd=tmp_path).stdout, "mAP")
