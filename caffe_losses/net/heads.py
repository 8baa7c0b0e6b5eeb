"""The heads of a net: each loss with its scores and labels."""

from collections import namedtuple

from .. import losses
from ..options import parse
from .kinds import LABEL_LOSSES, ONE_LABEL, kind, our_loss, published_loss, title
from .published import published_options
from .view import is_in

CLASS_AXIS = 1


class Head(namedtuple("Head", "layer scores labels activation probabilities options")):
    """A loss layer and what it tells of the net's scores.

    layer          its LayerParameter
    scores         the blob with the scores, or with the probabilities
    labels         the blob with the labels; None if the layer takes only one blob
    activation     "Softmax" or "Sigmoid", which makes probabilities of scores; None if it is not known
    probabilities  whether `scores` are probabilities already
    options        what the layer says, as the parameters of our losses
    """

    __slots__ = ()

    @property
    def axis(self):
        """Of the classes."""
        return self.options.get("axis", CLASS_AXIS)

    def made_by(self, view, blob):
        """The layer that makes the scores, or the labels, in a View that the head's layer need not be in."""
        return view.maker(self.layer, blob) if is_in(self.layer, view.layers) else view.last_maker(blob)

    def check_axis(self):
        if self.axis not in (CLASS_AXIS, -1):
            name = f"layer {title(self.layer)} ({kind(self.layer)})"
            raise ValueError(f"{name} has its classes on axis {self.axis}; expected axis 1")

    @property
    def label_options(self):
        """label_format and ignore_label, where the layer says them. ValueError for classes on another axis than 1."""
        self.check_axis()
        options = {name: self.options[name] for name in ("label_format", "ignore_label") if name in self.options}
        return dict(options, label_format="INDEX") if takes_indices(self.layer) else options


def takes_indices(layer):
    """Whether the labels of a known loss are class indices."""
    if our_loss(layer) is not None:
        return options_of(layer).get("label_format") == "INDEX"
    return layer.type in ONE_LABEL or (published_loss(layer) is not None and published_loss(layer).labels == "INDEX")


def head_of(view, layer, fields=None):
    """The Head of a loss layer. EuclideanLoss takes scores and labels in any order.

    fields  {name: text} of its fields that only another Caffe knows
    """
    swapped = layer.type == "EuclideanLoss" and view.are_labels(layer, layer.bottom[0], layer.bottom[1])
    scores, labels = (layer.bottom[1], layer.bottom[0]) if swapped else (*layer.bottom, None)[:2]
    ours = our_loss(layer)
    probabilities = ours is not None and not ours.has_probabilities
    if published_loss(layer) is not None:
        activation = published_loss(layer).activation
    elif ours is None:
        activation = LABEL_LOSSES.get(layer.type)
    else:
        activation = getattr(losses, ours.of_scores).activation if probabilities else ours.activation
    return Head(layer, scores, labels, activation, probabilities, options_of(layer, fields))


def options_of(layer, fields=None):
    """What a loss layer says, in our losses' terms."""
    if our_loss(layer) is not None:
        return parse(kind(layer), layer.python_param.param_str)
    options = published_options(layer, fields or {}) if published_loss(layer) is not None else {}
    loss_param = layer.loss_param
    axis = layer.infogain_loss_param.axis if layer.type == "InfogainLoss" else layer.softmax_param.axis
    if axis != CLASS_AXIS:
        options["axis"] = axis
    if loss_param.HasField("ignore_label"):
        options["ignore_label"] = loss_param.ignore_label
    if loss_param.HasField("normalization"):
        options["normalization"] = loss_param.NormalizationMode.Name(loss_param.normalization)
    elif loss_param.HasField("normalize"):
        options["normalization"] = "VALID" if loss_param.normalize else "BATCH_SIZE"
    return options


def check_names(names, layers):
    """ValueError for a name that none of these loss layers has; one without a name is named by what it makes."""
    known = list(map(title, layers))
    for name in names:
        if name not in known:
            raise ValueError(f"expected a loss layer, got --head {name}; the net has {', '.join(known) or 'none'}")


def unknown_heads(view, layer):
    """A Head for each bottom of a loss that is not known, if learned layers have a part in it."""
    learned = [blob for blob in dict.fromkeys(layer.bottom) if view.ancestry(layer, blob)[1]]
    if not learned:
        raise ValueError(f"layer {title(layer)} ({kind(layer)}): none of its bottoms comes from a layer that learns")
    return [Head(layer, blob, None, None, False, {}) for blob in learned]
