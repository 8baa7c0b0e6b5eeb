"""Adds a MultiLabelMetrics layer for the TEST phase."""

from ..metrics import MultiLabelMetrics
from ..net.heads import head_of
from ..net.kinds import kind, title, weight
from ..net.make import our_layer
from ..net.sources import batch_size
from ..net.view import PHASES, data_tops


def metrics_layer(head, test_metrics, batch):
    """The layer that measures a head's scores over the whole test set, read in batches of `batch`.

    Scores of a softmax loss have no scale that images share, so that their log-probabilities are measured.
    """
    names = list(test_metrics.names)
    options = {"metrics": names, "test_iter": batches_of(test_metrics, batch), "images": test_metrics.images}
    options.update({"softmax": True} if head.activation == "Softmax" and not head.probabilities else {})
    options.update(head.label_options)
    added = our_layer("MultiLabelMetrics", options, name="metrics", bottom=[head.scores, head.labels], top=names)
    added.include.add().phase = PHASES.index("TEST")
    return added


def batches_of(test_metrics, batch):
    """How many batches a pass over the test set has."""
    return -(-test_metrics.images // batch)


def add_metrics(wiring, losses, test_metrics):
    """Measure the scores of the loss with the largest loss_weight, at the end of the net."""
    if "TEST" not in wiring.phases:
        raise ValueError("--metrics: the net has no TEST phase; add data and labels for it")
    view = wiring.view("TEST")
    here = [loss for loss in losses if view.has(loss)]
    head = head_of(view if here else wiring.view("TRAIN"), max(here or losses, key=weight))
    makers = [top.layer for top in data_tops(view.needed([view.last_maker(head.labels)]), [head.labels])]
    batch = next(filter(None, map(batch_size, makers)), None)
    if batch is None:
        raise ValueError(
            f"layer {title(makers[0])} ({kind(makers[0])}) has no batch size; add MultiLabelMetrics by hand"
        )
    layer = metrics_layer(head, test_metrics, batch)
    MultiLabelMetrics(metrics=list(test_metrics.names), **head.label_options)  # refuses what it cannot do
    taken = {other.name for other in wiring.layers} | {top for other in wiring.layers for top in other.top}
    if taken & {"metrics", *test_metrics.names}:
        raise ValueError("--metrics: the net has a layer metrics or a blob called as one already; remove that first")
    wiring.layers.append(layer)
    wiring.tell(
        layer,
        f"added: {', '.join(test_metrics.names)} of {head.scores}; "
        f"give the solver test_iter: {batches_of(test_metrics, batch)}",
    )
