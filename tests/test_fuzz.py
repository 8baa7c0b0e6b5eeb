"""Random losses, shapes, options and inputs: each agrees with the reference or is refused in one clear line.

The kernels and numpy are to do the same, and to refuse in the same words.

FUZZ sets how many cases (`make fuzz`: 100,000); what is found becomes a test of its own elsewhere.
"""

import json
import os
from collections import namedtuple
from unittest import mock

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
HIGHEST = [0.3, 0.6, 1, -0.3, -0.6, -1]  # of the largest number of the type
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
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    highest = (np.array(HIGHEST) * np.finfo(dtype).max).tolist() * (
        kind.has_probabilities and not draw(st.integers(0, 9))
    )
    scores = random.choice(values[: draw(st.integers(2, len(values)))] + strange + highest, shape)
    labels = draw_labels(draw, random, options, shape, strange)
    weights = random.choice([0, 1, 2.5] + strange, scores.size // shape[axis])
    if draw(st.integers(0, 9)) == 0:
        options[draw(st.one_of(st.sampled_from(names), st.text(max_size=6)))] = draw(MISFITS)
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
    found, plain = (outcome(level, kind, options, scores, labels, weights) for level in ("v4", "numpy"))
    for array, copy in zip((scores, labels, weights), copies):
        np.testing.assert_array_equal(array, copy)
    assert found.refusal == plain.refusal
    if found.refusal:
        assert_clear(kind, found.refusal)
        event("refused")
        return
    for one in (found, plain):
        assert one.gradient.shape == scores.shape
        assert np.isfinite(one.value)
        assert np.isfinite(one.gradient).all()
        event("agrees")
        agrees(one, scores, labels, weights)


Outcome = namedtuple("Outcome", "loss value gradient refusal")


def outcome(level, kind, options, *arrays):
    with mock.patch.dict(os.environ, CAFFE_LOSSES_KERNELS=level):
        try:
            loss = kind(**options)
            return Outcome(loss, *loss(*arrays), None)
        except ValueError as refusal:
            return Outcome(None, None, None, str(refusal))


def assert_clear(kind, text):
    assert text.startswith(kind.__name__ + ": ")
    assert ";" in text
    assert len(text.splitlines()) == 1
    assert len(text) < 400


def agrees(found, scores, labels, weights):
    """To a few roundings of the largest number in the sums."""
    loss, value, gradient, _ = found
    if not (np.abs(scores.astype(np.float64)) < 1e300).all():
        return  # more than the reference computes with; or not finite, and ignored, which it would not slice off
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


@st.composite
def wrong_labels(draw):
    """A loss, its options, scores, and labels of which one is wrong, somewhere; and what is said of it."""
    kind = draw(st.sampled_from(LOSSES))
    shape = draw(st.sampled_from([(2,), (2, 3), (1, 15), (2, 16), (3, 17), (1, 4, 5), (2, 300), (1, 2, 150)]))
    shape = (shape[0], draw(st.sampled_from([2, 3, 5, 17, 48, 49, 70])), *shape[1:])
    random = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    options = {
        "ignore_label": draw(st.sampled_from([None, 1])),
        "label_format": draw(st.sampled_from(["DENSE", "INDEX"])),
    }
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    if options["label_format"] == "DENSE":
        labels = random.choice([0, 0, 0, 1], shape)
        wrong = [np.nan, np.inf, -np.inf, -2, 1e7] + [0.5] * issubclass(kind, losses.LogSumExpLoss)
        wrong += [shape[1]] * (kind.label_limit == 1)
    else:
        labels = np.argsort(random.rand(*shape), axis=1)[:, : draw(st.integers(1, min(4, shape[1])))]
        labels = np.where(random.rand(*labels.shape) < 0.3, -1, labels)
        wrong = [np.nan, np.inf, -np.inf, -2, shape[1], 0.5, 1.5, -0.5, 7e9]
    labels = labels.astype(dtype)
    place = tuple(random.randint(labels.shape))
    labels[place] = draw(st.sampled_from(wrong))
    row = np.arange(labels[:, 0].size).reshape(labels[:, 0].shape)[place[:1] + place[2:]]
    where = f"row {row}" + f", class {place[1]}" * (options["label_format"] == "DENSE")
    said = f"{kind.__name__}: labels[{', '.join(map(str, place))}] is {labels[place]!s} ({where}); "
    return kind, options, random.rand(*shape).astype(dtype), labels, said


@FUZZ
@given(wrong_labels())
def test_one_wrong_label_is_refused(problem):
    kind, options, scores, labels, said = problem
    for level in ("v4", "base", "numpy"):
        refusal = outcome(level, kind, options, scores, labels).refusal
        assert refusal is not None, level
        assert refusal.startswith(said), level
        assert_clear(kind, refusal)


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
