"""The heads of a net: each loss with its scores and labels."""

from collections import namedtuple

from .. import losses
from ..options import parse
from .kinds import LABEL_LOSSES, ONE_LABEL, is_known_loss, is_loss, kind, our_loss, published_loss, weight
from .published import published_options
from .view import NO_STAGES, copies, views

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

    def check_axis(self):
        if self.axis not in (CLASS_AXIS, -1):
            text = f"layer {self.layer.name} ({kind(self.layer)}) has its classes on axis {self.axis}; expected axis 1"
            raise ValueError(text)

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
    """ValueError for a name that none of these loss layers has."""
    known = [layer.name for layer in layers]
    for name in names:
        if name not in known:
            raise ValueError(f"expected a loss layer, got --head {name}; the net has {', '.join(known) or 'none'}")


def main_view(net, stages=NO_STAGES):
    """The View in the phase TEST, or in TRAIN if only that has a loss; of copies of the layers."""
    net_views = views(copies(net.layer), net.state, stages)
    for phase in ("TEST", "TRAIN"):
        if phase in net_views and any(is_loss(layer) for layer in net_views[phase].layers):
            return net_views[phase]
    raise ValueError("the net has no loss, so that it is not clear what its scores are; give a train_val")


def view_for_testing(net, path):
    """The View in the phase TEST of a net that was read from `path`. ValueError if it has no loss there."""
    view = main_view(net)
    if view.phase != "TEST":
        raise ValueError(f"{path} has no loss in the TEST phase; give a train_val with data and labels for TEST")
    return view


def main_heads(view, names=None):
    """The Heads whose layers have these names; without names, those of the largest loss_weight.

    A loss that is not known has a Head for each of its bottoms that learned layers have a part in.
    """
    layers = [layer for layer in view.layers if is_loss(layer)]
    check_names(names or [], layers)
    heaviest = max(map(weight, layers))
    chosen = [layer for layer in layers if (layer.name in names if names else weight(layer) == heaviest)]
    heads = []
    for layer in chosen:
        if not is_known_loss(layer) and not names:
            raise ValueError(
                f"layer {layer.name} ({kind(layer)}) is a loss that is not known here, nor are its scores; "
                "name those to keep with --head"
            )
        heads += [head_of(view, layer)] if is_known_loss(layer) else unknown_heads(view, layer)
    return heads


def unknown_heads(view, layer):
    """A Head for each bottom of a loss that is not known, if learned layers have a part in it."""
    learned = [blob for blob in dict.fromkeys(layer.bottom) if view.ancestry(layer, blob)[1]]
    if not learned:
        raise ValueError(f"layer {layer.name} ({kind(layer)}): none of its bottoms comes from a layer that learns")
    return [Head(layer, blob, None, None, False, {}) for blob in learned]


def main_head(view, path):
    """The Head of the largest loss_weight, in a net that was read from `path`.

    ValueError if there are several, or if its classes are on another axis than 1.
    """
    heads = main_heads(view)
    if len(heads) > 1:
        names = ", ".join(head.layer.name for head in heads)
        raise ValueError(
            f"{path} has losses of the same loss_weight, {names}, so that it is not clear whose scores to take"
        )
    heads[0].check_axis()
    return heads[0]


def label_options(view, labels):
    """Head.label_options of the first known loss that takes these labels; {} if there is none."""
    for layer in view.layers:
        if labels in layer.bottom[1:] and is_known_loss(layer):
            return head_of(view, layer).label_options
    return {}
