# Written by docs/tables.py from the options of the losses; do not edit.
from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from .base import Loss
from .log_sum_exp import LogSumExpLoss as LogSumExpLoss
from .sigmoid import BinaryLoss as BinaryLoss
from .softmax import DistributionLoss as DistributionLoss

__all__: list[str]
classes: dict[str, type[Loss]]

class MultiLabelSoftmaxLoss(DistributionLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE",
        label_scale: Literal["COUNT", "SUM", "NONE"] = "COUNT", soft_labels: bool = False, label_smoothing: float = 0.0,
        class_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
        reduction: Literal["normalized", "none"] = "normalized"
    ) -> None: ...

class SigmoidCrossEntropyLoss(BinaryLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False,
        label_smoothing: float = 0.0, class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
        pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
        reduction: Literal["normalized", "none"] = "normalized"
    ) -> None: ...

class AsymmetricLoss(BinaryLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False,
        label_smoothing: float = 0.0, class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
        pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE", gamma_pos: float = 0.0,
        gamma_neg: float = 4.0, clip: float = 0.05, stop_gradient: bool = False,
        unannotated: Sequence[float] | None = None, reduction: Literal["normalized", "none"] = "normalized"
    ) -> None: ...

class SigmoidFocalLoss(BinaryLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False,
        label_smoothing: float = 0.0, class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
        pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE", gamma: float = 2.0,
        alpha: float | None = 0.25, reduction: Literal["normalized", "none"] = "normalized"
    ) -> None: ...

class HillLoss(BinaryLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False,
        label_smoothing: float = 0.0, class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
        pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE", lamb: float = 1.5,
        margin: float = 1.0, gamma: float = 2.0, reduction: Literal["normalized", "none"] = "normalized"
    ) -> None: ...

class MultiLabelLogisticLoss(DistributionLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE",
        label_scale: Literal["COUNT", "SUM", "NONE"] = "COUNT", soft_labels: bool = False, label_smoothing: float = 0.0,
        class_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
        reduction: Literal["normalized", "none"] = "normalized"
    ) -> None: ...

class BinaryCrossEntropyLoss(BinaryLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE", soft_labels: bool = False,
        label_smoothing: float = 0.0, class_weight: float | Sequence[float] | NDArray[Any] | str | None = None,
        pos_weight: float | Sequence[float] | NDArray[Any] | str | None = None, ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "BATCH_SIZE",
        reduction: Literal["normalized", "none"] = "normalized"
    ) -> None: ...

class TwoWayLoss(LogSumExpLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE", ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID", temperature_pos: float = 4.0,
        temperature_neg: float = 1.0
    ) -> None: ...

class ZLPRLoss(LogSumExpLoss):
    def __init__(
        self, *, axis: int = 1, label_format: Literal["DENSE", "INDEX"] = "DENSE", ignore_label: float | None = None,
        normalization: Literal["FULL", "VALID", "BATCH_SIZE", "NONE"] = "VALID",
        reduction: Literal["normalized", "none"] = "normalized"
    ) -> None: ...
