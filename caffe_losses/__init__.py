"""Multi-label losses for Caffe. Importing this package never imports caffe; `caffe_losses.layers` does.

Each loss is a class, and a pure function: numpy in, and (loss, gradient) out.

    loss, gradient = caffe_losses.multi_label_softmax_loss(scores, labels, label_scale="SUM")
    loss, gradient = caffe_losses.MultiLabelSoftmaxLoss(label_scale="SUM")(scores, labels)

`help(caffe_losses.multi_label_softmax_loss)` shows formula, gradient and options.
"""

from . import losses
from .predict import predict_labels

__version__ = "0.1.0"

functions = {f.__name__: f for f in map(losses.describe.function, losses.classes.values())}
globals().update(losses.classes)
globals().update(functions)
__all__ = ["losses", "predict_labels", *losses.classes, *functions]
