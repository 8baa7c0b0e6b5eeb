"""Puts the new loss in the place of an old one, and tells what of it is lost."""

from ..net.heads import options_of, takes_indices
from ..net.kinds import LABEL_LOSSES, is_known_loss, kind, our_loss, published_loss, title, weight
from ..net.make import copy_rules, our_layer
from ..net.published import lost_parameters

# What a LayerParameter says besides what its kind is told.
COMMON = ("name", "type", "bottom", "top", "phase", "loss_weight", "propagate_down", "include", "exclude", "loss_param",
          "softmax_param", "python_param")  # fmt: skip


def replace_loss(wiring, loss):
    """Make the layer one of the new loss, with the old one's place, blobs and weight."""
    tell_lost(wiring, loss)
    bottoms, options, tops = kept_bottoms(wiring, loss), kept_options(wiring, loss), kept_tops(wiring, loss)
    if loss.type == "Python" and not loss.loss_weight:
        wiring.tell(loss, "had no loss_weight, so that Caffe trained nothing by it")
        loss.loss_weight.append(1)
    weights = [weight(loss)] + [0] * (len(tops) - 1)
    new = our_layer(wiring.loss.name(), options, name=loss.name, bottom=bottoms, top=tops, loss_weight=weights)
    copy_rules(loss, new)
    new.propagate_down.extend(loss.propagate_down[: len(bottoms)])
    text = f"{kind(loss)} -> {kind(new)}, loss_weight {weight(new):g} {new.python_param.param_str}".rstrip()
    loss.CopyFrom(new)
    wiring.foreign.pop(id(loss), None)
    wiring.tell(loss, text)


def tell_lost(wiring, loss):
    """Tell what the old loss says that the new one is not told."""
    public, fields = published_loss(loss), wiring.fields(loss)
    lost = [field.name for field, _ in loss.ListFields() if field.name not in COMMON]
    if public is not None:
        lost += lost_parameters(loss, fields)
        if public.lost:
            wiring.tell(loss, f"of {kind(loss)}: {public.lost}")
        if loss.type == "Python" and weight(loss) not in (0, 1):
            wiring.tell(loss, f"loss_weight {weight(loss):g} now scales the gradient, which {kind(loss)} did not")
        if public.labels not in ("DENSE", "INDEX"):
            wiring.tell(loss, f"labels of {kind(loss)} are {public.labels}")
    elif our_loss(loss) is None:
        param_str = " ".join(loss.python_param.param_str.split())
        lost += [f"param_str {param_str}"] if param_str else []
        lost += [f"{field.split()[1]} {text}" for field, text in fields.items()]
    for text in lost:
        wiring.tell(loss, f"{text} dropped: {wiring.loss.name()} has no such parameter")


def kept_bottoms(wiring, loss):
    """Scores and labels, and the weights of rows if the old loss has them."""
    public = published_loss(loss)
    if our_loss(loss) is not None or (public is not None and public.has_weights):
        return list(loss.bottom)
    for blob in loss.bottom[2:]:
        wiring.tell(loss, f"bottom {blob} dropped: a third one has the weights of rows in {wiring.loss.name()}")
    return list(loss.bottom[:2])


def kept_tops(wiring, loss):
    """The loss, which Caffe would name only for losses of its own, and the probabilities."""
    tops = list(loss.top)
    if not tops:
        used = any(loss.name in layer.top for layer in wiring.layers)
        return [f"{loss.name}_loss" if used else loss.name]
    has_second = wiring.loss.has_probabilities and (our_loss(loss) is not None or loss.type in LABEL_LOSSES)
    kept = tops[: 2 if has_second else 1]
    for top in tops[len(kept) :]:
        if wiring.is_taken(top):
            raise ValueError(f"layer {title(loss)}: {top} is in use, and {wiring.loss.name()} does not make it")
        what = "only the loss" if not wiring.loss.has_probabilities else "the loss and its probabilities"
        wiring.tell(loss, f"top {top} removed: {wiring.loss.name()} has {what}")
    return kept


def kept_options(wiring, loss):
    """The options for the new loss: those that the user gives, and what the old one says in its own way."""
    name, allowed = wiring.loss.name(), [option.name for option in wiring.loss.options]
    old = options_of(loss, wiring.fields(loss))
    dropped = [option for option in old if option not in allowed]
    if dropped:
        wiring.tell(loss, f"{', '.join(dropped)} dropped: {name} has no such parameter")
    kept = {option: value for option, value in old.items() if option in allowed}
    kept = keep_ignore_label(wiring, loss, kept)
    options = dict(kept, **wiring.options)
    wiring.loss(**options)
    return options


def keep_ignore_label(wiring, loss, kept):
    """The options without an ignore_label that meant a class where it would mean a value, or the other way round."""
    label_format = wiring.options.get("label_format", kept.get("label_format", "DENSE"))
    same = is_known_loss(loss) and takes_indices(loss) == (label_format == "INDEX")
    if "ignore_label" not in kept or same:
        return kept
    if "ignore_label" not in wiring.options:
        text = "it was a number a class, and labels are class indices now"
        if label_format == "DENSE":
            text = "it was a class index, and labels have one number a class now"
        wiring.tell(loss, f"ignore_label {kept['ignore_label']:g} dropped: {text}")
    return {option: value for option, value in kept.items() if option != "ignore_label"}
