"""Multi-label losses for Caffe. Importing this package never imports caffe; `caffe_losses.layers` does.

The losses as pure functions, numpy in and numpy out, each giving (loss, gradient):

    loss, gradient = caffe_losses.multi_label_softmax_loss(scores, labels, label_scale="SUM")

Their options are those of the class of the same name in `caffe_losses.losses`.
"""

from . import losses

__version__ = "0.1.0"


def multi_label_softmax_loss(scores, labels, weights=None, **options):
    return losses.MultiLabelSoftmaxLoss(**options)(scores, labels, weights)


def sigmoid_cross_entropy_loss(scores, labels, weights=None, **options):
    return losses.SigmoidCrossEntropyLoss(**options)(scores, labels, weights)
