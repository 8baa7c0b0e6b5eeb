"""A net as its prototxt describes it: read, written, and asked which layer makes and takes what."""

import os
import shutil
import subprocess
import sys
import tempfile

from .. import losses
from .. import options as params

PHASES = "TRAIN", "TEST"
OURS = "caffe_losses.layers"
LEARNED = "Convolution", "Deconvolution", "Embed", "InnerProduct", "LSTM", "RNN"
# the losses of Caffe's that compare scores with labels, and the layer that makes probabilities of the scores
LABEL_LOSSES = {
    "EuclideanLoss": None,
    "HingeLoss": None,
    "MultinomialLogisticLoss": None,
    "SigmoidCrossEntropyLoss": "Sigmoid",
    "SoftmaxWithLoss": "Softmax",
}


def read(path):
    """The net in a file, and whether it was in the format of an older Caffe, from which it is upgraded."""
    net = parse(path)
    if not (net.layers or net.input):
        return net, False
    folder = tempfile.mkdtemp()
    try:
        upgraded = os.path.join(folder, "upgraded.prototxt")
        upgrade(path, upgraded)
        return parse(upgraded), True
    finally:
        shutil.rmtree(folder)


def parse(path):
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    with open(path) as file:
        try:
            return text_format.Parse(file.read(), caffe_pb2.NetParameter())
        except text_format.ParseError as error:
            raise ValueError(f"{path} is not a net: {one_line(error)}") from None


def upgrade(path, upgraded):
    """Have Caffe's own program rewrite a net; it is installed next to the interpreter."""
    name = "upgrade_net_proto_text"
    program = shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)
    if program is None:
        raise ValueError(f"{path} is in the format of an older Caffe, and {name} is not found; put it on PATH")
    done = subprocess.run([program, path, upgraded], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode or not os.path.exists(upgraded):
        raise ValueError(f"{path}: {name} failed: {last_line(done.stdout)}")


def write(net, path):
    from google.protobuf import text_format

    with open(path, "w") as file:
        file.write(text_format.MessageToString(net))


def one_line(error):
    return " ".join(str(error).split())


def last_line(output):
    lines = output.decode(errors="replace").strip().splitlines()
    fatal = [line.split("] ", 1)[-1] for line in lines if "Check failed" in line]
    return (fatal or lines or ["no reason given"])[-1]


def views(layers, state):
    """{phase: View} of the phases that a net was made for; ValueError if there is none."""
    views = {phase: View(layers, state, phase) for phase in PHASES}
    found = {phase: view for phase, view in views.items() if view.layers and not view.missing()}
    if not found:
        raise ValueError(views["TRAIN"].missing() or "the net has no layers")
    return found


def copies(layers):
    """Layers of one's own, to change and to tell apart by identity."""
    copied = []
    for layer in layers:
        copied.append(type(layer)())
        copied[-1].CopyFrom(layer)
    return copied


class View:
    """The layers that a net has in one phase, in their order; they are the given ones, not copies."""

    def __init__(self, layers, state, phase):
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

    def takers(self, layer, blob):
        """The layers that take `layer`'s top `blob`."""
        takers = []
        for other in self.layers[self.index(layer) + 1 :]:
            takers += [other] if blob in other.bottom else []
            if blob in other.top:
                break
        return takers

    def ancestry(self, layer, blob):
        """The tops of data layers that a bottom is made of, and whether learned layers had a part in it."""
        sources, learned, seen, left = set(), False, set(), [(layer, blob)]
        while left:
            taker, top = left.pop()
            maker = self.maker(taker, top)
            if not maker.bottom:
                sources.add((maker.name, top))
            learned = learned or maker.type in LEARNED
            if id(maker) not in seen:
                seen.add(id(maker))
                left += [(maker, bottom) for bottom in maker.bottom]
        return sources, learned

    def are_labels(self, layer, blob, scores):
        """Whether a bottom comes from the data as labels do: unlearned, and not what the scores are made of."""
        sources, learned = self.ancestry(layer, blob)
        return not learned and not sources & self.ancestry(layer, scores)[0]


def is_ours(layer):
    return layer.type == "Python" and layer.python_param.module == OURS and layer.python_param.layer in losses.__all__


def is_loss(layer):
    """Whether the layer is a loss, known or not."""
    kind = layer.python_param.layer if layer.type == "Python" else layer.type
    return kind in LABEL_LOSSES or is_ours(layer) or kind.endswith("Loss") or any(layer.loss_weight)


def is_ours_called(layer, name):
    return layer.type == "Python" and layer.python_param.module == OURS and layer.python_param.layer == name


def image_options(layer):
    """The options of a MultiLabelImageData layer; None for any other."""
    if not is_ours_called(layer, "MultiLabelImageData"):
        return None
    return params.parse("MultiLabelImageData", layer.python_param.param_str)


def kind(layer):
    """What a layer is, for a report."""
    if layer.type != "Python":
        return layer.type
    known = layer.python_param.module == OURS
    return layer.python_param.layer if known else f"{layer.python_param.module}.{layer.python_param.layer}"


def weight(layer):
    """A loss layer's loss_weight as Caffe takes it: of a Python layer, 0 unless it is written."""
    return layer.loss_weight[0] if layer.loss_weight else float(layer.type != "Python")
