"""What a layer is."""

import pytest
from rewiring import layer, parsed, python

from caffe_losses import losses
from caffe_losses.net import kinds

OURS, THEIRS = "caffe_losses.layers", "my_layers"


def one_layer(text):
    return parsed(text).layer[0]


@pytest.mark.parametrize("text, kind, is_loss, is_known, is_metric", [
    (layer("a", "ReLU", "x", "y"), "ReLU", False, False, False),
    (layer("a", "SoftmaxWithLoss", "x l", "y"), "SoftmaxWithLoss", True, True, False),
    (layer("a", "ContrastiveLoss", "x l", "y"), "ContrastiveLoss", True, False, False),
    (layer("a", "Reduction", "x", "y", "loss_weight: 1"), "Reduction", True, False, False),
    (layer("a", "Accuracy", "x l", "y"), "Accuracy", False, False, True),
    (python("a", OURS, "AsymmetricLoss", "x l", "y"), "AsymmetricLoss", True, True, False),
    (python("a", OURS, "MultiLabelMetrics", "x l", "y"), "MultiLabelMetrics", False, False, True),
    (python("a", OURS, "MultiLabelImageData", "", "x l"), "MultiLabelImageData", False, False, False),
    (python("a", THEIRS, "AsymmetricLoss", "x l", "y"), "my_layers.AsymmetricLoss", True, False, False),
    (python("a", THEIRS, "MultiLabelMetrics", "x l", "y"), "my_layers.MultiLabelMetrics", False, False, False),
    (python("a", THEIRS, "Scorer", "x l", "y", "loss_weight: 1"), "my_layers.Scorer", True, False, False),
])  # fmt: skip
def test_kinds(text, kind, is_loss, is_known, is_metric):
    one = one_layer(text)
    assert kinds.kind(one) == kind
    assert kinds.is_loss(one) is is_loss
    assert kinds.is_known_loss(one) is is_known
    assert kinds.is_metric(one) is is_metric


@pytest.mark.parametrize("name", losses.__all__)
def test_each_loss_of_ours_is_found_by_its_layer(name):
    assert kinds.our_loss(one_layer(python("a", OURS, name, "x l", "y"))) is getattr(losses, name)
    assert kinds.our_loss(one_layer(python("a", THEIRS, name, "x l", "y"))) is None
    assert kinds.our_loss(one_layer(layer("a", name, "x l", "y"))) is None


def test_the_weight_of_a_python_layer_is_0_unless_it_is_written():
    assert kinds.weight(one_layer(layer("a", "HingeLoss", "x l", "y"))) == 1
    assert kinds.weight(one_layer(layer("a", "HingeLoss", "x l", "y", "loss_weight: 0.5"))) == 0.5
    assert kinds.weight(one_layer(python("a", THEIRS, "TagLoss", "x l", "y"))) == 0
