"""Whose scores are tested: of a loss of TEST, of what is measured there, or of what is named; and of which data."""

import pytest
from nets import loss_layer
from rewiring import DATA, FC, LOSS, layer, parsed, python

from caffe_losses.net.testing import phases_of

IN_TRAIN, IN_TEST = "include { phase: TRAIN }", "include { phase: TEST }"
OTHER = FC.replace('"fc"', '"other"')
SECOND = OTHER + layer("second", "HingeLoss", "other label", "second")
FIRST = LOSS
TRAIN_LOSS = FIRST.replace('top: "loss"', f'top: "loss" {IN_TRAIN}')
ACCURACY = layer("accuracy", "Accuracy", "fc label", "accuracy", IN_TEST)
METRICS = python("metrics", "caffe_losses.layers", "MultiLabelMetrics", "fc label", "mAP", IN_TEST)


def heads(text, names=None):
    return [(head.layer.name, head.scores) for head in phases_of(parsed(text)).heads(names)]


def head(text, names=None):
    return phases_of(parsed(text), name="net.prototxt").head(names)


def test_the_head_is_the_heaviest():
    light = SECOND.replace('top: "second"', 'top: "second" loss_weight: 0.3')
    assert heads(DATA + FC + FIRST + light) == [("loss", "fc")]
    assert head(DATA + FC + FIRST + light).layer.name == "loss"
    assert heads(DATA + FC + FIRST + light, ["second"]) == [("second", "other")]
    with pytest.raises(ValueError, match=r"^expected a loss layer, got --head third; the net has loss, second$"):
        heads(DATA + FC + FIRST + light, ["third"])
    with pytest.raises(ValueError, match=r"^net.prototxt has several heads, loss, second, so that .* one with --head$"):
        head(DATA + FC + FIRST + SECOND)


def test_accuracy_and_metrics_tell_the_scores_of_a_loss_of_train():
    found = head(DATA + FC + TRAIN_LOSS + ACCURACY)
    assert (found.layer.name, found.scores, found.labels) == ("accuracy", "fc", "label")
    assert (found.activation, found.probabilities) == ("Softmax", False)
    assert found.label_options == {"label_format": "INDEX"}
    for loss, activation, probabilities in [
        ("ZLPRLoss", "Sigmoid", False),
        ("MultiLabelLogisticLoss", "Softmax", True),
    ]:
        ours = loss_layer(loss, ["fc", "label"]).replace("python_param", f"{IN_TRAIN} python_param")
        found = head(DATA + FC + ours + METRICS.replace('Metrics" }', 'Metrics" param_str: \'{"ignore_label": 7}\' }'))
        assert (found.activation, found.probabilities) == (activation, probabilities)
        assert found.label_options == {"ignore_label": 7}


def test_of_what_is_measured_the_heaviest_loss_tells_what_is_wanted():
    other = OTHER + layer("auxiliary", "SoftmaxWithLoss", "other label", "auxiliary", f"loss_weight: 0.3 {IN_TRAIN}")
    other += layer("auxiliary_accuracy", "Accuracy", "other label", "auxiliary_accuracy", IN_TEST)
    assert heads(DATA + FC + TRAIN_LOSS + other + ACCURACY + METRICS) == [("metrics", "fc")]
    assert heads(DATA + FC + TRAIN_LOSS + other + ACCURACY, ["auxiliary_accuracy"]) == [("auxiliary_accuracy", "other")]
    unknown = python("loss", "my", "XLoss", "fc label", "loss", f"loss_weight: 1 {IN_TRAIN}")
    with pytest.raises(ValueError, match=r"^net.prototxt has several heads, auxiliary_accuracy, accuracy, so that"):
        head(DATA + FC + unknown + other.replace("SoftmaxWithLoss", "XLoss") + ACCURACY)


@pytest.mark.parametrize("kind", ["Softmax", "Sigmoid"])
def test_probabilities_that_are_measured(kind):
    unknown = python("loss", "my", "XLoss", "fc label", "loss", f"loss_weight: 1 {IN_TRAIN}")
    measured = layer("p", kind, "fc", "p", IN_TEST) + METRICS.replace('"fc"', '"p"')
    found = head(DATA + FC + unknown + measured)
    assert (found.scores, found.activation, found.probabilities) == ("p", kind, True)


def test_a_loss_of_train_is_taken_if_it_is_named():
    text = DATA + FC + TRAIN_LOSS
    with pytest.raises(ValueError) as error:
        head(text)
    assert str(error.value) == (
        "net.prototxt has neither a loss nor Accuracy nor MultiLabelMetrics in TEST, so that it is not clear what its "
        "scores are there; name a loss of TRAIN (loss) with --head or, for evaluate, the blobs with --scores and "
        "--labels"
    )
    found = head(text, ["loss"])
    assert (found.layer.name, found.scores, found.activation) == ("loss", "fc", "Softmax")
    test = phases_of(parsed(text)).test
    assert found.made_by(test, "fc").name == "fc"
    assert found.made_by(test, "label").name == "data"
    only_train = FC.replace("inner", f"{IN_TRAIN} inner", 1)
    with pytest.raises(ValueError, match="expected a blob of the net, got fc; it has data, label, other"):
        head(DATA + only_train + OTHER + TRAIN_LOSS, ["loss"])


def test_of_two_layers_of_one_name_that_of_test_is_taken():
    of_test = layer("loss", "SoftmaxWithLoss", "other label", "loss", IN_TEST)
    assert heads(DATA + FC + OTHER + TRAIN_LOSS + of_test, ["loss"]) == [("loss", "other")]


def test_layers_without_a_name_are_named_by_what_they_make():
    text = DATA + FC + FIRST.replace('name: "loss"', "") + SECOND.replace('name: "second"', "")
    with pytest.raises(ValueError, match="has several heads, loss, second, so that"):
        head(text)
    assert head(text, ["second"]).scores == "other"
    with pytest.raises(ValueError, match="got --head third; the net has loss, second"):
        head(text, ["third"])


def test_a_net_without_a_loss():
    with pytest.raises(ValueError, match=r"^the net has no loss, so that it is not clear what its scores are"):
        heads(DATA + FC)


def test_label_options_are_of_what_takes_the_labels():
    focal = loss_layer("SigmoidFocalLoss", ["fc", "label"], param={"ignore_label": -1})
    assert phases_of(parsed(DATA + FC + focal)).label_options("label") == {"ignore_label": -1}
    assert phases_of(parsed(DATA + FC + focal)).label_options("data") == {}
    in_train = phases_of(parsed(DATA + FC + TRAIN_LOSS))
    assert in_train.label_options("label") == {"label_format": "INDEX"}


def test_two_layers_of_one_name_are_refused():
    with pytest.raises(
        ValueError, match="in TEST, two layers with weights have the name fc, those that make fc and other"
    ):
        phases_of(parsed(DATA + FC + FC.replace('top: "fc"', 'top: "other"') + FIRST))


# Phases and stages


def source(stage, rules):
    return DATA.replace('"x"', f'"{stage}"').replace("hdf5_data_param", f"{rules} hdf5_data_param", 1)


def test_a_net_for_train_alone():
    text = source("x", IN_TRAIN) + FC + LOSS
    with pytest.raises(ValueError) as error:
        phases_of(parsed(text), name="net.prototxt")
    assert str(error.value) == (
        "net.prototxt has no whole TEST phase: layer fc takes data, which no layer before it makes; give a train_val "
        "with data and labels for TEST"
    )
    assert phases_of(parsed(text), or_train=True).test.phase == "TRAIN"


STAGED = source("fit", 'include { stage: "fit" }') + source("see", 'include { stage: "see" }') + FC + LOSS


def sources(text, stages=((), ())):
    phases = phases_of(parsed(text), stages)
    layers = phases.test.layers
    phases.check_data(layers)
    return [layer.hdf5_data_param.source for layer in layers if not layer.bottom]


@pytest.mark.parametrize("text, stages", [
    ('state { stage: "fit" }' + STAGED, ((), ())),
    ('state { stage: "see" }' + STAGED, ((), ())),
    (STAGED, (["fit"], ["fit"])),
    (source("fit", 'include { not_stage: "see" }') + source("see", 'include { stage: "see" }') + FC + LOSS, ((), ())),
    (source("fit", 'exclude { stage: "see" }') + source("see", 'include { stage: "see" }') + FC + LOSS, ((), ())),
])  # fmt: skip
def test_data_that_train_reads_in_the_same_stage_are_refused(text, stages):
    with pytest.raises(ValueError, match=r"^the net: TRAIN reads layer data \(HDF5Data\), too, in the stages that"):
        sources(text, stages)


def test_stages_of_both_phases_tell_which_data_are_tests():
    assert sources(STAGED, (["fit"], ["see"])) == ["see"]
    with pytest.raises(ValueError, match="the net has layers for the stages fit, see: name them with --stage, first"):
        phases_of(parsed(STAGED), or_train=True)


@pytest.mark.parametrize("text", [
    DATA + FC + LOSS,
    source("x", IN_TRAIN) + source("y", IN_TEST) + FC + LOSS,
    source("x", "include { phase: TRAIN } include { phase: TEST }") + FC + LOSS,
    'state { stage: "s" }' + source("x", "exclude { phase: TEST }")
    + source("y", 'include { phase: TEST stage: "s" }') + FC + LOSS,
])  # fmt: skip
def test_data_of_a_phase_or_of_a_file_for_tests_alone_are_taken(text):
    assert len(sources(text)) == 1
