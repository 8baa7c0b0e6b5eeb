"""Rewires a net that was made for one label an image: losses, labels, metrics, number of classes.

What cannot be understood is refused, with a ValueError of one line; what is done is told, a line each.
"""

from .. import losses
from ..net.kinds import is_loss, is_metric
from ..net.view import NO_STAGES
from .deploy_nets import as_train_val, freeze, is_deploy
from .image_lists import add_image_lists
from .label_layers import add_label_layers, set_batches, take_labels
from .metrics import add_metrics
from .old_losses import drop_accuracies, old_losses
from .records import Rewritten
from .replace import replace_loss
from .resize import resize
from .scores import take_scores, unbound
from .wiring import Wiring


def wire(
    net, loss, *, options=None, num_classes=None, labels=None, sources=None, heads=None, image_lists=None,
    metrics=None, batches=None, stages=NO_STAGES, foreign=None, frozen=None
):  # fmt: skip
    """Replace the losses of a net, and what goes with them.

    Args:
        net: NetParameter of a train_val, or of a deploy net with one input and one output; it stays as it is.
        loss: name of one of `caffe_losses.losses`.
        options: its parameters. What the old loss says of axis, ignore_label and normalization is kept.
        num_classes: outputs of the last InnerProduct or Convolution below each loss; None: as they are.
        labels: the blob with the labels; None: the one that the loss has, or "labels" if there are new sources.
        sources: where to read the labels, in TRAIN and in TEST: an LMDB, or a .txt list of HDF5 files.
        heads: names of the loss layers to replace; None: all that compare scores with labels.
        image_lists: ImageLists to read images and labels from.
        metrics: TestMetrics, to be measured in TEST.
        batches: how many images data layers read at a time, in TRAIN and in TEST; None: as they say.
        stages: the stages that the solver adds in TRAIN, and those in TEST.
        foreign: what only another Caffe knows of the net: {layer: {field: text}}, as `prototxt.read_foreign` gives it.
        frozen: the name of a layer; it and the layers that it needs keep their weights.

    Returns:
        Rewritten(net, lines): the rewired net, and what was changed in it, a line each.

    Raises:
        ValueError: the net is not understood, or an argument is wrong.
    """
    renewed, lines = is_deploy(net), []
    if renewed:
        net, lines = as_train_val(net)
    wiring = Wiring(net, getattr(losses, loss), options or {}, stages, foreign or {}, renewed)
    wiring.lines += lines
    old = old_losses(wiring, heads or [])
    for layer in old:
        drop_accuracies(wiring, layer)
    if batches:
        set_batches(wiring, batches)
    resized = set()
    for layer in old:
        for phase in wiring.phases_of(layer):
            take_scores(wiring, phase, layer)
            unbound(wiring, phase, layer, old)
            if num_classes:
                resize(wiring, wiring.view(phase), layer, num_classes, resized, old)
        replace_loss(wiring, layer)
    new_labels = labels or ("labels" if sources or image_lists else None)
    if sources:
        add_label_layers(wiring, old, new_labels, sources)
    if image_lists:
        add_image_lists(wiring, old, new_labels, image_lists)
    for layer in old:
        take_labels(wiring, layer, new_labels or layer.bottom[1])
    if metrics:
        add_metrics(wiring, old, metrics)
    elif "TEST" in wiring.phases and not any(is_loss(one) or is_metric(one) for one in wiring.view("TEST").layers):
        wiring.lines.append("TEST measures nothing: give --metrics, or a loss for TEST")
    if frozen:
        freeze(wiring, frozen)
    wiring.check()
    wiring.tell_stages()
    wired = type(net)()
    wired.CopyFrom(net)
    del wired.layer[:]
    wired.layer.extend(wiring.layers)
    return Rewritten(wired, wiring.lines)
