"""What help(), inspect.signature and a type checker show of the losses; and how functions refuse arguments."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import caffe_losses
from caffe_losses import losses

FUNCTIONS = list(caffe_losses.functions.values())
LOSSES = list(caffe_losses.classes.values())
each = pytest.mark.parametrize("function, loss", list(zip(FUNCTIONS, LOSSES)), ids=lambda x: x.__name__)


@each
def test_signatures_show_the_options(function, loss):
    options = [option.name for option in loss.options]
    of_function, of_class = inspect.signature(function), inspect.signature(loss)
    assert list(of_function.parameters)[1:] == ["labels", "weights", *options]
    assert list(of_class.parameters) == options
    for option in loss.options:
        for signature in (of_function, of_class):
            assert signature.parameters[option.name].default == option.default
            assert signature.parameters[option.name].kind is inspect.Parameter.KEYWORD_ONLY


@each
def test_docstrings_are_in_the_form_of_the_field(function, loss):
    text = inspect.getdoc(function)
    first = list(inspect.signature(function).parameters)[0]
    for part in ("loss = ", "d loss / d ", f"\nArgs:\n    {first}: (N, C, ...)", "\n    labels: DENSE: ", "\nReturns:\n",
                 "\nRaises:\n    ValueError: ", "\nReferences:\n    "):  # fmt: skip
        assert part in text
    for option in loss.options:
        words = " ".join(text.split())
        assert f"{option.name}: {option.meaning}" in words
        assert f"{option.name}: {option.meaning}" in " ".join(inspect.getdoc(loss).split())
    assert max(map(len, text.splitlines())) <= 120


def test_functions_refuse_by_name():
    function, scores = caffe_losses.asymmetric_loss, np.zeros((2, 3))
    with pytest.raises(TypeError, match=r"^asymmetric_loss: expected at most 3 positional arguments, scores, labels, "
                       r"weights, got 4; give options by name, e\.g\. axis=1$"):  # fmt: skip
        function(scores, scores, np.ones(2), 1)
    with pytest.raises(TypeError, match=r"^asymmetric_loss: missing a required argument: 'labels'$"):
        function(scores)
    with pytest.raises(
        ValueError, match=r"^AsymmetricLoss: expected parameters among .*, got 'klip'; did you mean clip"
    ):
        function(scores, scores, klip=0.1)
    assert function(scores=scores, labels=scores, weights=np.ones(2))[0] == function(scores, scores)[0]


def test_a_loss_of_ones_own_is_described_too():
    class Own(losses.SigmoidCrossEntropyLoss):
        """A loss of one's own."""

        options = losses.SigmoidCrossEntropyLoss.options[:1]

    assert list(inspect.signature(Own).parameters) == ["axis"]
    assert inspect.getdoc(Own).startswith("A loss of one's own.\n\nArgs:\n    axis: ")


WRONG = """
import numpy as np
import caffe_losses

scores = np.zeros((2, 3))
loss, gradient = caffe_losses.asymmetric_loss(scores, scores, clip=0.1)
number: float = loss
caffe_losses.MultiLabelSoftmaxLoss(label_scale="SUM")(scores, scores)
caffe_losses.multi_label_softmax_loss(scores, scores, None, 1)  # wrong
caffe_losses.multi_label_softmax_loss(scores, scores, label_scale="AMOUNT")  # wrong
caffe_losses.SigmoidFocalLoss(clip=0.1)  # wrong
"""


def test_a_type_checker_knows_the_options(tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG)
    root = Path(caffe_losses.__file__).parents[1]
    command = [sys.executable, "-m", "mypy", "--config-file=", "--ignore-missing-imports", "wrong.py"]
    process = subprocess.run(command, cwd=str(tmp_path), env={"MYPYPATH": str(root), "PATH": ""}, stdout=subprocess.PIPE,
                             universal_newlines=True)  # fmt: skip
    errors = re.findall(r"^wrong\.py:(\d+): error", process.stdout, re.MULTILINE)
    assert set(map(int, errors)) == {k for k, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# wrong")}
