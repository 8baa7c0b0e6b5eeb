"""The layers of a net in one phase: which there are, who makes and takes a blob, which layers a blob needs."""

from collections import namedtuple

from .kinds import LEARNED

PHASES = "TRAIN", "TEST"
DataTop = namedtuple("DataTop", "layer top")  # a layer without bottoms, and a blob that it makes


def views(layers, state):
    """{phase: View} of the phases that a net was made for. ValueError if there is none."""
    all_views = {phase: View(layers, state, phase) for phase in PHASES}
    whole = {phase: view for phase, view in all_views.items() if view.layers and not view.missing()}
    if not whole:
        raise ValueError(all_views["TRAIN"].missing() or "the net has no layers")
    return whole


def copies(layers):
    """Layers of one's own, to change and to tell apart by identity."""
    copied = []
    for layer in layers:
        copied.append(type(layer)())
        copied[-1].CopyFrom(layer)
    return copied


def is_in(layer, layers):
    """Whether the layer itself, not one like it, is among these."""
    return any(layer is other for other in layers)


def data_tops(layers, blobs=()):
    """A DataTop for each blob that one of these layers without bottoms makes, and one of these or `blobs` takes."""
    taken = {blob for layer in layers for blob in layer.bottom}.union(blobs)
    return [DataTop(layer, top) for layer in layers if not layer.bottom for top in layer.top if top in taken]


def cut(net, view, makers):
    """The net with only these layers and those that they need, free of rules that might leave one out."""
    small = type(net)(name=net.name, layer=view.needed(makers))
    for layer in small.layer:
        layer.ClearField("include")
        layer.ClearField("exclude")
    return small


class View:
    """The layers that a net has in one phase, in their order; they are those it is made of, not copies.

    phase   "TRAIN" or "TEST"
    layers  the LayerParameters
    """

    def __init__(self, layers, state, phase):
        self.phase = phase
        self.state = type(state)()
        self.state.CopyFrom(state)
        self.state.phase = PHASES.index(phase)
        self.layers = [layer for layer in layers if self.has(layer)]

    def has(self, layer):
        """Caffe's Net::FilterNet."""
        if layer.include:
            return any(self.meets(rule) for rule in layer.include)
        return not any(self.meets(rule) for rule in layer.exclude)

    def meets(self, rule):
        state = self.state
        return not (
            (rule.HasField("phase") and rule.phase != state.phase)
            or (rule.HasField("min_level") and state.level < rule.min_level)
            or (rule.HasField("max_level") and state.level > rule.max_level)
            or set(rule.stage) - set(state.stage)
            or set(rule.not_stage) & set(state.stage)
        )

    def missing(self):
        """What is wrong with a phase that the net was not made for, such as a train_val without TEST data; or None."""
        made = set()
        for layer in self.layers:
            for blob in layer.bottom:
                if blob not in made:
                    return f"layer {layer.name} takes {blob}, which no layer before it makes"
            made.update(layer.top)
        return None

    def index(self, layer):
        return next(i for i, other in enumerate(self.layers) if other is layer)

    def maker(self, layer, blob):
        """The layer whose top `layer` takes as the bottom `blob`."""
        return next(other for other in reversed(self.layers[: self.index(layer)]) if blob in other.top)

    def last_maker(self, blob):
        """The last layer that makes the blob. ValueError if there is none."""
        makers = [layer for layer in self.layers if blob in layer.top]
        if not makers:
            blobs = dict.fromkeys(top for layer in self.layers for top in layer.top)
            raise ValueError(f"expected a blob of the net, got {blob}; it has {', '.join(blobs)}")
        return makers[-1]

    def takers(self, layer, blob):
        """The layers that take `layer`'s top `blob`."""
        takers = []
        for other in self.layers[self.index(layer) + 1 :]:
            takers += [other] if blob in other.bottom else []
            if blob in other.top:
                break
        return takers

    def needed(self, makers):
        """These layers and all that they are made of, in the net's order."""
        kept, left = [], list(makers)
        while left:
            layer = left.pop()
            if not is_in(layer, kept):
                kept.append(layer)
                left += [self.maker(layer, bottom) for bottom in layer.bottom]
        return sorted(kept, key=self.index)

    def ancestry(self, layer, blob):
        """The tops of data layers that a bottom is made of, and whether learned layers had a part in it."""
        makers = self.needed([self.maker(layer, blob)])
        tops = {(top.layer.name, top.top) for top in data_tops(makers, [blob])}
        return tops, any(maker.type in LEARNED for maker in makers)

    def are_labels(self, layer, blob, scores):
        """Whether a bottom comes from the data as labels do: unlearned, and not what the scores are made of."""
        tops, learned = self.ancestry(layer, blob)
        return not learned and not tops & self.ancestry(layer, scores)[0]
