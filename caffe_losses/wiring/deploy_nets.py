"""Makes a net for training of a deploy net, and keeps layers of published weights as they are."""

from ..net import weights
from ..net.kinds import NAMED, is_loss
from ..net.make import layer
from ..net.view import PHASES, copies
from ..options import shortened

LOSS, LABEL = "loss", "label"
BLOBS = {"PReLU": 1, "Parameter": 1, "BatchNorm": 3}  # weights of a layer that has always as many


def is_deploy(net):
    """Whether a net has Input layers and no loss, as one for inference."""
    inputs = [one for one in net.layer if not one.bottom]
    return bool(inputs) and all(one.type == "Input" for one in inputs) and not any(map(is_loss, net.layer))


def as_train_val(net):
    """(a net of both phases with a loss for one label an image, as `wire` takes it; lines that tell of it).

    BatchNorm learns again: a deploy net has it take the learned statistics in TRAIN, too.
    """
    (source, *others), outputs = [one for one in net.layer if not one.bottom], output_blobs(net)
    if others or len(source.top) != 1 or len(outputs) != 1:
        inputs = [top for one in (source, *others) for top in one.top]
        raise ValueError(
            f"a deploy net of one input and one output can be wired; this has {', '.join(inputs)} and "
            f"{', '.join(outputs)}; take the others out by hand"
        )
    whole, lines = type(net)(name=net.name), []
    for phase in PHASES:
        (data,) = copies([source])
        data.top.append(LABEL)
        data.input_param.shape.add().dim.append(1)
        data.include.add().phase = PHASES.index(phase)
        whole.layer.append(data)
    whole.layer.extend(copies([one for one in net.layer if one.bottom]))
    whole.layer.append(layer(name=LOSS, type="SoftmaxWithLoss", bottom=[outputs[0], LABEL], top=[LOSS]))
    fixed = [one for one in whole.layer if one.batch_norm_param.use_global_stats]
    for one in fixed:
        one.batch_norm_param.ClearField("use_global_stats")
    lines += [f"use_global_stats taken out of {len(fixed)} BatchNorm layers: they learn in TRAIN"] if fixed else []
    return whole, lines


def output_blobs(net):
    """The blobs that no layer takes."""
    last = {}
    for one in net.layer:
        for blob in one.bottom:
            last.pop(blob, None)
        last.update(dict.fromkeys(one.top))
    return list(last)


def freeze(wiring, upto):
    """Have the layers up to this one keep their weights, and BatchNorm its statistics."""
    names = [one.name for one in wiring.layers]
    if upto not in names:
        raise ValueError(f"--freeze: expected a layer of the net, got {upto}; it has {', '.join(names)}")
    frozen = {}
    for view in map(wiring.view, wiring.phases):
        ends = [one for one in view.layers if one.name == upto]
        frozen.update((id(one), one) for one in view.needed(ends) if one.type in NAMED)
    for one in frozen.values():
        while len(one.param) < blobs_of(one):
            one.param.add()
        for blob in one.param:
            blob.lr_mult = blob.decay_mult = 0
        if one.type == "BatchNorm":
            one.batch_norm_param.use_global_stats = True
    wiring.lines.append(f"frozen: the {len(frozen)} layers with weights up to {upto} (lr_mult: 0)")


def blobs_of(one):
    """How many blobs of weights a layer has."""
    if one.type in BLOBS:
        return BLOBS[one.type]
    if one.type == "Scale":
        return 1 + one.scale_param.bias_term
    parts = {"Convolution": one.convolution_param, "Deconvolution": one.convolution_param,
             "InnerProduct": one.inner_product_param, "Embed": one.embed_param}  # fmt: skip
    return 1 + parts[one.type].bias_term if one.type in parts else len(one.param)


def renew(scorer):
    """Have the layer of the scores start from random weights, and learn ten times as fast as those below."""
    param = scorer.inner_product_param if scorer.type == "InnerProduct" else scorer.convolution_param
    if not param.HasField("weight_filler"):
        param.weight_filler.type = "xavier"
    del scorer.param[:]
    scorer.param.add(lr_mult=10, decay_mult=1)
    if param.bias_term:
        scorer.param.add(lr_mult=20, decay_mult=0)


def starting(net, path, all_of_them):
    """A line that tells which layers of a net have weights in a file.

    all_of_them  whether all but the renewed one have to, as in a deploy net: it has no fillers. ValueError if they do
                 not
    """
    stored = weights.read(path)
    learned = list(dict.fromkeys(one.name for one in net.layer if one.type in NAMED))
    random = [name for name in learned if name not in stored]
    if len(random) == len(learned) or (all_of_them and len(random) > 1):
        raise ValueError(
            f"--weights {path} has none for the layers {shortened(random)}, but for {shortened(sorted(stored))}; give "
            "those of this net"
        )
    told = f"weights: {len(learned) - len(random)} of {len(learned)} layers start from {path}"
    return told + f"; not {shortened(random)}" * bool(random)
