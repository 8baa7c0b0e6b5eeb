"""Every loss with every option: the tables that the contracts in test_losses and test_layers run over.

The values of an option are its own: see `Option.tried` and `Domain.valid` in caffe_losses/options.py.
"""

from collections import namedtuple

import numpy as np

from caffe_losses import losses
from caffe_losses.losses.options import WEIGHTS

Case = namedtuple("Case", "loss options shape axis")

LOSSES = list(losses.classes.values())
OF_ARRAYS = "axis", "label_format"  # these say what the arrays look like, so that the contracts choose them
TOGETHER = {
    "label_scale": "SUM",
    "label_smoothing": 0.2,
    "class_weight": [0.5, 1.5, 2.5, 3.5, 4.5],
    "pos_weight": [0.5, 1.5, 2.5, 3.5, 4.5],
    "ignore_label": 0.25,
    "normalization": "VALID",
}
NEEDED = {"unannotated": {"ignore_label": 0.25}}  # what an option is refused without
UNANNOTATED = [
    {"unannotated": [1.5, 3], "clip": 0, "label_smoothing": 0},
    {"unannotated": [0, 1], "stop_gradient": True, "gamma_neg": 2.5},
]
SHAPES = [((6, 5), 1), ((2, 4, 3, 2), 1), ((2, 3, 4), -1), ((4, 3), 0), ((1, 1), 1)]


def case(loss, options, shape, axis):
    """With as many weights as there are classes."""
    weights = [option.name for option in loss.options if option.domain is WEIGHTS and np.ndim(options.get(option.name))]
    return Case(
        loss, dict(options, **{name: np.resize(options[name], shape[axis]).tolist() for name in weights}), shape, axis
    )


def together(loss):
    return {option.name: TOGETHER[option.name] for option in loss.options if option.name in TOGETHER}


def of_shapes():
    """Each loss with its defaults, and with all that losses share, in each shape."""
    return [case(loss, options, *shape) for loss in LOSSES for shape in SHAPES for options in ({}, together(loss))]


def of_values():
    """Each value of each option: on images alone, and on pixels with all that losses share."""
    for loss in LOSSES:
        for option in loss.options:
            for value in () if option.name in OF_ARRAYS else option.values():
                if value != option.default:
                    yield case(loss, dict(NEEDED.get(option.name, {}), **{option.name: value}), *SHAPES[0])
                yield case(loss, dict(together(loss), **{option.name: value}), *SHAPES[1])
    for options in UNANNOTATED:
        yield case(losses.AsymmetricLoss, dict(together(losses.AsymmetricLoss), **options), *SHAPES[1])


def case_id(case):
    options = ",".join(f"{k}={v}" for k, v in case.options.items())
    return f"{case.loss.__name__}-{'x'.join(map(str, case.shape))}-{options or 'default'}"


COMMON = of_shapes()
CASES = COMMON + [case for case in of_values() if case not in COMMON]


def inputs(case, seed=0, real=False, dtype=np.float64):
    """Scores and labels that suit the case: one empty row, some ignored, labels 0 and 1 or real ones."""
    random = np.random.RandomState(seed)
    scores = random.randn(*case.shape) * 2
    if not case.loss.has_probabilities:
        scores = 0.05 + 0.9 / (1 + np.exp(-scores))
    labels = (random.rand(*case.shape) < 0.4).astype(dtype)
    if real and not issubclass(case.loss, losses.LogSumExpLoss):  # which wants 0 or 1
        labels *= np.round(random.rand(*case.shape), 2)
    first_row = [slice(None) if axis == case.axis % len(case.shape) else 0 for axis in range(len(case.shape))]
    labels[tuple(first_row)] = 0
    if case.options.get("ignore_label") is not None:
        labels[random.rand(*case.shape) < 0.2] = case.options["ignore_label"]
    return scores.astype(dtype), labels


def build(case, **more):
    return case.loss(axis=case.axis, **dict(case.options, **more))


def settings(loss):
    """All options of a loss that its numbers depend on, for the reference."""
    values = {option.name: getattr(loss, option.name) for option in loss.options if option.name != "soft_labels"}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
