"""What is timed. All of a family compute the same: the mean over rows (softmax) or over scores (sigmoid)."""

import json
import tempfile
from collections import namedtuple
from functools import partial

import caffe
import numpy as np
from caffe import layers as L
from caffe.proto import caffe_pb2

from caffe_losses import losses

LOOP_SCORES = 50_000  # a Python loop over more of them only takes longer

# A forward and then a backward, where there is one, their time to be multiplied by scale; reset is not timed.
Contender = namedtuple("Contender", "forward backward reset scale", defaults=(None, None, 1))
Data = namedtuple("Data", "scores dense index")


def our_layer(layer, **param):
    return partial(L.Python, module="caffe_losses.layers", layer=layer, param_str=json.dumps(param), loss_weight=1)


LAYERS = {
    "softmax DENSE": our_layer("MultiLabelSoftmaxLoss"),
    "softmax INDEX": our_layer("MultiLabelSoftmaxLoss", label_format="INDEX"),
    "softmax C++": L.SoftmaxWithLoss,
    "sigmoid DENSE": our_layer("SigmoidCrossEntropyLoss", normalization="FULL"),
    "sigmoid INDEX": our_layer("SigmoidCrossEntropyLoss", normalization="FULL", label_format="INDEX"),
    "sigmoid C++": partial(L.SigmoidCrossEntropyLoss, loss_param={"normalization": 0}),  # FULL
    "sigmoid focal": our_layer("SigmoidFocalLoss"),
    "sigmoid asymmetric": our_layer("AsymmetricLoss"),
    "sigmoid hill": our_layer("HillLoss"),
    "sigmoid ZLPR": our_layer("ZLPRLoss"),
    "sigmoid two-way": our_layer("TwoWayLoss"),
}
OTHERS = [who for who in LAYERS if who.startswith("sigmoid") and who.split()[1] not in ("DENSE", "INDEX", "C++")]


def random_data(shape):
    """Normal scores, and 2 to 5 labels a row as DENSE and as INDEX labels."""
    rng = np.random.default_rng(1)
    rows, k = (shape[0], 1, *shape[2:]), np.arange(5).reshape(1, 5, *[1] * len(shape[2:]))
    index = rng.integers(shape[1], size=rows) + k * rng.integers(1, shape[1] // 5 + 1, size=rows)
    index %= shape[1]  # still five different classes
    labelled = k < rng.integers(2, 6, size=rows)
    dense = np.zeros(shape, np.float32)
    np.put_along_axis(dense, index, labelled.astype(np.float32), 1)
    return Data(rng.standard_normal(shape, np.float32), dense, np.where(labelled, index, -1).astype(np.float32))


def flattened(data):
    """The same rows without spatial axes."""
    return Data(*(np.moveaxis(a, 1, -1).reshape(-1, a.shape[1]) for a in data))


def load(proto, kind, *arguments):
    """What caffe makes of a file with `proto` in it."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(str(proto))
        file.flush()
        return kind(file.name, *arguments)


def in_net(data, who, layer=2):
    """A layer of a net without the others' work: the loss, or with layer=0 one that does nothing."""
    return in_net_with_blobs(data, who, layer)[0]


def in_net_with_blobs(data, who, layer=2):
    """The same, and the net.

    The scores are a Parameter, to be learnt, so that Caffe wants their gradient and, as in training, not the labels'.
    """
    labels = data.index[:, :1] if who == "softmax C++" else data.index if "INDEX" in who else data.dense
    n = caffe.NetSpec()
    n.scores = L.Parameter(parameter_param={"shape": {"dim": list(data.scores.shape)}})
    n.labels = L.Input(shape={"dim": list(labels.shape)})
    n.loss = LAYERS[who](n.scores, n.labels)
    net = load(n.to_proto(), caffe.Net, caffe.TRAIN)
    net.blobs["scores"].data[...], net.blobs["labels"].data[...] = data.scores, labels
    return Contender(partial(net._forward, layer, layer), partial(net._backward, layer, layer)), net


def our_object(kind, scores, labels, **options):
    """A loss without Caffe, used as its layer uses it."""
    loss, out = kind(**options), np.empty_like(scores)

    def forward():
        loss.reshape(scores.shape, labels.shape)
        return loss.forward(scores, labels)

    return Contender(forward, lambda: loss.backward(1.0, out))


def python_loop(data):
    """Softmax, score by score, on some of the rows: a stand-in for the Python layer that was published."""
    scores, labels, _ = flattened(data)
    rows, classes = max(1, min(len(scores), LOOP_SCORES // scores.shape[1])), scores.shape[1]
    p, diff, count = np.empty_like(scores[:rows]), np.empty_like(scores[:rows]), [0] * rows

    def forward():
        loss = 0.0
        for i in range(rows):
            exp = np.exp(scores[i] - scores[i].max())
            p[i] = exp / exp.sum()
            positives = [p[i, j] for j in range(classes) if labels[i, j] != 0]
            count[i] = len(positives)
            loss -= sum(np.log(positive) for positive in positives) / count[i]
        return loss / rows

    def backward():
        for i in range(rows):
            for j in range(classes):
                diff[i, j] = (p[i, j] - 1 / count[i] if labels[i, j] != 0 else p[i, j]) / rows

    return Contender(forward, backward, scale=len(scores) / rows)


def numpy_softmax(scores, labels):
    """Each step on the whole blob."""
    rows, kept = scores.size // scores.shape[1], []

    def forward():
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        targets = labels / labels.sum(axis=1, keepdims=True)
        kept[:] = log_p, targets
        return -(targets * log_p).sum() / rows

    return Contender(forward, lambda: (np.exp(kept[0]) - kept[1]) / rows)


def numpy_sigmoid(s, t):
    return Contender(
        lambda: (np.maximum(s, 0) - s * t + np.log1p(np.exp(-np.abs(s)))).mean(),
        lambda: (1 / (1 + np.exp(-s)) - t) / s.size,
    )


def torch_loss(torch, threads, loss, scores, targets):
    scores, targets, graph = torch.from_numpy(scores.copy()).requires_grad_(), torch.from_numpy(targets), []

    def reset():
        torch.set_num_threads(threads)
        scores.grad = None

    def forward():
        graph[:] = [loss(scores, targets)]
        return graph[0].detach()

    return Contender(forward, lambda: graph.pop().backward(), reset)


def contenders(shape, torch=None, only=None):
    """{who: Contender} for a shape; with `only`, these."""
    data = random_data(shape)
    scores, dense, _ = data
    copy, targets = np.empty_like(scores), dense / dense.sum(axis=1, keepdims=True)
    makers = {who: partial(in_net, data, who) for who in LAYERS}
    for labels, given in (("DENSE", dense), ("INDEX", data.index)):
        of = partial(our_object, scores=scores, labels=given, label_format=labels)
        makers[f"softmax {labels} object"] = partial(of, losses.MultiLabelSoftmaxLoss)
        makers[f"sigmoid {labels} object"] = partial(of, losses.SigmoidCrossEntropyLoss, normalization="FULL")
    if len(shape) > 2:
        makers.update({f"{w} flat": partial(in_net, flattened(data), w) for w in ("softmax DENSE", "sigmoid DENSE")})
    for threads in (1, 2) if torch else ():
        F, of = torch.nn.functional, partial(torch_loss, torch, threads)
        makers[f"softmax PyTorch {threads}"] = partial(of, F.cross_entropy, scores, targets)
        makers[f"sigmoid PyTorch {threads}"] = partial(of, F.binary_cross_entropy_with_logits, scores, dense)
    makers["softmax numpy"] = partial(numpy_softmax, scores, dense)
    makers["sigmoid numpy"] = partial(numpy_sigmoid, scores, dense)
    makers["softmax loop"] = partial(python_loop, data)
    makers["copy"] = lambda: Contender(partial(np.copyto, copy, scores))
    makers["empty call"] = partial(in_net, data, "softmax C++", 0)
    found = {who: make() for who, make in makers.items() if not only or who in only}
    refuse_others(found)
    return found


def refuse_others(found):
    """Nothing is compared that does not compute the same loss; C++ adds up in float32, so is off by some percent."""
    other = ["softmax C++", *OTHERS]
    for family in ("softmax", "sigmoid"):
        same = [who for who in found if who.startswith(family) and who not in other and found[who].scale == 1]
        values = {who: float(found[who].forward()) for who in same}
        for who in same:
            assert np.isclose(values[who], values[same[0]], rtol=0.1 if "C++" in who else 1e-4), values


def yeast():
    """Training iterations, 10 at a time, of the net of examples/yeast/net.py with each sigmoid loss."""
    found = {}
    for who in ("sigmoid DENSE", "sigmoid C++"):
        n = caffe.NetSpec()
        n.data, n.labels = L.Input(shape={"dim": [100, 103]}), L.Input(shape={"dim": [100, 14]})
        n.hidden = L.InnerProduct(n.data, num_output=256, weight_filler={"type": "msra"})
        n.relu = L.ReLU(n.hidden, in_place=True)
        n.dropout = L.Dropout(n.relu, dropout_ratio=0.7, in_place=True)
        n.scores = L.InnerProduct(n.dropout, num_output=14, weight_filler={"type": "xavier"})
        n.loss = LAYERS[who](n.scores, n.labels)
        proto = caffe_pb2.SolverParameter(net_param=n.to_proto(), lr_policy="fixed", base_lr=0.01, momentum=0.9)
        proto.solver_mode, proto.weight_decay = proto.CPU, 0.03
        solver = load(proto, caffe.SGDSolver)
        solver.net.blobs["data"].data[...] = random_data((100, 103)).scores
        solver.net.blobs["labels"].data[...] = random_data((100, 14)).dense
        found[who] = Contender(partial(solver.step, 10), scale=0.1)
    return found
