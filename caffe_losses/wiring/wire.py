"""Rewires a net that was made for one label an image: losses, labels, metrics, number of classes.

What cannot be understood is refused, with a ValueError of one line; what is done is told, a line each.
"""

from .. import losses
from ..net.heads import check_names, head_of, options_of
from ..net.kinds import is_known_loss, is_loss, kind, weight
from ..net.make import copy_rules, our_layer
from ..net.view import View, copies, is_in, views
from .image_lists import add_image_lists
from .label_layers import add_label_layers
from .metrics import add_metrics
from .records import Rewritten
from .resize import resize

ACTIVATIONS = {getattr(losses, name).activation for name in losses.__all__} - {None}


def wire(
    net, loss, *, options=None, num_classes=None, labels=None, sources=None, heads=None, image_lists=None, metrics=None
):
    """Replace the losses of a net, and what goes with them.

    Args:
        net: NetParameter of a train_val; it stays as it is.
        loss: name of one of `caffe_losses.losses`.
        options: its parameters. What the old loss says of axis, ignore_label and normalization is kept.
        num_classes: outputs of the last InnerProduct or Convolution below each loss; None: as they are.
        labels: the blob with the labels; None: the one that the loss has, or "labels" if there are new sources.
        sources: where to read the labels, in TRAIN and in TEST: an LMDB, or a .txt list of HDF5 files.
        heads: names of the loss layers to replace; None: all that compare scores with labels.
        image_lists: ImageLists to read images and labels from.
        metrics: TestMetrics, to be measured in TEST.

    Returns:
        Rewritten(net, lines): the rewired net, and what was changed in it, a line each.

    Raises:
        ValueError: the net is not understood, or an argument is wrong.
    """
    wiring = Wiring(net, getattr(losses, loss), options or {})
    old = wiring.old_losses(heads or [])
    wiring.replace(old, num_classes)
    layers = [layer for _, layer in old]
    new_labels = labels or ("labels" if sources or image_lists else None)
    if sources:
        add_label_layers(wiring, layers, new_labels, sources)
    if image_lists:
        add_image_lists(wiring, layers, new_labels, image_lists)
    for layer in layers:
        wiring.take_labels(layer, new_labels or layer.bottom[1])
    if metrics:
        add_metrics(wiring, layers, metrics)
    wired = type(net)()
    wired.CopyFrom(net)
    del wired.layer[:]
    wired.layer.extend(wiring.layers)
    return Rewritten(wired, wiring.lines)


class Wiring:
    """The layers of one net being rewired, and the lines that tell what has been changed."""

    def __init__(self, net, loss, options):
        self.layers, self.state, self.lines = copies(net.layer), net.state, []
        self.loss, self.options = loss, options
        self.phases = list(views(self.layers, self.state))
        loss(**options)  # refuses wrong ones

    def tell(self, layer, text):
        line = f"{layer.name}: {text}"
        if line not in self.lines:
            self.lines.append(line)

    def view(self, phase):
        return View(self.layers, self.state, phase)

    def remove(self, layer, reason):
        self.layers = [other for other in self.layers if other is not layer]
        self.tell(layer, f"removed: {reason}")

    def is_taken(self, blob, besides=()):
        """Whether a layer takes the blob, other than these."""
        return any(blob in layer.bottom for layer in self.layers if not is_in(layer, besides))

    # Which losses

    def old_losses(self, names):
        """(phase, layer) of each loss to replace, its bottoms in the order scores, labels."""
        known = [(phase, layer) for phase, layer in self.layers_with_phase() if is_loss(layer)]
        check_names(names, [layer for _, layer in known])
        old = [(phase, layer) for phase, layer in known if self.is_to_replace(self.view(phase), layer, names)]
        if not old:
            raise ValueError("the net has no loss that compares scores with labels; give a train_val, not a deploy net")
        return old

    def layers_with_phase(self):
        """(phase, layer) for each layer, with the first phase that has it."""
        for layer in self.layers:
            phases = [phase for phase in self.phases if self.view(phase).has(layer)]
            if phases:
                yield phases[0], layer
            elif is_loss(layer):
                self.tell(layer, f"left as it is: its rules leave it out of {' and of '.join(self.phases)}")

    def is_to_replace(self, view, layer, names):
        if names and layer.name not in names:
            self.tell(layer, f"left as it is ({kind(layer)})")
            return False
        if not names and not is_known_loss(layer):
            raise ValueError(
                f"layer {layer.name} ({kind(layer)}) is a loss that is not known here; "
                "name those to replace with --head"
            )
        if len(layer.bottom) < 2:
            raise ValueError(f"layer {layer.name} ({kind(layer)}): expected two bottoms, got {len(layer.bottom)}")
        head = head_of(view, layer)
        layer.bottom[0], layer.bottom[1] = scores, labels = head.scores, head.labels
        if view.are_labels(layer, labels, scores):
            return True
        if names:
            raise ValueError(f"layer {layer.name}: expected labels, got {labels}, made of what {scores} are made of")
        self.tell(layer, f"left as it is: {kind(layer)} of {scores} and {labels}, which are not labels")
        return False

    # What a loss reads

    def drop_accuracies(self, loss):
        """Remove each Accuracy of the loss's scores or labels; tell of what else reads the labels."""
        for layer in [layer for layer in self.layers if layer.type == "Accuracy"]:
            if set(layer.bottom) & set(loss.bottom[:2]):
                if any(self.is_taken(top) for top in layer.top):
                    raise ValueError(f"layer {layer.name} (Accuracy) takes one label an image, but its top is in use")
                self.remove(layer, "Accuracy takes one label an image")
        for layer in self.layers:
            if loss.bottom[1] in layer.bottom and not is_loss(layer) and layer.type != "Silence":
                self.tell(layer, f"takes {loss.bottom[1]} too ({kind(layer)}); see that it fits")

    def take_scores(self, view, loss):
        """Have a loss of scores read them before, and one of probabilities after, the Softmax or Sigmoid."""
        blob = loss.bottom[0]
        maker = view.maker(loss, blob)
        if not self.loss.has_probabilities:
            activation = getattr(losses, self.loss.of_scores).activation
            if maker.type != activation:
                raise ValueError(
                    f"layer {loss.name}: {self.loss.name()} takes probabilities from a {activation} layer, and {blob} "
                    f"comes from {maker.name} ({kind(maker)}); use {self.loss.of_scores}, which takes scores"
                )
        elif maker.type in ACTIVATIONS:
            self.bypass(view, loss, maker)

    def bypass(self, view, loss, maker):
        scores, probabilities = maker.bottom[0], maker.top[0]
        others = [taker.name for taker in view.takers(maker, probabilities) if taker is not loss]
        if scores != probabilities:
            loss.bottom[0] = scores
            self.tell(loss, f"takes {scores}, before the {maker.type} {maker.name}")
            if not others:
                self.remove(maker, f"nothing else takes this {maker.type}")
        elif not others:
            self.remove(maker, f"{self.loss.name()} takes scores, before the {maker.type}")
        else:
            raise ValueError(
                f"layer {maker.name} makes probabilities in place, for {loss.name} and for {', '.join(others)}; "
                "give it a top of its own"
            )

    def take_labels(self, loss, labels):
        if loss.bottom[1] != labels:
            self.tell(loss, f"labels {loss.bottom[1]} -> {labels}")
            loss.bottom[1] = labels
        for view in map(self.view, self.phases):
            if view.has(loss):
                maker = next((layer for layer in view.layers[: view.index(loss)] if labels in layer.top), None)
                if maker is None:
                    raise ValueError(
                        f"layer {loss.name}: no layer before it makes {labels}; name a top of the net with --labels, "
                        "or say where the labels are with --label-source"
                    )
                self.warn_of_single(maker, labels)

    def warn_of_single(self, maker, labels):
        """Tell of a data layer that cannot give several labels."""
        single = maker.type in ("Data", "ImageData", "MemoryData", "WindowData") and labels != maker.top[0]
        if single and self.options.get("label_format") != "INDEX":
            self.tell(
                maker,
                f"{labels} has one number an image ({maker.type}), and the loss wants one a class: "
                "say where they are with --label-source, or give --param label_format=INDEX",
            )

    # The loss itself

    def replace(self, old_losses, num_classes):
        for _, loss in old_losses:
            self.drop_accuracies(loss)
        resized = set()
        for phase, loss in old_losses:
            self.take_scores(self.view(phase), loss)
            if num_classes:
                resize(self, self.view(phase), loss, num_classes, resized)
            self.replace_loss(loss)

    def replace_loss(self, loss):
        """Make the layer one of the new loss, with the old one's place, blobs and weight."""
        options, tops = self.kept_options(loss), self.kept_tops(loss)
        if loss.type == "Python" and not loss.loss_weight:
            self.tell(loss, "had no loss_weight, so that Caffe trained nothing by it")
            loss.loss_weight.append(1)
        weights = [weight(loss)] + [0] * (len(tops) - 1)
        new = our_layer(self.loss.name(), options, name=loss.name, bottom=loss.bottom, top=tops, loss_weight=weights)
        copy_rules(loss, new)
        new.propagate_down.extend(loss.propagate_down)
        text = f"{kind(loss)} -> {kind(new)}, loss_weight {weight(new):g} {new.python_param.param_str}".rstrip()
        loss.CopyFrom(new)
        self.tell(loss, text)

    def kept_tops(self, loss):
        """The loss, which Caffe would name only for losses of its own, and the probabilities."""
        tops = list(loss.top)
        if not tops:
            used = any(loss.name in layer.top for layer in self.layers)
            return [f"{loss.name}_loss" if used else loss.name]
        if len(tops) > 1 and not self.loss.has_probabilities:
            if self.is_taken(tops[1]):
                raise ValueError(f"layer {loss.name}: {tops[1]} is in use, and {self.loss.name()} has no second top")
            self.tell(loss, f"top {tops.pop()} removed: {self.loss.name()} has only the loss")
        return tops

    def kept_options(self, loss):
        """The options for the new loss: those that the user gives, and what the old one says in its own way."""
        old, allowed = options_of(loss), [option.name for option in self.loss.options]
        dropped = [name for name in old if name not in allowed]
        if dropped:
            self.tell(loss, f"{', '.join(dropped)} dropped: {self.loss.name()} has no such parameter")
        options = dict({name: old[name] for name in old if name in allowed}, **self.options)
        self.loss(**options)
        return options
