"""Between which numbers a blob lies, whatever is learned."""

import math

import numpy as np
import pytest
from nets import fill, net
from rewiring import layer, view_of

from caffe_losses.net.bounds import bounding, bounds, hinders

INF = math.inf
INPUT = 'layer { name: "x" type: "Input" top: "x" top: "y" input_param { shape { dim: 64 dim: 6 } } }\n'
END = layer("end", "Silence", "out", "")


def interval(text):
    view = view_of(INPUT + text + END)
    return bounds(view, view.layers[-1], "out")


LAYERS = [
    (layer("a", "ReLU", "x", "out"), 0, INF),
    (layer("a", "ReLU", "x", "out", "relu_param { negative_slope: 0.1 }"), -INF, INF),
    (layer("a", "PReLU", "x", "out"), -INF, INF),
    (layer("a", "ELU", "x", "out", "elu_param { alpha: 2 }"), -2, INF),
    (layer("a", "Sigmoid", "x", "out"), 0, 1),
    (layer("a", "TanH", "x", "out"), -1, 1),
    (layer("a", "Softmax", "x", "out"), 0, 1),
    (layer("a", "BNLL", "x", "out"), 0, INF),
    (layer("a", "AbsVal", "x", "out"), 0, INF),
    (layer("a", "Exp", "x", "out"), 0, INF),
    (layer("a", "Clip", "x", "out", "clip_param { min: -3 max: 2 }"), -3, 2),
    (layer("a", "Swish", "x", "out"), -0.279, INF),
    (layer("a", "Threshold", "x", "out"), 0, 1),
    (layer("a", "Power", "x", "out", "power_param { scale: -3 shift: 5 }"), -INF, INF),
    (layer("a", "Sigmoid", "x", "s") + layer("p", "Power", "s", "out", "power_param { scale: -3 shift: 5 }"), 2, 5),
    (layer("a", "ReLU", "x", "r") + layer("p", "Eltwise", "r x", "out"), -INF, INF),
    (layer("a", "ReLU", "x", "r") + layer("p", "Eltwise", "r r", "out"), 0, INF),
    (layer("a", "ReLU", "x", "r") + layer("p", "Eltwise", "r x", "out", "eltwise_param { operation: MAX }"), 0, INF),
    (layer("a", "TanH", "x", "t") + layer("p", "Eltwise", "t t", "out", "eltwise_param { operation: PROD }"),
     -INF, INF),
    (layer("a", "ReLU", "x", "r") + layer("c", "Concat", "r x", "out"), 0, INF),
    (layer("a", "ReLU", "x", "r") + layer("f", "Flatten", "r", "f") + layer("d", "Dropout", "f", "out"), 0, INF),
    (layer("a", "ReLU", "x", "r") + layer("s", "BatchNorm", "r", "out"), -INF, INF),
    (layer("a", "ReLU", "x", "r") + layer("s", "InnerProduct", "r", "out", "inner_product_param { num_output: 3 }"),
     -INF, INF),
]  # fmt: skip


@pytest.mark.parametrize("text, low, high", LAYERS)
def test_the_interval_is_that_of_the_layers(text, low, high):
    assert interval(text) == pytest.approx((low, high))


@pytest.mark.parametrize("text, low, high", LAYERS)
def test_caffe_stays_in_it(text, low, high):
    loaded = net(INPUT + text, force_backward=False)
    fill(loaded, x=10 * np.random.RandomState(0).randn(64, 6))
    loaded.forward()
    out = loaded.blobs["out"].data
    if "Concat" in text:  # the interval is of the classes that are bounded
        out = out[:, :6]
    assert out.min() >= low - 1e-3
    assert out.max() <= high + 1e-6


def test_what_hinders_a_sigmoid_and_a_softmax():
    for text, sigmoid, softmax in [
        (layer("a", "ReLU", "x", "out"), True, False),
        (layer("a", "TanH", "x", "out"), True, True),
        (layer("a", "Clip", "x", "out", "clip_param { min: -20 max: 20 }"), False, False),
    ]:
        assert hinders(interval(text), "Sigmoid") is sigmoid
        assert hinders(interval(text), "Softmax") is softmax


def test_the_layer_that_bounds_is_named_and_not_what_hands_on():
    text = layer("act", "ReLU", "x", "r") + layer("pool", "Flatten", "r", "f") + layer("d", "Dropout", "f", "out") + END
    view = view_of(INPUT + text)
    assert bounding(view, view.layers[-1], "out", "Sigmoid").name == "act"
    assert bounding(view, view.layers[-1], "out", "Softmax") is None


def test_a_net_deeper_than_the_stack():
    text = "".join(layer(f"d{k}", "Dropout", f"b{k}", f"b{k + 1}") for k in range(3000))
    view = view_of(INPUT.replace('"x" top: "y"', '"b0"') + text + layer("end", "Silence", "b3000", ""))
    assert bounds(view, view.layers[-1], "b3000") == (-INF, INF)
