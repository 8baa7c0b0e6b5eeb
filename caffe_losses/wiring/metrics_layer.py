"""Adds a MultiLabelMetrics layer for the TEST phase."""

import json

from .. import options as params
from .net import OURS, image_options, weight
from .sources import SIZES


def metrics_layers(like, loss, scores, labels, metrics, images, batch, options):
    """Layers (of the class of `like`) that measure the whole test set of `images`, in batches of `batch`.

    Scores of a softmax loss have no scale that images share, so that its probabilities are measured.
    """
    layer = type(like)(name="metrics", type="Python", bottom=[scores, labels], top=metrics)
    layer.python_param.module, layer.python_param.layer = OURS, "MultiLabelMetrics"
    said = {"metrics": metrics, "test_iter": -(-images // batch), "images": images, **options}
    layer.python_param.param_str = json.dumps(said)
    layers = [layer]
    if loss.has_probabilities and loss.activation == "Softmax":
        layer.bottom[0] = "metrics/probabilities"
        layers = [type(like)(name=layer.bottom[0], type="Softmax", bottom=[scores], top=layer.bottom[:1]), layer]
    for one in layers:
        one.include.add().phase = 1
    return layers


def add_metrics(wiring, heads, metrics, images):
    """Measure the scores of the head with the largest loss_weight, at the end of the net."""
    if "TEST" not in wiring.phases:
        raise ValueError("--metrics: the net has no TEST phase; add data and labels for it")
    view = wiring.view("TEST")
    head = max((head for head in heads if view.has(head)), key=weight)
    maker = view.maker(head, head.bottom[1])
    options = params.parse(wiring.loss.name(), head.python_param.param_str)
    kept = {key: options[key] for key in ("label_format", "ignore_label") if key in options}
    batch = batch_size(maker)
    layers = metrics_layers(head, wiring.loss, head.bottom[0], head.bottom[1], metrics, images, batch, kept)
    taken = {other.name for other in wiring.layers} | {top for other in wiring.layers for top in other.top}
    if taken & {"metrics", "metrics/probabilities", *metrics}:
        raise ValueError("--metrics: the net has a layer metrics or a blob called as one already; remove that first")
    wiring.layers.extend(layers)
    test_iter = -(-images // batch)
    wiring.tell(layers[-1], f"added: {', '.join(metrics)} of {head.bottom[0]}; give the solver test_iter: {test_iter}")


def batch_size(layer):
    ours = image_options(layer)
    if ours is not None:
        return ours["batch_size"]
    if layer.type not in SIZES:
        raise ValueError(f"layer {layer.name} ({layer.type}) has no batch size; add MultiLabelMetrics by hand")
    return getattr(layer, SIZES[layer.type]).batch_size
