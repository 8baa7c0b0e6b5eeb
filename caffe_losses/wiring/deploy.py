"""Makes the net for inference of a net for training: Input for data, probabilities for the loss."""

from ..net.heads import CLASS_AXIS
from ..net.kinds import is_loss, kind, title
from ..net.make import input_layer
from ..net.sources import known_shape, prepared
from ..net.testing import phases_of
from ..net.view import NO_STAGES, data_tops, is_in
from .contract import check_statistics, count_axes_from_the_front, say_global_stats, without_passing
from .records import Inference, Output


def deploy(net, *, heads=None, shapes=None, stages=NO_STAGES, foreign=None):
    """The net for inference of a net for training: its TEST phase or, if it has none at all, TRAIN, which is told.

    Only the layers that the scores are made of stay, so that auxiliary heads go. Dropout and Split go, too, as they do
    nothing in the phase TEST.

    Args:
        net: NetParameter of a train_val.
        heads: names of the losses whose scores are wanted, also of TRAIN, or of Accuracy or metrics of TEST; None: the
            losses of the largest loss_weight or, if TEST has no loss, what is measured there.
        shapes: {top: shape} of the data; the key None is for the only top that there is.
        stages: the stages that the solver adds in TRAIN, and those in TEST.
        foreign: what only another Caffe knows of the net: {layer: {field: text}}, as `prototxt.read_foreign` gives it.

    Returns:
        An Inference: the deploy net, what was done, its outputs, and the data layers that it had.

    Raises:
        ValueError: a loss is not known, a shape is not told, or the data may be those of TRAIN.
    """
    phases = phases_of(net, stages, or_train=True)
    view, chosen = phases.test, phases.heads(heads)
    kept = view.needed([head.made_by(view, head.scores) for head in chosen])
    check_statistics(kept)
    lines = []
    if view.phase == "TEST":
        phases.check_data(kept)
    else:
        lines.append("TEST: the net has no such phase; size, mean and scale of the pictures are those of TRAIN")
    lines += [f"{title(layer)}: dropped ({kind(layer)})" for layer in view.layers if is_loss(layer)]
    lost = [title(layer) for layer in view.layers if layer.bottom and not is_loss(layer) and not is_in(layer, kept)]
    lines += [f"dropped, as the scores do not need them: {', '.join(lost)}"] if lost else []
    inputs = input_layers(kept, dict(shapes or {}), lines)
    layers, names = without_passing([without_training(layer) for layer in kept if layer.bottom], lines)
    say_global_stats(layers, lines)
    deployed = type(net)(name=net.name)
    deployed.layer.extend(inputs + layers)
    check_foreign(deployed, foreign or {})
    outputs = []
    for head in chosen:
        scores = names.get(head.scores, head.scores)
        name = "prob" if len(chosen) == 1 else f"{title(head.layer)}/prob"
        blob = add_probabilities(deployed, head._replace(scores=scores), name)
        told = f"{scores}: the output, as {kind(head.layer)} takes it"
        lines.append(told if blob is None else f"{blob}: {head.activation} of {scores}")
        outputs.append(Output(blob or scores, head.activation))
    count_axes_from_the_front(deployed)
    return Inference(deployed, lines, outputs, {top.top: top.layer for top in data_tops(kept)})


def check_foreign(net, foreign):
    """Refuse a net of which this Caffe does not know all."""
    for layer in net.layer:
        for field in foreign.get(layer.name, {}) if layer.type != "Input" else ():
            message, name = field.split()
            raise ValueError(
                f"layer {title(layer)} ({kind(layer)}): {message} has no field {name} in this Caffe, but in another; "
                "take it out"
            )


def without_training(layer):
    """The layer without what only training reads, nor rules that might leave it out."""
    for field in ("include", "exclude", "loss_weight", "propagate_down"):
        layer.ClearField(field)
    if not any(param.name for param in layer.param):
        layer.ClearField("param")
    for param in (layer.convolution_param, layer.inner_product_param):
        param.ClearField("weight_filler")
        param.ClearField("bias_filler")
    for field in ("convolution_param", "inner_product_param"):
        if not getattr(layer, field).ListFields():
            layer.ClearField(field)
    return layer


def input_layers(kept, shapes, lines):
    """An Input layer for each top of a data layer that is needed."""
    tops = data_tops(kept)
    names = [top for _, top in tops]
    unknown = [name for name in shapes if name is not None and name not in names]
    if unknown or (None in shapes and len(names) != 1):
        raise ValueError(f"--shape: the net takes {', '.join(names)}; give --shape {names[0]}=1,3,224,224 or the like")
    inputs = []
    for layer, top in tops:
        shape = shapes.get(top, shapes.get(None)) or known_shape(layer, top)
        steps = prepared(layer)
        hint = f"; give it images {steps}" if steps else ""
        lines.append(f"{top}: {kind(layer)} -> Input {' x '.join(map(str, shape))}{hint}")
        inputs.append(input_layer(top, shape))
    return inputs


def add_probabilities(net, head, name="prob"):
    """Add a Softmax or Sigmoid of a head's scores to a net, as its loss has it.

    Returns:
        The blob with the probabilities; None, and nothing is added, if the scores are probabilities or it is not
        known what makes some of them.
    """
    if head.activation is None or head.probabilities:
        return None
    while any(name == layer.name or name in layer.top for layer in net.layer):
        name += "_"
    layer = net.layer.add(name=name, type=head.activation, bottom=[head.scores], top=[name])
    if head.activation == "Softmax" and head.axis != CLASS_AXIS:
        layer.softmax_param.axis = head.axis
    return name
