"""The losses, numpy in and numpy out: each a class whose instances are called as loss(scores, labels).

BinaryLoss, DistributionLoss and LogSumExpLoss are what a loss of your own is derived from.
"""

from .asymmetric import AsymmetricLoss
from .focal import SigmoidFocalLoss
from .hill import HillLoss
from .log_sum_exp import LogSumExpLoss as LogSumExpLoss
from .probability import BinaryCrossEntropyLoss, MultiLabelLogisticLoss
from .sigmoid import BinaryLoss as BinaryLoss
from .sigmoid import SigmoidCrossEntropyLoss
from .softmax import DistributionLoss as DistributionLoss
from .softmax import MultiLabelSoftmaxLoss
from .two_way import TwoWayLoss
from .zlpr import ZLPRLoss

__all__ = [
    "MultiLabelSoftmaxLoss",
    "SigmoidCrossEntropyLoss",
    "SigmoidFocalLoss",
    "AsymmetricLoss",
    "HillLoss",
    "ZLPRLoss",
    "TwoWayLoss",
    "MultiLabelLogisticLoss",
    "BinaryCrossEntropyLoss",
]
