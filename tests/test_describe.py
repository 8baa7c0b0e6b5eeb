"""What help(), inspect.signature and a type checker show of the losses; and how functions refuse arguments."""

import doctest
import inspect
import re

import numpy as np
import pytest

import caffe_losses
from caffe_losses import losses
from caffe_losses.losses.describe import in_python

FUNCTIONS = list(caffe_losses.functions.values())
LOSSES = list(losses.classes.values())
each = pytest.mark.parametrize("function, loss", list(zip(FUNCTIONS, LOSSES)), ids=lambda x: x.__name__)


@each
def test_signatures_show_the_options(function, loss):
    options = [option.name for option in loss.options + loss.of_calls]
    of_function, of_class = inspect.signature(function), inspect.signature(loss)
    assert list(of_function.parameters) == [loss.scores_are, "labels", "weights", *options]
    assert list(of_class.parameters) == options
    for option in loss.options + loss.of_calls:
        for signature in (of_function, of_class):
            assert signature.parameters[option.name].default == option.default
            assert signature.parameters[option.name].kind is inspect.Parameter.KEYWORD_ONLY


@each
def test_docstrings_are_in_the_form_of_the_field(function, loss):
    arrays = [f"    {loss.scores_are}: (N, C, ...)", f"    labels: DENSE: {loss.labels_are} for each score. INDEX: "]
    ends = ["Returns:\n    (loss, ", "Raises:\n    ValueError: ", "References:\n    "]
    for text, parts in (
        (inspect.getdoc(function), ["Args:\n" + arrays[0], arrays[1], *ends, "Example:\n    >>> "]),
        (inspect.getdoc(loss), ["Args:\n    axis: Axis ", "Called with:\n" + arrays[0], arrays[1], *ends]),
    ):
        for part in ["loss = ", "d loss / d ", *("\n" + part for part in parts)]:
            assert part in text
        assert ("weights: one number in [0, 1e6] for each row" in text) == loss.row_weights
        words = " ".join(text.split())
        for option in loss.options + loss.of_calls:
            assert f"{option.name}: {in_python(option.meaning)}" in words
        assert max(map(len, text.splitlines())) <= 120
        assert not re.search(r"\b(null|second top)\b", text)


TWICE, ONCE = "a repeated one counts each time", "each once"


@pytest.mark.parametrize("function, labels, full, repeated", [
    (caffe_losses.multi_label_softmax_loss, "a number in [0, 1e6]", "rows", TWICE),
    (caffe_losses.sigmoid_focal_loss, "a number in [0, 1]", "scores", ONCE),
    (caffe_losses.zlpr_loss, "0 or 1", "rows", ONCE),
], ids=lambda x: getattr(x, "__name__", None))  # fmt: skip
def test_docstrings_say_what_labels_may_be_and_what_is_counted(function, labels, full, repeated):
    words = " ".join(function.__doc__.split())
    assert f"labels: DENSE: {labels} for each score." in words
    assert f"padded with -1; {repeated}." in words
    assert f"FULL: by the number of {full}." in words
    twice = [[0.1, 0.2, 0.3]], [[1, 1]]
    if repeated == TWICE:
        assert function(*twice, label_format="INDEX")[0] > 0
    else:
        with pytest.raises(ValueError, match="give each class of a row once"):
            function(*twice, label_format="INDEX")


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda x: x.__name__)
def test_examples_run(function):
    example = doctest.DocTestParser().get_doctest(function.__doc__, {}, function.__name__, None, None)
    assert doctest.DocTestRunner().run(example) == (0, 5)


@each
def test_what_is_returned(function, loss):
    """An array only where a reduction is offered, which is one that works."""
    text = "    (loss, gradient): a float{}, and an array like `" + loss.scores_are
    array = " or, with reduction none, an array"
    for documented in (function, loss):
        assert text.format(array * loss.row_weights) in inspect.getdoc(documented)
        assert ("reduction" in inspect.signature(documented).parameters) == loss.row_weights
    if loss.row_weights:
        assert function([[0.1, 0.2]], [[0, 1]], reduction="none")[0].shape
    assert np.shape(function([[0.1, 0.2]], [[0, 1]])[0]) == ()


def test_no_name_is_public_by_accident():
    public = {name for name, value in vars(caffe_losses).items() if name[0] != "_" and not inspect.ismodule(value)}
    assert public == {*caffe_losses.__all__, "functions"} - {"losses"}


def test_functions_refuse_by_name():
    function, scores = caffe_losses.asymmetric_loss, np.zeros((2, 3))
    for arrays in ((scores, scores, np.ones(2), 1), (scores,)):
        with pytest.raises(
            TypeError,
            match=r"^asymmetric_loss: .*; expected scores, labels, weights, and options by name, e\.g\. axis=1$",
        ):
            function(*arrays)
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

    class WithAnInit(Own):
        def __init__(self, rate):
            super().__init__()

    assert list(inspect.signature(WithAnInit).parameters) == ["rate"]
