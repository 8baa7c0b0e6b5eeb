"""The losses, numpy in and numpy out: each a class whose instances are called as loss(scores, labels)."""

from .asymmetric import AsymmetricLoss
from .focal import SigmoidFocalLoss
from .probability import BinaryCrossEntropyLoss, MultiLabelLogisticLoss
from .sigmoid import SigmoidCrossEntropyLoss
from .softmax import MultiLabelSoftmaxLoss

__all__ = [
    "MultiLabelSoftmaxLoss",
    "SigmoidCrossEntropyLoss",
    "SigmoidFocalLoss",
    "AsymmetricLoss",
    "MultiLabelLogisticLoss",
    "BinaryCrossEntropyLoss",
]
