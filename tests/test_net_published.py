"""Losses that others have published: recognised, and their parameters in our terms."""

import sys
from types import ModuleType

import caffe
import numpy as np
import pytest
from nets import fill, input_layer, net, run
from rewiring import layer, parsed, wire

from caffe_losses.net import prototxt
from caffe_losses.net.published import lost_parameters, published, published_options

INPUTS = input_layer("data", (4, 6)) + input_layer("labels", (4, 5))
SCORES = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 5 } }\n'


def python(kind, param_str="", more=""):
    text = f"python_param {{ module: 'published_losses' layer: '{kind}' param_str: \"{param_str}\" }} {more}"
    return layer("loss", "Python", "fc labels", "loss", f"loss_weight: 1 {text}")


class Softmax(caffe.Layer):
    """The published formula: for each image -1/M sum of y log p, divided by the number of images."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        scores, labels = np.float64(bottom[0].data), bottom[1].data
        log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        top[0].data[...] = -((labels * log_p).sum(1) / np.count_nonzero(labels, 1)).mean()

    def backward(self, top, propagate_down, bottom):
        scores, labels = np.float64(bottom[0].data), bottom[1].data
        p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        share = labels / np.count_nonzero(labels, 1)[:, None]
        bottom[0].diff[...] = (p - share) / len(p)


class Focal(Softmax):
    """The published formula: both sides of the cross-entropy with (1 - p)^gamma, divided by the number of images."""

    def forward(self, bottom, top):
        p, labels = 1 / (1 + np.exp(-np.float64(bottom[0].data))), bottom[1].data
        terms = np.where(labels, -np.log(p) * (1 - p) ** 3, -np.log(1 - p) * p**3)
        top[0].data[...] = terms.sum() / len(p)

    def backward(self, top, propagate_down, bottom):
        p, labels = 1 / (1 + np.exp(-np.float64(bottom[0].data))), bottom[1].data
        yes = (1 - p) ** 3 * (3 * p * np.log(p) + p - 1)
        no = p**3 * (p - 3 * (1 - p) * np.log(1 - p))
        bottom[0].diff[...] = np.where(labels, yes, no) / len(p)


@pytest.mark.parametrize("kind, there, ours, param_str", [
    ("CustomSoftmaxLoss", Softmax, "MultiLabelSoftmaxLoss", ""),
    ("FocalLoss", Focal, "SigmoidFocalLoss", "{'focusing_parameter': 3}"),
])  # fmt: skip
def test_the_wired_net_has_the_loss_and_gradient_of_the_published_layer(kind, there, ours, param_str, monkeypatch):
    module = ModuleType("published_losses")
    setattr(module, kind, there)
    monkeypatch.setitem(sys.modules, "published_losses", module)
    scores = input_layer("fc", (4, 5)).replace('name: "fc"', 'name: "in"')
    wired, _ = wire(INPUTS + SCORES + python(kind, param_str), ours)
    random = np.random.RandomState(0)
    values = {"scores": random.randn(4, 5), "labels": np.eye(5)[[0, 1, 2, 3]] + np.eye(5)[[4, 4, 4, 2]]}
    results = []
    for text in (python(kind, param_str), str_of(wired["loss"])):
        text = text.replace('"fc"', '"scores"')
        loaded = net(scores.replace('"fc"', '"scores"') + input_layer("labels", (4, 5)) + text)
        fill(loaded, **values)
        results.append(run(loaded))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-6)


def str_of(one):
    return f"layer {{ {one} }}\n"


def test_python_layers_by_their_class_and_types_by_name():
    for text in (python("CustomSoftmaxLoss"), python("FocalLoss"), layer("l", "SoftmaxFocalLoss", "fc labels", "l")):
        assert published(parsed(text).layer[0]) is not None
    for text in (
        python("TagLoss"),
        layer("l", "ContrastiveLoss", "fc labels", "l"),
        layer("l", "FocalLoss", "a b c", "l"),
    ):
        assert published(parsed(text).layer[0]) is None


@pytest.mark.parametrize("kind, text, options, lost", [
    ("SigmoidFocalLoss", "{ gamma: 1.5 alpha: 0.3 }", {"gamma": 1.5, "alpha": 0.3}, []),
    ("SoftmaxFocalLoss", "{ gamma: 1 alpha: 0.5 alpha: 1 }", {"gamma": 1}, ["alpha"]),
    ("FocalLoss", "{ type: LINEAR beta: 2 }", {}, ["type", "beta"]),
    ("MultiLabelLoss", "{ }", {"normalization": "BATCH_SIZE"}, []),
])  # fmt: skip
def test_fields_of_another_caffe_are_translated_or_named(kind, text, options, lost):
    one, fields = parsed(layer("l", kind, "fc labels", "l")).layer[0], {"LayerParameter focal_loss_param": text}
    assert published_options(one, fields) == options
    assert lost_parameters(one, fields) == lost


def test_what_is_lost_is_told(tmp_path):
    text = INPUTS + SCORES + python("FocalLoss", "{'focusing_parameter': 2, 'balance': 'x.json'}")
    net_, lines = wire(text.replace("loss_weight: 1", "loss_weight: 100"), "SigmoidFocalLoss")
    assert "loss: balance dropped: SigmoidFocalLoss has no such parameter" in lines
    assert "loss: loss_weight 100 now scales the gradient, which published_losses.FocalLoss did not" in lines
    assert any("--param class_weight=FILE" in line for line in lines)
    signs = INPUTS + SCORES + layer("loss", "MultiLabelLoss", "fc labels", "loss")
    assert any("-1 for no, 1 for yes and 0 for ignored" in line for line in wire(signs, "SigmoidCrossEntropyLoss")[1])
    focal = layer("loss", "SigmoidFocalLoss", "fc labels", "loss", "focal_loss_param { gamma: 4 kappa: 1 }")
    (tmp_path / "net.prototxt").write_text(INPUTS + SCORES + focal)
    file, foreign = prototxt.read_foreign(str(tmp_path / "net.prototxt"))
    net_, lines = wire(str(file.net), "SigmoidFocalLoss", foreign=foreign)
    assert '"gamma": 4' in net_["loss"].python_param.param_str
    assert "loss: kappa dropped: SigmoidFocalLoss has no such parameter" in lines
