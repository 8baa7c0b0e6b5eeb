"""The losses as Caffe layers, for a prototxt:

layer {
  name: "loss" type: "Python" bottom: "scores" bottom: "labels" top: "loss" loss_weight: 1
  python_param { module: "caffe_losses.layers" layer: "MultiLabelSoftmaxLoss"
                 param_str: '{"label_scale": "COUNT"}' }
}
"""

from .. import losses
from .data import MultiLabelImageData
from .loss import LossLayer
from .metrics import MultiLabelMetrics

__all__ = [*losses.__all__, "MultiLabelImageData", "MultiLabelMetrics"]


class MultiLabelSoftmaxLoss(LossLayer):
    __doc__ = losses.MultiLabelSoftmaxLoss.__doc__
    loss_type = losses.MultiLabelSoftmaxLoss


class SigmoidCrossEntropyLoss(LossLayer):
    __doc__ = losses.SigmoidCrossEntropyLoss.__doc__
    loss_type = losses.SigmoidCrossEntropyLoss


class SigmoidFocalLoss(LossLayer):
    __doc__ = losses.SigmoidFocalLoss.__doc__
    loss_type = losses.SigmoidFocalLoss


class AsymmetricLoss(LossLayer):
    __doc__ = losses.AsymmetricLoss.__doc__
    loss_type = losses.AsymmetricLoss


class MultiLabelLogisticLoss(LossLayer):
    __doc__ = losses.MultiLabelLogisticLoss.__doc__
    loss_type = losses.MultiLabelLogisticLoss


class BinaryCrossEntropyLoss(LossLayer):
    __doc__ = losses.BinaryCrossEntropyLoss.__doc__
    loss_type = losses.BinaryCrossEntropyLoss
