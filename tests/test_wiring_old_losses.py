"""Which losses are replaced, and what of them is lost."""

import json

import pytest
from rewiring import DATA, FC, LOSS, deployed, layer, parsed, python, refused, wire

from caffe_losses import wiring
from caffe_losses.net.kinds import kind

THREE = DATA.replace('top: "label"', 'top: "label" top: "box" top: "extra"')
OTHER = FC.replace('"fc"', '"other"')
OWN = python("own", "mine", "RankLoss", "fc label extra", "own pairs", "loss_weight: 2 loss_weight: 0")


def test_heads_of_different_labels_are_to_be_named():
    text = THREE + FC + OTHER + LOSS + layer("second", "EuclideanLoss", "other box", "second")
    assert refused(text, num_classes=9) == (
        "the losses have different labels: loss reads label, second reads box; name those to replace with --head"
    )
    net, lines = wire(text, heads=["loss"], num_classes=9)
    assert net["other"].inner_product_param.num_output == 5 and "second: left as it is (EuclideanLoss)" in lines
    assert wire(text, heads=["loss", "second"])[0]["second"].type == "Python"


@pytest.mark.parametrize("way", ["Split", "Flatten", "Reshape"])
def test_labels_that_only_pass_a_layer_are_the_same(way):
    more = "reshape_param { shape { dim: 0 dim: -1 } }" if way == "Reshape" else ""
    text = THREE + FC + OTHER + LOSS + layer("pass", way, "label", "same", more)
    assert wire(text + layer("second", "HingeLoss", "other same", "second"))[0]["second"].type == "Python"


def test_parts_of_labels_are_not_the_same():
    text = THREE + FC + OTHER + layer("cut", "Slice", "label", "a b") + layer("loss", "HingeLoss", "fc a", "loss")
    assert "loss reads a, second reads b" in refused(text + layer("second", "HingeLoss", "other b", "second"))


def test_what_a_loss_of_ones_own_says_is_dropped_and_said():
    text = OWN.replace('"RankLoss"', '''"RankLoss" param_str: "{'margin': 1}"''')
    net, lines = wire(THREE + FC + text, heads=["own"])
    assert (net["own"].bottom, net["own"].top, net["own"].loss_weight) == (["fc", "label"], ["own"], [2])
    assert lines[:3] == [
        "own: param_str {'margin': 1} dropped: MultiLabelSoftmaxLoss has no such parameter",
        "own: bottom extra dropped: a third one has the weights of rows in MultiLabelSoftmaxLoss",
        "own: top pairs removed: MultiLabelSoftmaxLoss has the loss and its probabilities",
    ]
    assert refused(THREE + FC + OWN + layer("show", "Silence", "pairs", ""), heads=["own"]) == (
        "layer own: pairs is in use, and MultiLabelSoftmaxLoss does not make it"
    )
    infogain = layer("own", "InfogainLoss", "fc label", "own", "infogain_loss_param { source: 'h' }")
    assert (
        "own: infogain_loss_param dropped: MultiLabelSoftmaxLoss has no such parameter"
        in (wire(THREE + FC + infogain, heads=["own"])[1])
    )


def test_metrics_of_another_caffe_go():
    measure = layer("measure", "MultiLabelAccuracy", "fc label", "measure")
    net, lines = wire(DATA + FC + LOSS + measure)
    assert "measure" not in net
    assert "measure: removed: MultiLabelAccuracy is of another Caffe" in lines
    assert refused(DATA + FC + LOSS + measure + layer("show", "Silence", "measure", "")) == (
        "layer measure (MultiLabelAccuracy) is of another Caffe, but its top is in use"
    )


def test_a_loss_of_learned_blobs_is_refused():
    siamese = layer("own", "ContrastiveLoss", "fc other label", "own")
    assert refused(DATA + FC + OTHER + siamese, heads=["own"]) == (
        "layer own (ContrastiveLoss) compares learned blobs, not scores with labels; replace it by hand"
    )
    net, lines = deployed(DATA + FC + OTHER + siamese, heads=["own"], shapes={None: [1, 4]})
    assert net.keys() == {"data", "fc", "other"}
    assert "fc: the output, as ContrastiveLoss takes it" in lines


def test_deploy_with_a_loss_of_ones_own():
    text = THREE + FC + OWN
    assert deployed(text, heads=["own"], shapes={None: [1, 4]})[0].keys() == {"data", "fc"}
    with pytest.raises(ValueError, match=r"is a loss that is not known here, nor are its scores; name those to keep"):
        deployed(text, shapes={None: [1, 4]})
    with pytest.raises(ValueError, match=r"^layer own \(mine.Loss\): none of its bottoms comes from"):
        deployed(DATA + python("own", "mine", "Loss", "data label", "own", "loss_weight: 1"), heads=["own"])


def test_the_gradient_goes_to_the_scores_wherever_they_stood():
    text = DATA + FC + layer("loss", "EuclideanLoss", "label fc", "loss", "propagate_down: false propagate_down: true")
    assert wire(text)[0]["loss"].propagate_down == [True, False]
    three = OWN.replace(
        "loss_weight: 2", "propagate_down: true propagate_down: false propagate_down: false loss_weight: 2"
    )
    assert wire(THREE + FC + three, heads=["own"])[0]["own"].propagate_down == [True, False]


@pytest.mark.parametrize("label", [0, 1, 255])
@pytest.mark.parametrize("old, options, kept", [
    ("SoftmaxWithLoss", {}, False),
    ("SoftmaxWithLoss", {"label_format": "INDEX"}, True),
    ("SigmoidCrossEntropyLoss", {}, True),
    ("SigmoidCrossEntropyLoss", {"label_format": "INDEX"}, False),
])  # fmt: skip
def test_ignored_classes_are_no_ignored_numbers(old, options, kept, label):
    net, lines = wire(DATA + FC + layer("loss", old, "fc label", "l", f"loss_param {{ ignore_label: {label} }}"),
                      "SigmoidCrossEntropyLoss", options=options)  # fmt: skip
    assert ("ignore_label" in json.loads(net["loss"].python_param.param_str or "{}")) is kept
    assert any(line.startswith(f"loss: ignore_label {label} dropped: it was a") for line in lines) is not kept


def test_an_ignored_label_that_the_user_names_is_kept():
    text = DATA + FC + layer("loss", "SoftmaxWithLoss", "fc label", "l", "loss_param { ignore_label: 0 }")
    net, lines = wire(text, options={"ignore_label": -1})
    assert json.loads(net["loss"].python_param.param_str) == {"ignore_label": -1}
    assert not any("dropped" in line for line in lines)


def test_a_scorer_with_another_head_is_not_resized():
    more = layer("relu", "ReLU", "fc", "r") + layer(
        "fc2", "InnerProduct", "r", "fc2", "inner_product_param { num_output: 2 }"
    )
    assert "fc feeds fc2 (InnerProduct) too" in refused(DATA + FC + more + LOSS, num_classes=9)
    both = THREE + FC + LOSS + layer("second", "EuclideanLoss", "fc box", "second")
    assert "fc feeds second (EuclideanLoss) too, which stays as it is" in refused(both, heads=["loss"], num_classes=9)


def test_the_accuracy_of_a_head_that_stays_stays():
    other = FC.replace('"fc"', '"b"')
    text = DATA + FC + other + LOSS + LOSS.replace('"loss"', '"lb"').replace('"fc"', '"b"')
    text += layer("acc", "Accuracy", "fc label", "acc") + layer("accb", "Accuracy", "b label", "accb")
    wired, _ = wire(text, heads=["lb"])
    assert "acc" in wired and "accb" not in wired
    through = layer("p", "Softmax", "b", "p") + layer("accp", "Accuracy", "p label", "accp")
    assert "accp" not in wire(text + through, heads=["lb"])[0]


def test_layers_without_a_name_are_named_by_what_they_make():
    other = FC.replace('"fc"', '"other"') + layer("second", "SoftmaxWithLoss", "other label", "second")
    text = DATA + FC + LOSS + other
    text = text.replace('name: "loss"', "").replace('name: "second"', "")
    net, lines = wiring.wire(parsed(text), "MultiLabelSoftmaxLoss", heads=["second"])
    assert [one.type for one in net.layer if "Loss" in kind(one)] == ["SoftmaxWithLoss", "Python"]
    assert "loss: left as it is (SoftmaxWithLoss)" in lines
    assert any(line.startswith("second: SoftmaxWithLoss -> MultiLabelSoftmaxLoss") for line in lines)
    with pytest.raises(ValueError, match="got --head third; the net has loss, second"):
        wiring.wire(parsed(text), "MultiLabelSoftmaxLoss", heads=["third"])
