"""What help(), inspect.signature and a type checker show of the losses; and how functions refuse arguments."""

import inspect

import numpy as np
import pytest

import caffe_losses
from caffe_losses import losses

FUNCTIONS = list(caffe_losses.functions.values())
LOSSES = list(caffe_losses.classes.values())
each = pytest.mark.parametrize("function, loss", list(zip(FUNCTIONS, LOSSES)), ids=lambda x: x.__name__)


@each
def test_signatures_show_the_options(function, loss):
    options = [option.name for option in loss.options + loss.of_calls]
    of_function, of_class = inspect.signature(function), inspect.signature(loss)
    assert list(of_function.parameters)[1:] == ["labels", "weights", *options]
    assert list(of_class.parameters) == options
    for option in loss.options + loss.of_calls:
        for signature in (of_function, of_class):
            assert signature.parameters[option.name].default == option.default
            assert signature.parameters[option.name].kind is inspect.Parameter.KEYWORD_ONLY


@each
def test_docstrings_are_in_the_form_of_the_field(function, loss):
    text = inspect.getdoc(function)
    first = next(iter(inspect.signature(function).parameters))
    parts = ["loss = ", "d loss / d ", f"\nArgs:\n    {first}: (N, C, ...)", "\n    labels: DENSE: "]
    for part in [*parts, "\nReturns:\n    (loss, ", "\nRaises:\n    ValueError: ", "\nReferences:\n    "]:
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

    assert list(inspect.signature(Own).parameters) == ["axis", "reduction"]
    assert inspect.getdoc(Own).startswith("A loss of one's own.\n\nArgs:\n    axis: ")
