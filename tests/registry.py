"""Every loss with every option: the table that the contracts in test_losses and test_layers run over."""

from collections import namedtuple

import numpy as np

from caffe_losses import losses

Case = namedtuple("Case", "loss options shape axis")

OPTIONS = {
    "label_scale": ["SUM", "NONE"],
    "label_smoothing": [0.1],
    "class_weight": [2.5, "per class"],
    "pos_weight": [3, "per class"],
    "ignore_label": [0.25, 0],
    "normalization": ["FULL", "VALID", "BATCH_SIZE", "NONE"],
    "gamma": [0, 0.5, 3],
    "alpha": [None, 0.9],
    "gamma_pos": [1, 0.5],
    "gamma_neg": [0, 1, 2.5],
    "clip": [0, 0.3],
    "stop_gradient": [True],
    "lamb": [1, 3],
    "margin": [0, 2.5],
    "temperature_pos": [1, 0.5],
    "temperature_neg": [3],
}
TOGETHER = {
    "label_scale": "SUM",
    "label_smoothing": 0.2,
    "class_weight": "per class",
    "pos_weight": "per class",
    "ignore_label": 0.25,
    "normalization": "VALID",
}
UNANNOTATED = [
    {"unannotated": [2, 0.5]},
    {"unannotated": [1.5, 3], "clip": 0, "label_smoothing": 0},
    {"unannotated": [0, 1], "stop_gradient": True, "gamma_neg": 2.5},
]
SHAPES = [((6, 5), 1), ((2, 4, 3, 2), 1), ((2, 3, 4), -1), ((4, 3), 0), ((1, 1), 1)]


def filled(options, classes):
    """The options, with as many weights as there are classes where one a class is meant."""
    return {k: [0.5 + c for c in range(classes)] if v == "per class" else v for k, v in options.items()}


def cases():
    for name in losses.__all__:
        loss = getattr(losses, name)
        names = [option.name for option in loss.options]
        for shape, axis in SHAPES:
            yield Case(loss, {}, shape, axis)
            yield Case(loss, filled({k: v for k, v in TOGETHER.items() if k in names}, shape[axis]), shape, axis)
        for option in OPTIONS:
            for value in OPTIONS[option] if option in names else []:
                for shape, axis in SHAPES[:2]:
                    yield Case(loss, filled({option: value}, shape[axis]), shape, axis)
    for more in UNANNOTATED:
        for shape, axis in SHAPES[:2]:
            options = dict(filled(TOGETHER, shape[axis]), **more)
            del options["label_scale"]
            yield Case(losses.AsymmetricLoss, options, shape, axis)


def case_id(case):
    options = ",".join(f"{k}={v}" for k, v in case.options.items())
    return f"{case.loss.__name__}-{'x'.join(map(str, case.shape))}-{options or 'default'}"


CASES = list(cases())


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
    if case.options.get("ignore_label"):
        labels[random.rand(*case.shape) < 0.2] = case.options["ignore_label"]
    return scores.astype(dtype), labels


def build(case, **more):
    return case.loss(axis=case.axis, **dict(case.options, **more))


def settings(loss):
    """All options of a loss, for the reference."""
    values = {option.name: getattr(loss, option.name) for option in loss.options}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
