"""The net that is being rewired."""

import json

from ..net.conditions import check_labels
from ..net.kinds import LEARNED, kind, title
from ..net.view import PHASES, View, copies, is_in, stages_hint, views


class Wiring:
    """The layers of one net being rewired, and the lines that tell what has been changed.

    layers   LayerParameters of its own
    loss     the class of the new loss
    options  the parameters that the user gives it
    batches  how many images the user wants at a time, in TRAIN and in TEST; or None
    renewed  whether the layers of the scores start anew, whatever their size
    phases   those that the net was made for
    lines    a line for each change
    """

    def __init__(self, net, loss, options, stages, foreign, renewed=False):
        self.layers, self.state, self.stages, self.lines = copies(net.layer), net.state, stages, []
        self.loss, self.options, self.batches, self.told = loss, options, None, set()
        self.renewed = renewed
        self.foreign = {id(layer): foreign[layer.name] for layer in self.layers if layer.name in foreign}
        self.phases = list(views(self.layers, self.state, stages))
        loss(**options)  # refuses wrong ones
        for phase in PHASES:
            hint = stages_hint(self.layers, self.view(phase))
            if phase not in self.phases and hint:
                self.lines.append(f"{phase}: not looked at, as {self.view(phase).missing() or 'it has no layer'}{hint}")

    def tell(self, layer, text):
        line = f"{title(layer)}: {text}"
        if line not in self.told:
            self.told.add(line)
            self.lines.append(line)

    def view(self, phase):
        return View(self.layers, self.state, phase, self.stages[PHASES.index(phase)])

    def phases_of(self, layer):
        """The phases that the net was made for and that have the layer."""
        return [phase for phase in self.phases if self.view(phase).has(layer)]

    def fields(self, layer):
        """{field: text} of what only another Caffe knows of the layer."""
        return self.foreign.get(id(layer), {})

    def remove(self, layer, reason):
        self.remove_all([layer], reason)

    def remove_all(self, layers, reason):
        gone = set(map(id, layers))
        self.layers = [layer for layer in self.layers if id(layer) not in gone]
        for layer in layers:
            self.tell(layer, f"removed: {reason}")

    def silences(self):
        return [layer for layer in self.layers if layer.type == "Silence"]

    def put_after(self, layer, added):
        place = next(i for i, other in enumerate(self.layers) if other is layer) + 1
        self.layers[place:place] = added

    def is_taken(self, blob, besides=()):
        """Whether a layer takes the blob, other than these."""
        return any(blob in layer.bottom and not is_in(layer, besides) for layer in self.layers)

    def tell_stages(self):
        """Tell of the stages that the solver has to name."""
        states = [f"{phase.lower()}_state {{ {' '.join(f'stage: {json.dumps(stage)}' for stage in stages)} }}"
                  for phase, stages in zip(PHASES, self.stages) if stages]  # fmt: skip
        if states:
            self.lines.append(f"stages: give the solver {' and '.join(states)}")

    def check(self):
        """Refuse a net in which something has been left hanging, or a field of another Caffe."""
        for phase in self.phases:
            view = self.view(phase)
            text = view.missing() or made_twice(view)
            if text:
                raise ValueError(f"in {phase}, {text} after the change; give {phase} a layer of its own there by hand")
            check_labels(view)
        for layer in self.layers:
            for field in self.fields(layer):
                message, name = field.split()
                remedy = "take it out" if layer.bottom else "take it out, or have --image-list replace the layer"
                raise ValueError(
                    f"layer {title(layer)} ({kind(layer)}): {message} has no field {name} in this Caffe, but in "
                    f"another; {remedy}"
                )


def made_twice(view):
    made = {}
    for layer in view.layers:
        for blob in layer.top:
            if blob in made and blob not in layer.bottom:
                return f"both {title(made[blob])} and {title(layer)} make {blob}"
            made[blob] = layer
    return None


def reaches(view, layer):
    """The layers that take what a layer makes, and what these make, up to the next that learns."""
    reached, left = {}, [layer]
    while left:
        maker = left.pop()
        for top in maker.top:
            for taker in view.takers(maker, top):
                if id(taker) not in reached:
                    reached[id(taker)] = taker
                    left += [] if taker.type in LEARNED else [taker]
    return sorted(reached.values(), key=view.index)
