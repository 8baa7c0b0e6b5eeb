"""The options of the losses. Metrics and data share two of them: LABEL_FORMAT and IGNORE_LABEL."""

import io

import numpy as np

from .. import files
from ..options import FINITE, FLAG, NO_NUMBERS, WHOLE, Domain, Option, nullable, number, one_of

# Of labels and of each weight: products of them stay finite in float32, so that a finite loss has a finite gradient.
LIMIT = 1e6


def numbers_in(path):
    content = files.read(path)
    if path.endswith(".npy"):
        return np.load(io.BytesIO(content), allow_pickle=False)
    return [float(word) for word in content.decode().split()]


def class_weights(value):
    """One weight for all classes, or one each: a number, a list, or a .npy or .txt file's name."""
    if isinstance(value, str):
        if not value.endswith((".npy", ".txt")):
            raise ValueError
        value = numbers_in(value)
    elif isinstance(value, bool):
        raise ValueError
    weights = np.asarray(value)
    if weights.dtype.kind not in "iuf":
        raise ValueError
    weights = weights.astype(np.float64)
    if weights.ndim > 1 or not weights.size or not ((weights >= 0) & (weights <= LIMIT)).all():
        raise ValueError
    return weights


WEIGHTS = nullable(
    Domain(
        "a number in [0, 1e6], a list of one a class, or the name of a .npy or .txt file with them",
        class_weights,
        "float | Sequence[float] | NDArray[Any] | str",
        (2.5, [0.5, 1.5, 2.5, 3.5, 4.5]),  # tests repeat or cut a list to the number of classes
        (*NO_NUMBERS, -1, [1, -1], [1, float("nan")], 2 * LIMIT, ["1"], "weights.csv"),
    )
)
AXIS = Option("axis", 1, WHOLE, "Axis of the classes. A negative number counts from the last axis.")
IGNORE_LABEL = Option(
    "ignore_label",
    None,
    nullable(FINITE),
    "Labels exactly equal to this are ignored. DENSE: that class is left out for that row. "
    "INDEX: that index is skipped. A row with nothing else is left out.",
    tried=(0, 0.25, 1),
)
NORMALIZATION = Option(
    "normalization",
    "VALID",
    one_of("FULL", "VALID", "BATCH_SIZE", "NONE"),
    "Divides the summed loss. FULL: by the number of rows. VALID: by the number of rows that are not ignored. "
    "BATCH_SIZE: by the batch size. NONE: by 1.",
)
LABEL_FORMAT = Option(
    "label_format",
    "DENSE",
    one_of("DENSE", "INDEX"),
    "DENSE: one label for each score. INDEX: up to K class indices in each row, padded with -1.",
)
LABEL_SCALE = Option(
    "label_scale",
    "COUNT",
    one_of("COUNT", "SUM", "NONE"),
    "Divides the labels of a row. COUNT: by the number of labels that are not 0. SUM: by their sum. NONE: by 1.",
)
SOFT_LABELS = Option(
    "soft_labels",
    False,
    FLAG,
    "false: labels that look like something else are refused: whole numbers above 1, or all 0 or a scale of pictures "
    "such as 1/255. Not with label_scale SUM. true: they are meant.",
    tried=(True,),
)
LABEL_SMOOTHING = Option(
    "label_smoothing",
    0.0,
    number(0, 1, high_open=True),
    "A target t becomes (1 - e) t + e / C, where e is this value and C the number of classes that are not ignored.",
    tried=(0.1,),
)
CLASS_WEIGHT = Option("class_weight", None, WEIGHTS, "Multiplies the loss of each class.")
POS_WEIGHT = Option("pos_weight", None, WEIGHTS, "Multiplies the loss of the positive labels.")
REDUCTION = Option(
    "reduction",
    "normalized",
    one_of("normalized", "none"),
    "normalized: the loss is a number, the sum over the normalizer. none: it is an array, the loss of each row or, in "
    "the sigmoid family, of each score, and the gradient is that of their sum.",
)
