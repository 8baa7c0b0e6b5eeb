"""From scores to sets of labels."""

from typing import TYPE_CHECKING, Optional

import numpy as np

from .labels import numbers_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def predict_labels(
    scores: "ArrayLike",
    threshold: "Optional[ArrayLike]" = None,
    top_k: Optional[int] = None,
    at_least_one: bool = True,
    axis: int = 1,
) -> "NDArray[np.bool_]":
    """Decide which labels each row has. With both threshold and top_k, both have to admit a label.

    Args:
        scores: any shape with the classes on `axis`: scores or, which have the same order, probabilities.
        threshold: a label is given if its score is >= this: one number, or one a class, in the scores'
            own unit (0.5 of sigmoid probabilities is 0 of scores).
        top_k: only the k highest scores of a row are given; the lower class first among equals.
        at_least_one: the highest score of a row is given whatever the threshold.
        axis: of the classes.

    Returns:
        A boolean array of the scores' shape.

    Raises:
        ValueError: neither threshold nor top_k, one of them is wrong, or a score is NaN.
    """
    scores = np.moveaxis(numbers_of("predict_labels", "scores", scores), axis, -1)
    classes = scores.shape[-1]
    if threshold is None and top_k is None:
        raise ValueError("predict_labels: expected a threshold or top_k, got neither; e.g. threshold=0.5")
    if np.isnan(scores).any():
        raise ValueError(f"predict_labels: scores[{first(np.isnan(scores))}] is nan (classes last); give numbers")
    is_label = np.ones(scores.shape, bool)
    if threshold is not None:
        is_label &= scores >= checked_threshold(threshold, classes)
    if top_k is not None:
        if top_k != int(top_k) or top_k < 1:
            raise ValueError(f"predict_labels: expected a whole top_k >= 1, got {top_k}")
        is_label &= np.argsort(np.argsort(-scores, axis=-1, kind="mergesort"), axis=-1, kind="mergesort") < top_k
    if at_least_one and classes:
        is_label |= np.arange(classes) == scores.argmax(axis=-1)[..., None]
    return np.moveaxis(is_label, -1, axis)


def checked_threshold(threshold, classes):
    threshold = numbers_of("predict_labels", "threshold", threshold).astype(np.float64)
    if threshold.size not in (1, classes) or threshold.ndim > 1 or np.isnan(threshold).any():
        text = f"predict_labels: expected one threshold or one for each of {classes} classes, got {threshold}"
        raise ValueError(text.replace("\n", ""))
    return threshold


def first(wrong):
    return ", ".join(str(i) for i in np.argwhere(wrong)[0])
