"""The layers of a net in one phase: which there are, who makes and takes a blob, which layers a blob needs."""

from collections import namedtuple

from .kinds import LEARNED, NAMED, title

PHASES = "TRAIN", "TEST"
NO_STAGES = (), ()
# They hand on the numbers that they take, all of them and in their order.
COPIES = "Flatten", "Reshape", "Split"
DataTop = namedtuple("DataTop", "layer top")  # a layer without bottoms, and a blob that it makes


def views(layers, state, stages=NO_STAGES):
    """{phase: View} of the phases that a net was made for.

    Args:
        layers: its LayerParameters.
        state: its NetState.
        stages: the stages that the solver adds in TRAIN, and those in TEST.

    Raises:
        ValueError: there is no such phase, with the reason; or two layers of a phase have weights under one name.
    """
    all_views = {phase: View(layers, state, phase, more) for phase, more in zip(PHASES, stages)}
    whole = {phase: view for phase, view in all_views.items() if view.layers and not view.missing()}
    for view in whole.values():
        view.check_names()
    if not whole:
        train = all_views["TRAIN"]
        raise ValueError((train.missing() or "the net has no layers") + stages_hint(layers, train))
    return whole


def stages_hint(layers, view):
    """What to say of the rules of the layers that are left out of a view; "" if they are of phases alone."""
    rules = [rule for layer in layers if not view.has(layer) for rule in (*layer.include, *layer.exclude)]
    stages = list(dict.fromkeys(stage for rule in rules for stage in (*rule.stage, *rule.not_stage)))
    if stages:
        example = " ".join(stages[:2])
        return (
            f"; the net has layers for the stages {', '.join(stages)}: name them with --stage, first that of TRAIN, "
            f"then that of TEST, e.g. --stage {example}"
        )
    if any(rule.HasField("min_level") or rule.HasField("max_level") for rule in rules):
        return "; the net has layers for some levels alone: write the level into it, e.g. state { level: 1 }"
    return ""


def may_be_in(layer, phase):
    """Whether a layer is in the net in a phase at some level and in some stages."""
    number = PHASES.index(phase)
    if layer.include:
        return any(not rule.HasField("phase") or rule.phase == number for rule in layer.include)
    return not any(
        (not rule.HasField("phase") or rule.phase == number)
        and not (rule.stage or rule.not_stage or rule.HasField("min_level") or rule.HasField("max_level"))
        for rule in layer.exclude
    )


def rules_of(layer):
    """The rules of a layer as text, "" if it has none; layers of the same rules are in the net together."""
    return "\n".join(str(rule) for rule in (*layer.include, *layer.exclude))


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


def without_rules(layer):
    """A copy of the layer that is in every net."""
    (copy,) = copies([layer])
    copy.ClearField("include")
    copy.ClearField("exclude")
    return copy


def cut(net, view, makers):
    """The net with only these layers and those that they need, free of rules that might leave one out."""
    return type(net)(name=net.name, layer=[without_rules(layer) for layer in view.needed(makers)])


class View:
    """The layers that a net has in one phase, in their order; they are those it is made of, not copies.

    phase   "TRAIN" or "TEST"
    layers  the LayerParameters

    Who makes and takes a blob is looked up once: after a change to the layers, make another View.
    """

    def __init__(self, layers, state, phase, stages=()):
        self.phase = phase
        self.state = type(state)()
        self.state.CopyFrom(state)
        self.state.phase = PHASES.index(phase)
        self.state.stage.extend(stages)
        self.layers = [layer for layer in layers if self.has(layer)]
        self.looked_up = None

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

    def links(self):
        """(the place of each layer, {(layer, bottom): its maker}, {(layer, top): its takers}); layers by identity."""
        if self.looked_up is None:
            places, makers, takers, last = {}, {}, {}, {}
            for place, layer in enumerate(self.layers):
                places[id(layer)] = place
                for blob in dict.fromkeys(layer.bottom):
                    if blob in last:
                        makers[id(layer), blob] = last[blob]
                        takers[id(last[blob]), blob].append(layer)
                for blob in layer.top:
                    last[blob] = layer
                    takers[id(layer), blob] = []
            self.looked_up = places, makers, takers
        return self.looked_up

    def missing(self):
        """What is wrong with a phase that the net was not made for, such as a train_val without TEST data; or None."""
        _, makers, _ = self.links()
        for layer in self.layers:
            for blob in layer.bottom:
                if (id(layer), blob) not in makers:
                    return f"layer {title(layer)} takes {blob}, which no layer before it makes"
        return None

    def check_names(self):
        """ValueError for two layers with weights and one name: they train side by side, and are stored as one."""
        named = {}
        for layer in self.layers:
            if layer.type in NAMED and layer.name in named:
                tops = f"{', '.join(named[layer.name].top)} and {', '.join(layer.top)}"
                raise ValueError(
                    f"in {self.phase}, two layers with weights have the name {layer.name or '(none)'}, those that make "
                    f"{tops}; weights are stored by name, so that one would get the other's: give each its own name"
                )
            if layer.type in NAMED:
                named[layer.name] = layer

    def index(self, layer):
        return self.links()[0][id(layer)]

    def maker(self, layer, blob):
        """The layer whose top `layer` takes as the bottom `blob`."""
        return self.links()[1][id(layer), blob]

    def last_maker(self, blob):
        """The last layer that makes the blob. ValueError if there is none."""
        makers = [layer for layer in self.layers if blob in layer.top]
        if not makers:
            blobs = dict.fromkeys(top for layer in self.layers for top in layer.top)
            raise ValueError(f"expected a blob of the net, got {blob}; it has {', '.join(blobs)}")
        return makers[-1]

    def takers(self, layer, blob):
        """The layers that take `layer`'s top `blob`."""
        return self.links()[2][id(layer), blob]

    def needed(self, makers):
        """These layers and all that they are made of, in the net's order."""
        kept, left = {}, list(makers)
        while left:
            layer = left.pop()
            if id(layer) not in kept:
                kept[id(layer)] = layer
                left += [self.maker(layer, bottom) for bottom in layer.bottom]
        return sorted(kept.values(), key=self.index)

    def made_of(self, layer, blob):
        """The data layers' tops that a bottom of a layer is made of, as DataTops."""
        return data_tops(self.needed([self.maker(layer, blob)]), [blob])

    def ancestry(self, layer, blob):
        """The tops of data layers that a bottom is made of, and whether learned layers had a part in it."""
        makers = self.needed([self.maker(layer, blob)])
        tops = {(top.layer.name, top.top) for top in data_tops(makers, [blob])}
        return tops, any(maker.type in LEARNED for maker in makers)

    def origin(self, layer, blob):
        """The DataTop, or the top of another layer, with the numbers of a bottom: below layers that hand on all."""
        maker = self.maker(layer, blob)
        while maker.type in COPIES:
            layer, blob = maker, maker.bottom[0]
            maker = self.maker(layer, blob)
        return DataTop(maker, blob)

    def are_labels(self, layer, blob, scores):
        """Whether a bottom comes from the data as labels do: unlearned, and not what the scores are made of."""
        tops, learned = self.ancestry(layer, blob)
        return not learned and not tops & self.ancestry(layer, scores)[0]
