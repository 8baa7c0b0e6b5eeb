# Written by docs/tables.py from the options of the losses; do not edit.
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import losses as losses
from .predict import predict_labels as predict_labels

__version__: str
functions: dict[str, Callable[..., tuple[Any, NDArray[Any]]]]
from .losses import MultiLabelSoftmaxLoss as MultiLabelSoftmaxLoss
from .losses import SigmoidCrossEntropyLoss as SigmoidCrossEntropyLoss
from .losses import AsymmetricLoss as AsymmetricLoss
from .losses import SigmoidFocalLoss as SigmoidFocalLoss
from .losses import HillLoss as HillLoss
from .losses import MultiLabelLogisticLoss as MultiLabelLogisticLoss
from .losses import BinaryCrossEntropyLoss as BinaryCrossEntropyLoss
from .losses import TwoWayLoss as TwoWayLoss
from .losses import ZLPRLoss as ZLPRLoss

def multi_label_softmax_loss(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", label_scale: Literal["COUNT", "SUM", "NONE"] = "COUNT",
    soft_labels: bool = False, label_smoothing: float = 0.0,
    class_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    reduction: Literal["normalized", "none"] = "normalized"
) -> tuple[Any, NDArray[Any]]: ...

def sigmoid_cross_entropy_loss(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False, label_smoothing: float = 0.0,
    class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
    pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    reduction: Literal["normalized", "none"] = "normalized"
) -> tuple[Any, NDArray[Any]]: ...

def asymmetric_loss(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False, label_smoothing: float = 0.0,
    class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
    pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE", gamma_pos: float = 0.0,
    gamma_neg: float = 4.0, clip: float = 0.05, stop_gradient: bool = False, unannotated: Sequence[float] | None = None,
    reduction: Literal["normalized", "none"] = "normalized"
) -> tuple[Any, NDArray[Any]]: ...

def sigmoid_focal_loss(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False, label_smoothing: float = 0.0,
    class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
    pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE", gamma: float = 2.0,
    alpha: float | None = 0.25, reduction: Literal["normalized", "none"] = "normalized"
) -> tuple[Any, NDArray[Any]]: ...

def hill_loss(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False, label_smoothing: float = 0.0,
    class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
    pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE", lamb: float = 1.5,
    margin: float = 1.0, gamma: float = 2.0, reduction: Literal["normalized", "none"] = "normalized"
) -> tuple[Any, NDArray[Any]]: ...

def multi_label_logistic_loss(
    probabilities: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", label_scale: Literal["COUNT", "SUM", "NONE"] = "COUNT",
    soft_labels: bool = False, label_smoothing: float = 0.0,
    class_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    reduction: Literal["normalized", "none"] = "normalized"
) -> tuple[Any, NDArray[Any]]: ...

def binary_cross_entropy_loss(
    probabilities: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False, label_smoothing: float = 0.0,
    class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
    pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
    reduction: Literal["normalized", "none"] = "normalized"
) -> tuple[Any, NDArray[Any]]: ...

def two_way_loss(
    scores: ArrayLike, labels: ArrayLike, weights: None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID", temperature_pos: float = 4.0,
    temperature_neg: float = 1.0
) -> tuple[Any, NDArray[Any]]: ...

def zlpr_loss(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, axis: int = 1,
    label_format: Literal["DENSE", "INDEX"] = "DENSE", ignore_label: float | None = None,
    normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
    reduction: Literal["normalized", "none"] = "normalized"
) -> tuple[Any, NDArray[Any]]: ...
