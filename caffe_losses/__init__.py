"""Multi-label losses for Caffe. Importing this package never imports caffe; `caffe_losses.layers` does.

The losses as pure functions, numpy in and numpy out, each giving (loss, gradient):

    loss, gradient = caffe_losses.multi_label_softmax_loss(scores, labels, label_scale="SUM")

Their options are those of the class of the same name in `caffe_losses.losses`.
"""

from . import losses
from .predict import predict_labels

__version__ = "0.1.0"
__all__ = ["losses", "predict_labels"]


def multi_label_softmax_loss(scores, labels, weights=None, **options):
    return losses.MultiLabelSoftmaxLoss(**options)(scores, labels, weights)


def sigmoid_cross_entropy_loss(scores, labels, weights=None, **options):
    return losses.SigmoidCrossEntropyLoss(**options)(scores, labels, weights)


def sigmoid_focal_loss(scores, labels, weights=None, **options):
    return losses.SigmoidFocalLoss(**options)(scores, labels, weights)


def asymmetric_loss(scores, labels, weights=None, **options):
    return losses.AsymmetricLoss(**options)(scores, labels, weights)


def multi_label_logistic_loss(probabilities, labels, weights=None, **options):
    return losses.MultiLabelLogisticLoss(**options)(probabilities, labels, weights)


def binary_cross_entropy_loss(probabilities, labels, weights=None, **options):
    return losses.BinaryCrossEntropyLoss(**options)(probabilities, labels, weights)
