"""The losses, numpy in and numpy out: each a class whose instances are called as loss(scores, labels)."""

from .sigmoid import SigmoidCrossEntropyLoss
from .softmax import MultiLabelSoftmaxLoss

__all__ = ["MultiLabelSoftmaxLoss", "SigmoidCrossEntropyLoss"]
