"""Adds a MultiLabelMetrics layer for the TEST phase."""

from ..metrics import MultiLabelMetrics
from ..net.heads import head_of
from ..net.kinds import kind, weight
from ..net.make import layer, our_layer
from ..net.sources import batch_size
from ..net.view import PHASES


def metrics_layers(head, test_metrics, batch):
    """Layers that measure a head's scores over the whole test set, read in batches of `batch`.

    Scores of a softmax loss have no scale that images share, so that its probabilities are measured.
    """
    layers, scores, names = [], head.scores, list(test_metrics.names)
    if head.activation == "Softmax" and not head.probabilities:
        scores = "metrics/probabilities"
        layers.append(layer(name=scores, type="Softmax", bottom=[head.scores], top=[scores]))
    options = {"metrics": names, "test_iter": batches_of(test_metrics, batch), "images": test_metrics.images}
    options.update(head.label_options)
    layers.append(our_layer("MultiLabelMetrics", options, name="metrics", bottom=[scores, head.labels], top=names))
    for added in layers:
        added.include.add().phase = PHASES.index("TEST")
    return layers


def batches_of(test_metrics, batch):
    """How many batches a pass over the test set has."""
    return -(-test_metrics.images // batch)


def add_metrics(wiring, losses, test_metrics):
    """Measure the scores of the loss with the largest loss_weight, at the end of the net."""
    if "TEST" not in wiring.phases:
        raise ValueError("--metrics: the net has no TEST phase; add data and labels for it")
    view = wiring.view("TEST")
    head = head_of(view, max((loss for loss in losses if view.has(loss)), key=weight))
    makers = [top.layer for top in view.made_of(head.layer, head.labels)]
    batch = next(filter(None, map(batch_size, makers)), None)
    if batch is None:
        raise ValueError(f"layer {makers[0].name} ({kind(makers[0])}) has no batch size; add MultiLabelMetrics by hand")
    layers = metrics_layers(head, test_metrics, batch)
    MultiLabelMetrics(metrics=list(test_metrics.names), **head.label_options)  # refuses what it cannot do
    taken = {other.name for other in wiring.layers} | {top for other in wiring.layers for top in other.top}
    if taken & {"metrics", "metrics/probabilities", *test_metrics.names}:
        raise ValueError("--metrics: the net has a layer metrics or a blob called as one already; remove that first")
    wiring.layers.extend(layers)
    wiring.tell(
        layers[-1],
        f"added: {', '.join(test_metrics.names)} of {head.scores}; "
        f"give the solver test_iter: {batches_of(test_metrics, batch)}",
    )
