"""The losses, numpy in and numpy out: each a class whose instances are called as loss(scores, labels).

BinaryLoss and DistributionLoss are what a loss of your own is derived from.
"""

from .asymmetric import AsymmetricLoss
from .focal import SigmoidFocalLoss
from .probability import BinaryCrossEntropyLoss, MultiLabelLogisticLoss
from .sigmoid import BinaryLoss as BinaryLoss
from .sigmoid import SigmoidCrossEntropyLoss
from .softmax import DistributionLoss as DistributionLoss
from .softmax import MultiLabelSoftmaxLoss

__all__ = [
    "MultiLabelSoftmaxLoss",
    "SigmoidCrossEntropyLoss",
    "SigmoidFocalLoss",
    "AsymmetricLoss",
    "MultiLabelLogisticLoss",
    "BinaryCrossEntropyLoss",
]
