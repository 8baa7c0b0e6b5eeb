"""The checker is right about right gradients, and finds the usual wrong ones."""

import numpy as np
import pytest
from nets import input_layer, loss_layer

from caffe_losses.__main__ import main
from caffe_losses.gradcheck import check_function, check_net

WRONG_LAYERS = '''
import caffe

class Square(caffe.Layer):
    """Sum of squares of the first bottom; `slope` times its gradient."""
    slope, listens = 1, True
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        top[0].reshape()
    def forward(self, bottom, top):
        top[0].data[...] = (bottom[0].data ** 2).sum()
    def backward(self, top, propagate_down, bottom):
        diff = top[0].diff.flat[0] if self.listens else 1
        bottom[0].diff[...] = self.slope * diff * 2 * bottom[0].data

class Off(Square):
    slope = 1.001

class Deaf(Square):
    listens = False

class Forgetful(Square):
    def backward(self, top, propagate_down, bottom):
        super().backward(top, propagate_down, bottom)
        bottom[0].diff.flat[3] = 0
'''


def square(x, slope=1.0):
    return (x**3).sum(), slope * 3 * x**2


def test_a_right_function_passes_and_one_off_by_a_thousandth_fails():
    x = np.random.RandomState(0).randn(3, 4)
    assert all(e.right for e in check_function(square, x))
    wrong = check_function(lambda v: square(v, 1.001), x)
    assert not any(e.right for e in wrong)
    assert not any(e.right for e in check_function(lambda v: square(v, 1 + 1e-6), x))
    assert not any(e.right for e in check_function(lambda v: (square(v)[0], np.full(v.shape, np.nan)), x))
    assert "x[0, 0]  analytic +9.3" in str(wrong[0])


def test_kinks_are_not_taken_for_mistakes():
    x = np.array([0.04, -0.05, 1.0])
    assert all(e.right for e in check_function(lambda v: (np.abs(v).sum(), np.sign(v)), x))
    assert not any(e.right for e in check_function(lambda v: (np.abs(v).sum(), 1.001 * np.sign(v)), x))


@pytest.fixture
def layers(tmp_path, monkeypatch):
    (tmp_path / "wrong_layers.py").write_text(WRONG_LAYERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, text):
    (folder / "net.prototxt").write_text(text)
    return str(folder / "net.prototxt")


def own_layer(name):
    text = input_layer("data", (3, 5))
    return text + (f'layer {{ name: "own" type: "Python" bottom: "data" top: "own" loss_weight: 1 '
                   f'python_param {{ module: "wrong_layers" layer: "{name}" }} }}')  # fmt: skip


@pytest.mark.slow
def test_a_users_own_layer(layers):
    assert all(e.right for e in check_net(write(layers, own_layer("Square")))["own"])


@pytest.mark.slow
@pytest.mark.parametrize("name, wrong", [("Off", 12), ("Deaf", 15), ("Forgetful", 1)])
def test_wrong_layers_fail(layers, name, wrong):
    """Of those off by a thousandth, some are so small that float32 cannot tell."""
    checked = check_net(write(layers, own_layer(name)))["own"]
    assert wrong <= sum(not e.right for e in checked) <= (1 if name == "Forgetful" else 15)


NET = (
    input_layer("data", (4, 2, 6, 6)) + input_layer("labels", (4, 5)) + input_layer("class", (4,))
    + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 3 kernel_size: 3
        weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "scores" type: "InnerProduct" bottom: "pool" top: "scores" inner_product_param { num_output: 5
        weight_filler { type: "xavier" } } }
layer { name: "cpp sigmoid" type: "SigmoidCrossEntropyLoss" bottom: "scores" bottom: "labels" top: "a" }
layer { name: "cpp softmax" type: "SoftmaxWithLoss" bottom: "scores" bottom: "class" top: "b" loss_weight: 0.5 }
"""
    + loss_layer("MultiLabelSoftmaxLoss", ["scores", "labels"], ["c", "p"], name="softmax")
    + loss_layer("SigmoidCrossEntropyLoss", ["scores", "labels"], ["d"], 2, name="sigmoid")
)  # fmt: skip


@pytest.mark.slow
def test_built_in_layers_and_ours_in_one_net(tmp_path):
    checked = check_net(write(tmp_path, NET))
    assert list(checked) == ["conv", "relu", "pool", "scores", "cpp sigmoid", "cpp softmax", "softmax", "sigmoid"]
    assert {e.blob for e in checked["conv"]} == {"bottom 0", "parameter 0", "parameter 1"}
    wrong = [(name, str(e)) for name, elements in checked.items() for e in elements if not e.right]
    assert not wrong
    known = [e for elements in checked.values() for e in elements if e.tolerance < 1e-2 * abs(e.numeric)]
    assert len(known) > 300  # most derivatives are known well enough to tell


@pytest.mark.slow
def test_metrics_are_left_out(tmp_path):
    """Caffe ends the process for a backward of Accuracy, and MultiLabelMetrics has no gradient."""
    metrics = loss_layer("MultiLabelMetrics", ["scores", "labels"], ["mAP"], None, {"test_iter": 1}, "metrics")
    accuracy = 'layer { name: "accuracy" type: "Accuracy" bottom: "scores" bottom: "class" top: "accuracy" }\n'
    checked = check_net(write(tmp_path, NET + metrics + accuracy), phase="TEST")
    assert list(checked) == list(check_net(write(tmp_path, NET), phase="TEST"))


@pytest.mark.slow
def test_the_check_leaves_the_net_as_it_was_for_the_next_layer(tmp_path):
    alone = check_net(write(tmp_path, NET), layer="softmax")["softmax"]
    assert [e.right for e in alone] == [True] * 20


@pytest.mark.slow
def test_command_prints_and_exits(layers, capsys):
    assert main(["gradcheck", write(layers, NET), "--layer", "conv", "--elements", "5"]) == 0
    assert "conv: 13 derivatives, 0 wrong\n  worst " in capsys.readouterr().out
    assert main(["gradcheck", write(layers, own_layer("Off"))]) == 1
    out = capsys.readouterr().out
    assert "own: 15 derivatives, 1" in out
    assert "WRONG bottom 0[0, 0]  analytic " in out
    assert "numeric" in out


@pytest.mark.slow
@pytest.mark.parametrize("arguments, text", [
    (["--layer", "no"], "expected a layer of"),
    (["--layer", "own", "--bottom", "1"], "layer own has 1 bottoms, got bottom 1"),
])  # fmt: skip
def test_command_refuses(layers, capsys, arguments, text):
    assert main(["gradcheck", write(layers, own_layer("Square")), *arguments]) == 2
    assert text in capsys.readouterr().err


def test_command_refuses_a_file_that_is_no_net(tmp_path, capsys):
    assert main(["gradcheck", str(tmp_path / "none.prototxt")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main(["gradcheck", write(tmp_path, "layer { what }")]) == 2
    assert "net.prototxt" in capsys.readouterr().err
