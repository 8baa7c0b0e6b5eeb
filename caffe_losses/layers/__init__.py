"""The losses as Caffe layers, for a prototxt:

layer {
  name: "loss" type: "Python" bottom: "scores" bottom: "labels" top: "loss" loss_weight: 1
  python_param { module: "caffe_losses.layers" layer: "MultiLabelSoftmaxLoss"
                 param_str: '{"label_scale": "COUNT"}' }
}

Each loss of `caffe_losses.losses` has its layer here, under its own name. `layer_of` makes one of a loss of your own.
"""

from .. import losses
from .data import MultiLabelImageData
from .loss import LossLayer, layer_of
from .metrics import MultiLabelMetrics

globals().update({name: layer_of(getattr(losses, name)) for name in losses.__all__})

__all__ = [*losses.__all__, "LossLayer", "MultiLabelImageData", "MultiLabelMetrics", "layer_of"]
