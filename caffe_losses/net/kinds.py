"""What a layer is, from its LayerParameter: learned, a loss, a loss of ours, a metric."""

from .. import losses
from ..options import parse
from .published import published

OURS = "caffe_losses.layers"
LEARNED = "Convolution", "Deconvolution", "Embed", "InnerProduct", "LSTM", "RNN"
# with weights, which go by the layer's name
NAMED = *LEARNED, "BatchNorm", "Bias", "PReLU", "Parameter", "Scale"
# the losses of Caffe's that compare scores with labels, and the layer that makes probabilities of the scores
LABEL_LOSSES = {
    "EuclideanLoss": None,
    "HingeLoss": None,
    "InfogainLoss": "Softmax",
    "MultinomialLogisticLoss": None,
    "SigmoidCrossEntropyLoss": "Sigmoid",
    "SoftmaxWithLoss": "Softmax",
}
ONE_LABEL = (
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "SoftmaxWithLoss",
)  # of these, those whose label is a class index


def title(layer):
    """What messages and options call a layer: its name or, if it has none, the first blob that it makes."""
    return layer.name or next(iter(layer.top), layer.type)


def kind(layer):
    """The layer's type for a report; of a Python layer its class, with the module if that is not ours."""
    if layer.type != "Python":
        return layer.type
    name = layer.python_param.layer
    return name if layer.python_param.module == OURS else f"{layer.python_param.module}.{name}"


def is_ours(layer, name):
    """Whether it is the layer of that name in `caffe_losses.layers`."""
    return layer.type == "Python" and layer.python_param.module == OURS and layer.python_param.layer == name


def image_options(layer):
    """The options of a MultiLabelImageData layer; None for any other."""
    if not is_ours(layer, "MultiLabelImageData"):
        return None
    return parse("MultiLabelImageData", layer.python_param.param_str)


def our_loss(layer):
    """The class in `caffe_losses.losses` that the layer is; None if it is none of ours."""
    name = layer.python_param.layer
    return getattr(losses, name) if name in losses.__all__ and is_ours(layer, name) else None


def published_loss(layer):
    """The Published that the layer is; None if it is ours, Caffe's or not known."""
    known = layer.type in LABEL_LOSSES or our_loss(layer) is not None
    return None if known else published(layer)


def is_known_loss(layer):
    """Whether it compares scores with labels, and it is known how: ours, one of LABEL_LOSSES, or a published one."""
    return layer.type in LABEL_LOSSES or our_loss(layer) is not None or published(layer) is not None


def is_loss(layer):
    """Whether it is a loss, known or not."""
    name = layer.python_param.layer if layer.type == "Python" else layer.type
    return is_known_loss(layer) or name.endswith("Loss") or any(layer.loss_weight)


def is_metric(layer):
    """Whether it measures and has no gradient."""
    return "Accuracy" in layer.type or is_ours(layer, "MultiLabelMetrics")


def weight(layer):
    """A loss's loss_weight as Caffe takes it: of a Python layer, 0 unless it is written."""
    return layer.loss_weight[0] if layer.loss_weight else float(layer.type != "Python")
