"""Gives a net another number of classes."""

from ..net.kinds import LEARNED, is_loss, kind, title
from ..net.view import is_in
from .deploy_nets import renew
from .wiring import reaches

# They pass the classes on as they are, without weights of their own for each.
TRANSPARENT = "AbsVal", "Dropout", "ELU", "Flatten", "Pooling", "Power", "ReLU", "Sigmoid", "Softmax", "TanH"


def resize(wiring, view, loss, num_classes, resized, old_losses):
    """Give the layer that makes a loss's scores num_classes outputs and a new name, which is added to `resized`.

    old_losses  all losses that are replaced
    """
    scorer = scorer_of(view, loss, old_losses)
    if scorer.name in resized:
        return
    param = size_param(scorer)
    if param.num_output == num_classes and not wiring.renewed:
        resized.add(scorer.name)
        wiring.tell(scorer, f"has {num_classes} outputs already, so that pretrained weights load into it")
        return
    if scorer.type == "Convolution" and num_classes % param.group:
        raise ValueError(f"layer {title(scorer)} has {param.group} groups, which do not divide {num_classes}")
    shared = sharing(wiring, scorer)
    if shared:
        raise ValueError(f"layer {title(scorer)} shares its weights by name with {shared[0]}; resize them by hand")
    old, new = scorer.name, free_name(wiring, f"{scorer.name}_{num_classes}")
    wiring.tell(scorer, f"{param.num_output} -> {num_classes} outputs")
    wiring.tell(scorer, f"renamed {new}: pretrained weights pass it by, and it trains from scratch")
    if scorer.param and not any(weights.lr_mult for weights in scorer.param):
        wiring.tell(scorer, "its lr_mult is 0, so that it does not train")
    for layer in wiring.layers:
        if layer.name == old and layer.type == scorer.type:
            layer.name, size_param(layer).num_output = new, num_classes
            if wiring.renewed:
                renew(layer)
    resized.add(new)


def sharing(wiring, scorer):
    """The names of other layers that have a name of the scorer's weights."""
    names = {weights.name for weights in scorer.param if weights.name}
    return [layer.name for layer in wiring.layers
            if layer.name != scorer.name and names & {weights.name for weights in layer.param}]  # fmt: skip


def size_param(scorer):
    return scorer.inner_product_param if scorer.type == "InnerProduct" else scorer.convolution_param


def free_name(wiring, name):
    while any(layer.name == name for layer in wiring.layers):
        name += "_"
    return name


def scorer_of(view, loss, old_losses):
    """The last layer with weights below a loss. ValueError if its outputs are not the classes."""
    maker = view.maker(loss, loss.bottom[0])
    while maker.type not in ("InnerProduct", "Convolution"):
        if maker.type not in TRANSPARENT or len(maker.bottom) != 1:
            raise ValueError(
                f"layer {title(loss)}: its scores come through {title(maker)} ({kind(maker)}), so that it is not clear "
                "what to resize; do it by hand and leave --num-classes out"
            )
        maker = view.maker(maker, maker.bottom[0])
    for taker in reaches(view, maker):
        if taker.type in LEARNED:
            raise ValueError(
                f"layer {title(maker)} feeds {title(taker)} ({kind(taker)}) too, whose weights depend on its size; "
                "resize both by hand and leave --num-classes out"
            )
        if is_loss(taker) and not is_in(taker, old_losses):
            raise ValueError(
                f"layer {title(maker)} feeds {title(taker)} ({kind(taker)}) too, which stays as it is; "
                "give --head for it too, or resize by hand and leave --num-classes out"
            )
    return maker
