"""What a trained net is evaluated and deployed by: its TEST phase alone, the heads there, and data that are tests."""

from collections import namedtuple

from ..options import parse
from .heads import Head, check_names, head_of, unknown_heads
from .kinds import LABEL_LOSSES, is_known_loss, is_loss, is_metric, is_ours, kind, title, weight
from .view import NO_STAGES, PHASES, View, copies, is_in, stages_hint

ACTIVATIONS = {activation for activation in LABEL_LOSSES.values() if activation}


class Phases(namedtuple("Phases", "name test train")):
    """The phases of a net that is evaluated or deployed.

    name   what messages call it
    test   its View in the phase TEST
    train  its View in TRAIN, of the same layers, in which something may be missing
    """

    __slots__ = ()

    def head(self, names=None):
        """The one Head of `heads`. ValueError if there are several, or if its classes are on another axis than 1."""
        heads = self.heads(names)
        if len(heads) > 1:
            text = ", ".join(title(head.layer) for head in heads)
            raise ValueError(
                f"{self.name} has several heads, {text}, so that it is not clear whose scores to take; name one with "
                "--head"
            )
        heads[0].check_axis()
        return heads[0]

    def heads(self, names=None):
        """The Heads of the layers of these names: losses, Accuracy or MultiLabelMetrics of TEST, or losses of TRAIN.

        Without names, those of the losses of TEST with the largest loss_weight. If TEST has none, those that are
        measured there: of them, those that the heaviest losses of TRAIN learn, if there are such.

        A loss that is not known has a Head for each of its bottoms that learned layers have a part in.
        """
        if names:
            return self.named(names)
        losses = list(filter(is_loss, self.test.layers))
        heads = [head for loss in heaviest(losses) for head in self.heads_of(loss)] if losses else self.measured()
        if not heads:
            others = ", ".join(title(layer) for layer in self.train.layers if is_loss(layer))
            if not others:
                raise ValueError("the net has no loss, so that it is not clear what its scores are; give a train_val")
            raise ValueError(
                f"{self.name} has neither a loss nor Accuracy nor MultiLabelMetrics in TEST, so that it is not clear "
                f"what its scores are there; name a loss of TRAIN ({others}) with --head or, for evaluate, the blobs "
                "with --scores and --labels"
            )
        return heads

    def named(self, names):
        here = [layer for layer in self.test.layers if is_loss(layer) or is_metric(layer)]
        known = set(map(title, here))
        here += [layer for layer in self.train.layers if is_loss(layer) and title(layer) not in known]
        check_names(names, here)
        return [head for layer in here if title(layer) in names for head in self.heads_of(layer, named=True)]

    def heads_of(self, layer, named=False):
        """The Heads of a loss, of TEST or of TRAIN, or of a metric of TEST."""
        if not is_loss(layer):
            return [self.measured_head(layer)]
        if not is_known_loss(layer) and not named:
            raise ValueError(
                f"layer {title(layer)} ({kind(layer)}) is a loss that is not known here, nor are its scores; "
                "name those to keep with --head"
            )
        view = self.test if is_in(layer, self.test.layers) else self.train
        heads = [head_of(view, layer)] if is_known_loss(layer) else unknown_heads(view, layer)
        for head in heads if view is self.train else ():
            self.test.last_maker(head.scores)  # refuses what TEST does not make
        return heads

    def measured(self):
        """A Head for each blob of scores that Accuracy or metrics of TEST measure, ours before others."""
        layers = [layer for layer in self.test.layers if is_metric(layer) and len(layer.bottom) > 1]
        layers.sort(key=lambda layer: not is_ours(layer, "MultiLabelMetrics"))
        heads = {}
        for layer in layers:
            heads.setdefault(layer.bottom[0], self.measured_head(layer))
        learned = {head.scores for head in self.learned(heaviest)}
        return [head for head in heads.values() if head.scores in learned] or list(heads.values())

    def measured_head(self, layer):
        """The Head of an Accuracy or of metrics: a loss of TRAIN, a Softmax or a Sigmoid tells what the scores are."""
        scores, labels = layer.bottom[:2]
        learned = next((head for head in self.learned() if head.scores == scores), None)
        options = dict({"axis": learned.axis} if learned else {}, **options_of_metric(layer))
        softmax = options.pop("softmax", False)
        if learned:
            return learned._replace(layer=layer, labels=labels, options=options)
        maker = self.test.maker(layer, scores)
        if maker.type in ACTIVATIONS:
            return Head(layer, scores, labels, maker.type, True, options)
        return Head(layer, scores, labels, "Softmax" if softmax else None, False, options)

    def learned(self, chosen=lambda losses: losses):
        """The Heads of the losses of TRAIN that are known, or of those that are chosen of them."""
        losses = [] if self.train.missing() else [layer for layer in self.train.layers if is_known_loss(layer)]
        return [head_of(self.train, layer) for layer in chosen(losses)]

    def label_options(self, labels):
        """Head.label_options of the first loss or metric that takes these labels, in TEST or else TRAIN; {} if none."""
        for view in (self.test, self.train):
            for layer in view.layers:
                if labels in layer.bottom[1:] and (is_known_loss(layer) or is_metric(layer)):
                    return self.heads_of(layer)[0].label_options
        return {}

    def check_data(self, layers):
        """Refuse data layers, of these layers, of which it is not clear that TEST reads them and TRAIN does not.

        A layer without rules is that of both phases, as in a file for tests alone.
        """
        for layer in layers:
            rules = [*layer.include, *layer.exclude]
            by_stages = any(rule.stage or rule.not_stage for rule in rules)
            told = any(rule.HasField("phase") for rule in rules)
            if layer.bottom or layer.type == "Input" or told or not by_stages or not self.train.has(layer):
                continue
            raise ValueError(
                f"{self.name}: TRAIN reads layer {title(layer)} ({kind(layer)}), too, in the stages that are named, so "
                "that it may not be the test set; name the stages with --stage, first that of TRAIN, then that of "
                "TEST, and none in the net's state"
            )


def phases_of(net, stages=NO_STAGES, name="the net", or_train=False):
    """The Phases of a net.

    Args:
        net: NetParameter of a train_val. It stays as it is.
        stages: the stages that the solver adds in TRAIN, and those in TEST.
        name: what messages call it.
        or_train: of a net that was made for TRAIN alone, take that for TEST.

    Raises:
        ValueError: something is missing in the TEST phase, or two layers there have weights under one name.
    """
    layers = copies(net.layer)
    train, test = (View(layers, net.state, phase, more) for phase, more in zip(PHASES, stages))
    missing = test.missing() or ("it has no layer" if not test.layers else None)
    hint = stages_hint(layers, test)
    if missing and or_train and not hint and train.layers and not train.missing():
        train.check_names()
        return Phases(name, train, train)
    if missing:
        remedy = hint or "; give a train_val with data and labels for TEST"
        raise ValueError(f"{name} has no whole TEST phase: {missing}{remedy}")
    test.check_names()
    return Phases(name, test, train)


def heaviest(losses):
    """Those of the largest loss_weight."""
    return [layer for layer in losses if weight(layer) == max(map(weight, losses))]


def options_of_metric(layer):
    """What an Accuracy or MultiLabelMetrics says of scores and labels, as the parameters of our losses; and softmax."""
    if is_ours(layer, "MultiLabelMetrics"):
        options = parse("MultiLabelMetrics", layer.python_param.param_str)
        return {name: options[name] for name in ("label_format", "ignore_label", "softmax") if name in options}
    if layer.type != "Accuracy":
        return {}
    param, options = layer.accuracy_param, {"label_format": "INDEX"}
    options.update({"axis": param.axis} if param.HasField("axis") else {})
    options.update({"ignore_label": param.ignore_label} if param.HasField("ignore_label") else {})
    return options
