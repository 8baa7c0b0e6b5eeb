"""What would keep the new loss from learning is taken out, or refused."""

import numpy as np
import pytest
from nets import fill, net
from rewiring import CLASSES, DATA, FC, layer, parsed, refused, wire

from caffe_losses import wiring

INPUTS = (
    'layer { name: "data" type: "Input" top: "data" top: "label" input_param { shape { dim: 6 dim: 3 dim: 4 dim: 4 } '
)
INPUTS += "shape { dim: 6 dim: 7 } } }\n"
CONV = layer("conv", "Convolution", "data", "conv", "convolution_param { num_output: 7 kernel_size: 1 }")
POOL = layer("pool", "Pooling", "act", "pool", "pooling_param { pool: AVE global_pooling: true }")
LOSS = layer("loss", "SoftmaxWithLoss", "pool label", "loss")


def ending(kind, top="act", more=""):
    """A net that ends as SqueezeNet does, with another activation."""
    text = INPUTS + CONV + layer("act", kind, "conv", top, more) + POOL.replace('"act"', f'"{top}"')
    return text + LOSS


@pytest.mark.parametrize("top", ["act", "conv"])
@pytest.mark.parametrize("kind, interval", [
    ("ReLU", "below 0"), ("ELU", "below -1"), ("TanH", "outside of [-1, 1]"), ("BNLL", "below 0"),
    ("AbsVal", "below 0"), ("Swish", "below -0.279"),
])  # fmt: skip
def test_an_activation_that_bounds_the_scores_is_taken_out(kind, interval, top):
    wired, lines = wire(ending(kind, top), "SigmoidCrossEntropyLoss")
    assert "act" not in wired and wired["pool"].bottom == ["conv"]
    assert f"act: removed: {kind} lets no score be {interval}, so that SigmoidCrossEntropyLoss could not learn" in lines
    loaded = net("".join(f"layer {{ {one} }}\n" for one in wired.values()))
    loaded.params["conv"][0].data[...] = -1
    fill(loaded, data=np.ones((6, 3, 4, 4)), label=np.zeros((6, 7)))
    loaded.forward()
    assert loaded.blobs["pool"].data.max() < -2


@pytest.mark.parametrize("kind, more", [
    ("ReLU", "relu_param { negative_slope: 0.1 }"), ("PReLU", ""), ("Dropout", ""),
    ("Power", "power_param { scale: 9 }"),
])  # fmt: skip
def test_what_does_not_bound_stays(kind, more):
    assert "act" in wire(ending(kind, more=more), "SigmoidCrossEntropyLoss")[0]


def test_a_softmax_needs_room_alone():
    assert "act" in wire(ending("ReLU"), "MultiLabelSoftmaxLoss")[0]
    assert "act" not in wire(ending("TanH"), "MultiLabelSoftmaxLoss")[0]


def test_several_and_those_below_a_sigmoid_of_probabilities():
    more = layer("relu", "ReLU", "fc", "r") + layer("drop", "Dropout", "r", "r") + layer("tanh", "TanH", "r", "t")
    text = DATA + FC + more + layer("loss", "HingeLoss", "t label", "loss")
    wired, _ = wire(text, "AsymmetricLoss")
    assert (
        wired["loss"].bottom[0] == "r" and wired["drop"].bottom == ["fc"] and wired.keys() & {"relu", "tanh"} == set()
    )
    sigmoid = layer("relu", "ReLU", "fc", "r") + layer("p", "Sigmoid", "r", "p")
    wired, _lines = wire(DATA + FC + sigmoid + layer("loss", "HingeLoss", "p label", "loss"), "BinaryCrossEntropyLoss")
    assert wired["p"].bottom == ["fc"] and "relu" not in wired


def test_what_cannot_be_taken_out_is_refused():
    later = layer("fc2", "InnerProduct", "conv", "fc2", "inner_product_param { num_output: 2 }")
    text = refused(ending("ReLU", "conv").replace(LOSS, later + LOSS), "SigmoidCrossEntropyLoss")
    assert text == (
        "layer loss: its scores come through act, and ReLU lets no score be below 0, so that SigmoidCrossEntropyLoss "
        "could not learn, and fc2 needs it; have the loss take scores from before it, by hand"
    )
    lstm = layer("lstm", "LSTM", "fc label", "lstm", "recurrent_param { num_output: 5 }")
    text = DATA.replace('top: "label"', 'top: "label" top: "tags"') + FC + lstm
    assert "come through lstm, and LSTM lets no score be outside of [-1, 1]" in refused(
        text + layer("loss", "HingeLoss", "lstm tags", "loss"), "SigmoidFocalLoss"
    )


def test_what_is_computed_of_scores_is_no_activation():
    """Without a part of it, a noisy-or or a log-probability is something else."""
    way = layer("sig", "Sigmoid", "fc", "p") + layer("not", "Power", "p", "q", "power_param { scale: -1 shift: 1 }")
    way += layer("log", "Log", "q", "l") + layer("drop", "Dropout", "l", "d") + layer("exp", "Exp", "d", "e")
    loss = layer("loss", "EuclideanLoss", "e label", "loss")
    text = "layer loss: its scores come through exp, and Exp lets no score be below 0, so that {} could not learn"
    refusal = refused(DATA + FC + way + loss, "SigmoidCrossEntropyLoss")
    assert refusal == text.format("SigmoidCrossEntropyLoss") + "; have the loss take scores from before it, by hand"


def test_in_one_phase_only():
    relu = layer("relu", "ReLU", "fc", "fc", "include { phase: TEST }")
    loss = layer("loss", "HingeLoss", "fc label", "loss")
    wired, _ = wire(DATA + FC + relu + loss, "SigmoidCrossEntropyLoss")
    assert "relu" not in wired
    apart = FC.replace('top: "fc"', 'top: "raw" include { phase: TEST }')
    apart += FC.replace('top: "fc"', 'top: "fc" include { phase: TRAIN }')
    p = layer("p", "Sigmoid", "raw", "fc", "include { phase: TEST }")
    assert refused(DATA + apart + p + loss, "SigmoidCrossEntropyLoss") == (
        "in TRAIN, layer loss takes raw, which no layer before it makes after the change; give TRAIN a layer of its "
        "own there by hand"
    )


def test_each_phase_has_its_own_scorer():
    """Of the same name or not, as their losses do."""
    text = DATA
    for phase, name in (("TRAIN", "fc"), ("TEST", "other")):
        rule = f"include {{ phase: {phase} }}"
        text += FC.replace('"fc"', f'"{name}"').replace("inner_product_param", f"{rule} inner_product_param")
        text += layer("loss", "SoftmaxWithLoss", f"{name} label", "loss", rule)
    net_, _lines = wiring.wire(parsed(text), "MultiLabelSoftmaxLoss", num_classes=CLASSES)
    assert [one.name for one in net_.layer] == ["data", "fc_7", "loss", "other_7", "loss"]
    assert all(one.inner_product_param.num_output == 7 for one in net_.layer if one.type == "InnerProduct")
    assert {one.type for one in net_.layer if one.name == "loss"} == {"Python"}
