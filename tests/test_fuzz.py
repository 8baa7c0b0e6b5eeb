"""Random losses, shapes, options and inputs: each agrees with the reference or is refused in one clear line.

FUZZ sets how many cases (`make fuzz`: 100,000); what is found becomes a test of its own elsewhere.
"""

import json
import os

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from registry import LOSSES, case
from registry import settings as settings_of

from caffe_losses import losses
from caffe_losses.options import parse

CASES = int(os.environ.get("FUZZ", "300"))
FUZZ = settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

MISFITS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=3)
)
SCORES = [0, 1, -1, 0.3, -2.5, 7, 100, -100, 1e4, -1e4, 1e30, -1e30]
PROBABILITIES = [0, 1, 0.5, 0.2, 1e-3, 1 - 2**-24, 1e-21, 1e-30]
LABELS = [0, 0, 0, 1, 1, 0.5]
STRANGE = [np.nan, np.inf, -np.inf, -1, 2, 255, 1e38]


@st.composite
def problems(draw):
    """A loss, its options, scores, labels and weights: fitting each other, but for a misfit here and there."""
    kind = draw(st.sampled_from(LOSSES))
    names = [option.name for option in kind.options]
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)))
    axis = draw(st.integers(0, len(shape) - 1))
    drawn = draw(st.sets(st.sampled_from(names)))
    options = {o.name: draw(st.sampled_from((*o.domain.valid, *o.tried))) for o in kind.options if o.name in drawn}
    options = case(kind, dict(options, axis=axis), shape, axis).options
    random = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    strange = STRANGE * (draw(st.integers(0, 9)) == 0)
    values = SCORES if kind.has_probabilities else PROBABILITIES
    scores = random.choice(values[: draw(st.integers(2, len(values)))] + strange, shape)
    labels = draw_labels(draw, random, options, shape, strange)
    weights = random.choice([0, 1, 2.5] + strange, scores.size // shape[axis])
    if draw(st.integers(0, 9)) == 0:
        options[draw(st.one_of(st.sampled_from(names), st.text(max_size=6)))] = draw(MISFITS)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return kind, options, scores.astype(dtype), labels.astype(dtype), draw(st.sampled_from([None, weights]))


def draw_labels(draw, random, options, shape, strange):
    ignored = [] if options.get("ignore_label") is None else [options["ignore_label"]]
    if not draw(st.integers(0, 19)):
        return random.choice(LABELS, tuple(draw(st.lists(st.integers(0, 4), max_size=4))))
    if options.get("label_format") != "INDEX":
        return random.choice(LABELS + strange + ignored, shape)
    slots = shape[: options["axis"]] + (draw(st.integers(1, 3)),) + shape[options["axis"] + 1 :]
    return random.choice(list(range(-1, shape[options["axis"]])) + strange + ignored, slots)


@FUZZ
@given(problems())
def test_agrees_or_is_refused(problem):
    kind, options, scores, labels, weights = problem
    copies = [None if a is None else a.copy() for a in (scores, labels, weights)]
    try:
        loss = kind(**options)
        value, gradient = loss(scores, labels, weights)
    except ValueError as refusal:
        assert_clear(kind, str(refusal))
        event("refused")
        return
    finally:
        for array, copy in zip((scores, labels, weights), copies):
            np.testing.assert_array_equal(array, copy)
    assert gradient.shape == scores.shape
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    event("agrees")
    agrees(loss, scores, labels, weights, value, gradient)


def assert_clear(kind, text):
    assert text.startswith(kind.__name__ + ": ")
    assert ";" in text
    assert len(text.splitlines()) == 1
    assert len(text) < 400


def agrees(loss, scores, labels, weights, value, gradient):
    """To a few roundings of the largest number in the sums."""
    if not np.isfinite(scores).all():
        return  # an ignored score that is not finite, which the reference would take part in slicing off
    options = dict(settings_of(loss), ignore_label=loss.ignored_value)  # in the type of the labels
    expected, slopes = reference.reduce(loss.name(), scores, labels, weights, **options)
    eps = np.finfo(scores.dtype).eps
    gamma = max(getattr(loss, name, 0) for name in ("gamma", "gamma_pos", "gamma_neg"))
    scale = weight_scale(loss, labels, weights) * (1 + gamma) * (1 + loss.rows) * loss.classes
    assert abs(value - expected) <= 8 * eps * (abs(expected) + scale)
    assert np.abs(gradient - slopes.reshape(gradient.shape)).max() <= 8 * eps * (scale + np.abs(slopes).max())


def weight_scale(loss, labels, weights):
    """How large targets and weights are together."""
    scale = 1.0 if weights is None else max(1.0, np.max(weights, initial=0))
    for name in ("class_weight", "pos_weight"):
        if getattr(loss, name, None) is not None:
            scale *= max(1.0, np.max(getattr(loss, name)))
    return scale * max(1.0, np.abs(labels).max(initial=0))


@FUZZ
@given(st.one_of(st.text(max_size=40), st.dictionaries(st.text(max_size=8), MISFITS, max_size=3).map(json.dumps)))
def test_param_strs(text):
    try:
        losses.MultiLabelSoftmaxLoss(**parse("MultiLabelSoftmaxLoss", text))
    except ValueError as refusal:
        assert_clear(losses.MultiLabelSoftmaxLoss, str(refusal))


@pytest.mark.parametrize("text", ["{1: 2}", "{'axis': [[1]]}", "{None: 1}", "{'': 1}", "{(): 1}", "{'a\\nb': 1}"])
def test_strange_param_strs(text):
    with pytest.raises(ValueError, match=r"^MultiLabelSoftmaxLoss: ") as refusal:
        losses.MultiLabelSoftmaxLoss(**parse("MultiLabelSoftmaxLoss", text))
    assert_clear(losses.MultiLabelSoftmaxLoss, str(refusal.value))
