"""Rewires a net that was made for one label an image: losses, labels, metrics, number of classes.

What cannot be understood is refused, with a ValueError of one line; what is done is told, a line each.
"""

import json

from .. import losses
from .. import options as params
from .lists import add_lists
from .metrics_layer import add_metrics
from .net import LABEL_LOSSES, LEARNED, OURS, View, copies, is_loss, is_ours, kind, views, weight
from .sources import add_sources

# They pass the classes on as they are, without weights of their own for each.
TRANSPARENT = "AbsVal", "Dropout", "ELU", "Flatten", "Pooling", "Power", "ReLU", "Sigmoid", "Softmax", "TanH"
ACTIVATIONS = {getattr(losses, name).activation for name in losses.__all__} - {None}
CLASS_AXIS = 1


def wire(net, loss, options=None, num_classes=None, labels=None, sources=None, heads=None, lists=None, metrics=None):
    """The rewired net, and what was changed in it, a line each.

    loss         name of one of `caffe_losses.losses`
    options      its parameters; what the old loss says of axis, ignore_label and normalization is kept
    num_classes  outputs of the last InnerProduct or Convolution below each loss; None: as they are
    labels       the blob with the labels; None: the one that the loss has, or "labels" if there are new sources
    sources      where to read the labels, in TRAIN and in TEST: an LMDB, or a .txt list of HDF5 files
    heads        names of the loss layers to replace; None: all that compare with labels
    lists        (sources, classes, resize), as `lists.add_lists` takes them, to read images and labels from
    metrics      (names, images of the test set) of MultiLabelMetrics, to be measured in TEST
    """
    wiring = Wiring(net, getattr(losses, loss), options or {}, num_classes)
    replaced = wiring.rewire(heads or [], labels or ("labels" if sources or lists else None), sources, lists)
    if metrics:
        add_metrics(wiring, replaced, *metrics)
    wired = type(net)()
    wired.CopyFrom(net)
    del wired.layer[:]
    wired.layer.extend(wiring.layers)
    return wired, wiring.lines


class Wiring:
    """The layers of one net being rewired, and the lines that tell what has been changed."""

    def __init__(self, net, loss, options, num_classes):
        self.layers, self.state, self.lines = copies(net.layer), net.state, []
        self.loss, self.options, self.num_classes = loss, options, num_classes
        self.phases, self.resized = list(views(self.layers, self.state)), set()
        loss(**options)

    def tell(self, layer, text):
        line = f"{layer.name}: {text}"
        if line not in self.lines:
            self.lines.append(line)

    def view(self, phase):
        return View(self.layers, self.state, phase)

    def remove(self, layer, reason):
        self.layers = [other for other in self.layers if other is not layer]
        self.tell(layer, f"removed: {reason}")

    def taken(self, blob):
        return any(blob in layer.bottom for layer in self.layers)

    def taken_by_others(self, blob, heads):
        return any(blob in layer.bottom for layer in self.layers if not any(layer is head for head in heads))

    def rewire(self, names, labels, sources, lists):
        """Replace the losses; returns them."""
        heads = self.heads(names)
        for _, head in heads:
            self.drop_accuracies(head)
        for phase, head in heads:
            self.take_scores(self.view(phase), head)
            self.resize(self.view(phase), head)
            self.replace(head)
        found = [head for _, head in heads]
        if sources:
            add_sources(self, found, labels, sources)
        if lists:
            add_lists(self, found, labels, *lists)
        for head in found:
            self.take_labels(head, labels or head.bottom[1])
        return found

    # Which losses

    def heads(self, names):
        """(phase, layer) of each loss to replace, its bottoms in the order scores, labels."""
        found = [(phase, layer) for phase, layer in self.once() if is_loss(layer)]
        known = [layer.name for _, layer in found]
        for name in names:
            if name not in known:
                raise ValueError(f"expected a loss layer, got --head {name}; the net has {', '.join(known) or 'none'}")
        heads = [(phase, layer) for phase, layer in found if self.is_head(self.view(phase), layer, names)]
        if not heads:
            raise ValueError("the net has no loss that compares scores with labels; give a train_val, not a deploy net")
        return heads

    def once(self):
        """(phase, layer) for each layer, with the first phase that has it."""
        for layer in self.layers:
            phases = [phase for phase in self.phases if self.view(phase).has(layer)]
            if phases:
                yield phases[0], layer
            elif is_loss(layer):
                self.tell(layer, f"left as it is: its rules leave it out of {' and of '.join(self.phases)}")

    def is_head(self, view, layer, names):
        if names and layer.name not in names:
            self.tell(layer, f"left as it is ({kind(layer)})")
            return False
        if not names and layer.type not in LABEL_LOSSES and not is_ours(layer):
            raise ValueError(
                f"layer {layer.name} ({kind(layer)}) is a loss that is not known here; "
                "name those to replace with --head"
            )
        if len(layer.bottom) < 2:
            raise ValueError(f"layer {layer.name} ({kind(layer)}): expected two bottoms, got {len(layer.bottom)}")
        if layer.type == "EuclideanLoss" and view.are_labels(layer, layer.bottom[0], layer.bottom[1]):
            layer.bottom[0], layer.bottom[1] = layer.bottom[1], layer.bottom[0]
        scores, labels = layer.bottom[:2]
        if view.are_labels(layer, labels, scores):
            return True
        if names:
            raise ValueError(f"layer {layer.name}: expected labels, got {labels}, made of what {scores} are made of")
        self.tell(layer, f"left as it is: {kind(layer)} of {scores} and {labels}, which are not labels")
        return False

    # What a loss reads

    def drop_accuracies(self, head):
        """Remove each Accuracy of the head's scores or labels; tell of what else reads the labels."""
        for layer in [layer for layer in self.layers if layer.type == "Accuracy"]:
            if set(layer.bottom) & set(head.bottom[:2]):
                if any(self.taken(top) for top in layer.top):
                    raise ValueError(f"layer {layer.name} (Accuracy) takes one label an image, but its top is in use")
                self.remove(layer, "Accuracy takes one label an image")
        for layer in self.layers:
            if head.bottom[1] in layer.bottom and not is_loss(layer) and layer.type != "Silence":
                self.tell(layer, f"takes {head.bottom[1]} too ({kind(layer)}); see that it fits")

    def take_scores(self, view, head):
        """Have a loss of scores read them before, and one of probabilities after, the Softmax or Sigmoid."""
        blob = head.bottom[0]
        maker = view.maker(head, blob)
        if not self.loss.has_probabilities:
            needed = getattr(losses, self.loss.of_scores).activation
            if maker.type != needed:
                raise ValueError(
                    f"layer {head.name}: {self.loss.name()} takes probabilities from a {needed} layer, and {blob} "
                    f"comes from {maker.name} ({kind(maker)}); use {self.loss.of_scores}, which takes scores"
                )
        elif maker.type in ACTIVATIONS:
            self.bypass(view, head, maker)

    def bypass(self, view, head, maker):
        scores, probabilities = maker.bottom[0], maker.top[0]
        others = [taker.name for taker in view.takers(maker, probabilities) if taker is not head]
        if scores != probabilities:
            head.bottom[0] = scores
            self.tell(head, f"takes {scores}, before the {maker.type} {maker.name}")
            if not others:
                self.remove(maker, f"nothing else takes this {maker.type}")
        elif not others:
            self.remove(maker, f"{self.loss.name()} takes scores, before the {maker.type}")
        else:
            raise ValueError(
                f"layer {maker.name} makes probabilities in place, for {head.name} and for {', '.join(others)}; "
                "give it a top of its own"
            )

    def take_labels(self, head, labels):
        if head.bottom[1] != labels:
            self.tell(head, f"labels {head.bottom[1]} -> {labels}")
            head.bottom[1] = labels
        for view in map(self.view, self.phases):
            if view.has(head):
                maker = next((layer for layer in view.layers[: view.index(head)] if labels in layer.top), None)
                if maker is None:
                    raise ValueError(
                        f"layer {head.name}: no layer before it makes {labels}; name a top of the net with --labels, "
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

    def replace(self, head):
        old, options = kind(head), self.kept_options(head)
        new = type(head)(name=head.name, type="Python", bottom=head.bottom, top=self.kept_tops(head))
        for field in ("include", "exclude", "propagate_down"):
            getattr(new, field).extend(getattr(head, field))
        if head.type == "Python" and not head.loss_weight:
            self.tell(head, "had no loss_weight, so that Caffe trained nothing by it")
            head.loss_weight.append(1)
        new.loss_weight.extend([weight(head)] + [0] * (len(new.top) - 1))
        new.python_param.module, new.python_param.layer = OURS, self.loss.name()
        if options:
            new.python_param.param_str = json.dumps(options)
        head.CopyFrom(new)
        self.tell(
            head, f"{old} -> {self.loss.name()}, loss_weight {weight(new):g} {new.python_param.param_str}".rstrip()
        )

    def kept_tops(self, head):
        """The loss, which Caffe would name only for losses of its own, and the probabilities."""
        tops = list(head.top)
        if not tops:
            used = any(head.name in layer.top for layer in self.layers)
            return [f"{head.name}_loss" if used else head.name]
        if len(tops) > 1 and not self.loss.has_probabilities:
            if self.taken(tops[1]):
                raise ValueError(f"layer {head.name}: {tops[1]} is in use, and {self.loss.name()} has no second top")
            self.tell(head, f"top {tops.pop()} removed: {self.loss.name()} has only the loss")
        return tops

    def kept_options(self, head):
        """The options for the new loss: those given, and what the old one says in its own way."""
        old, allowed = old_options(head), [option.name for option in self.loss.options]
        dropped = [name for name in old if name not in allowed]
        if dropped:
            self.tell(head, f"{', '.join(dropped)} dropped: {self.loss.name()} has no such parameter")
        options = dict({name: old[name] for name in old if name in allowed}, **self.options)
        self.loss(**options)
        return options

    # The number of classes

    def resize(self, view, head):
        """Give the layer that makes the head's scores num_classes outputs and a new name."""
        scorer = self.scorer(view, head) if self.num_classes else None
        if scorer is None or scorer.name in self.resized:
            return
        given = size_of(scorer)
        if given.num_output == self.num_classes:
            self.resized.add(scorer.name)
            self.tell(scorer, f"has {self.num_classes} outputs already, so that pretrained weights load into it")
            return
        if scorer.type == "Convolution" and self.num_classes % given.group:
            raise ValueError(f"layer {scorer.name} has {given.group} groups, which do not divide {self.num_classes}")
        if any(one.name for one in scorer.param):
            raise ValueError(f"layer {scorer.name} shares its weights by name with others; resize it by hand")
        old, new = scorer.name, self.free_name(f"{scorer.name}_{self.num_classes}")
        self.tell(scorer, f"{given.num_output} -> {self.num_classes} outputs")
        self.tell(scorer, f"renamed {new}: pretrained weights pass it by, and it trains from scratch")
        if scorer.param and not any(one.lr_mult for one in scorer.param):
            self.tell(scorer, "its lr_mult is 0, so that it does not train")
        for layer in self.layers:
            if layer.name == old:
                layer.name, size_of(layer).num_output = new, self.num_classes
        self.resized.add(new)

    def free_name(self, name):
        while any(layer.name == name for layer in self.layers):
            name += "_"
        return name

    def scorer(self, view, head):
        """The last layer with weights below a loss, if its outputs are the classes."""
        maker = view.maker(head, head.bottom[0])
        while maker.type not in ("InnerProduct", "Convolution"):
            if maker.type not in TRANSPARENT:
                raise ValueError(
                    f"layer {head.name}: its scores come through {maker.name} ({kind(maker)}), so that it is not clear "
                    "what to resize; do it by hand and leave --num-classes out"
                )
            maker = view.maker(maker, maker.bottom[0])
        for taker in view.takers(maker, maker.top[0]):
            if taker.type in LEARNED:
                raise ValueError(
                    f"layer {maker.name} feeds {taker.name} ({kind(taker)}) too, whose weights depend on its size; "
                    "resize both by hand and leave --num-classes out"
                )
        return maker


def old_options(layer):
    """What a loss layer says, in our losses' terms."""
    if is_ours(layer):
        return params.parse(layer.python_param.layer, layer.python_param.param_str)
    old, said = {}, layer.loss_param
    if layer.softmax_param.axis != CLASS_AXIS:
        old["axis"] = layer.softmax_param.axis
    if said.HasField("ignore_label"):
        old["ignore_label"] = said.ignore_label
    if said.HasField("normalization"):
        old["normalization"] = said.NormalizationMode.Name(said.normalization)
    elif said.HasField("normalize"):
        old["normalization"] = "VALID" if said.normalize else "BATCH_SIZE"
    return old


def size_of(scorer):
    return scorer.inner_product_param if scorer.type == "InnerProduct" else scorer.convolution_param
