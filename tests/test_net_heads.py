"""Each loss with its scores and labels."""

import pytest
from nets import loss_layer
from rewiring import DATA, FC, layer, view_of

from caffe_losses.net import heads


def head_of(loss):
    view = view_of(DATA + FC + loss)
    return heads.head_of(view, view.layers[-1])


def test_every_head_of_caffes():
    for kind, activation in [
        ("SoftmaxWithLoss", "Softmax"),
        ("SigmoidCrossEntropyLoss", "Sigmoid"),
        ("HingeLoss", None),
    ]:
        head = head_of(layer("loss", kind, "fc label", "loss"))
        assert (head.scores, head.labels, head.activation) == ("fc", "label", activation)
        assert not head.probabilities
        assert head.options == {}


@pytest.mark.parametrize("bottoms", ["fc label", "label fc"])
def test_euclidean_loss_has_labels_on_either_side(bottoms):
    head = head_of(layer("loss", "EuclideanLoss", bottoms, "loss"))
    assert (head.scores, head.labels) == ("fc", "label")


@pytest.mark.parametrize("loss, activation, probabilities", [
    ("MultiLabelSoftmaxLoss", "Softmax", False),
    ("AsymmetricLoss", "Sigmoid", False),
    ("MultiLabelLogisticLoss", "Softmax", True),
    ("BinaryCrossEntropyLoss", "Sigmoid", True),
])  # fmt: skip
def test_every_head_of_ours(loss, activation, probabilities):
    head = head_of(loss_layer(loss, ["fc", "label"], param={"ignore_label": 3}))
    assert (head.scores, head.labels) == ("fc", "label")
    assert (head.activation, head.probabilities) == (activation, probabilities)
    assert head.options == {"ignore_label": 3}


def test_options_of_caffes_losses_are_in_our_terms():
    said = "softmax_param { axis: 2 } loss_param { ignore_label: 255 normalization: FULL }"
    head = head_of(layer("loss", "SoftmaxWithLoss", "fc label", "loss", said))
    assert head.options == {"axis": 2, "ignore_label": 255, "normalization": "FULL"}
    assert head.axis == 2
    with pytest.raises(ValueError, match=r"^layer loss \(Softmax\w+\) has its classes on axis 2; expected axis 1$"):
        _ = head.label_options
    head = head_of(layer("loss", "SoftmaxWithLoss", "fc label", "loss", "loss_param { normalize: true }"))
    assert head.options == {"normalization": "VALID"}


def test_label_options_are_what_reads_labels_the_same():
    index = head_of(layer("loss", "SoftmaxWithLoss", "fc label", "loss", "loss_param { ignore_label: 9 }"))
    assert index.label_options == {"label_format": "INDEX", "ignore_label": 9}
    dense = head_of(layer("loss", "SigmoidCrossEntropyLoss", "fc label", "loss"))
    assert dense.label_options == {}
    ours = head_of(loss_layer("MultiLabelSoftmaxLoss", ["fc", "label"], param={"label_format": "INDEX", "axis": -1}))
    assert ours.label_options == {"label_format": "INDEX"}
