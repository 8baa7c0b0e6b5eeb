"""Gradient checker: a derivative as a layer computes it against central differences.

    check_function(function, x)         a pure function that returns (loss, gradient), in float64
    check_net("net.prototxt")           every layer of a net in real Caffe: ours, your own, built-in
    caffe-losses gradcheck net.prototxt [--layer NAME] [--bottom K]

The difference is of fourth order, (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h, and taken at h and h/2.
How far the two are apart, and the rounding of f, tell how well the derivative is known; that much,
and a relative tolerance, is what the analytic value may be off. Where a kink (ReLU, pooling) lies
within reach of h, smaller steps are tried; on a kink, each slope between its two sides is right.
"""

import sys
from collections import namedtuple
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from .net import prototxt, trial
from .net.kinds import is_loss, is_metric

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

STEPS = 1e-1, 1e-2, 1e-3, 1e-4  # times max(1, |x|)
FLOAT64, FLOAT32 = 1e-7, 3e-4  # relative tolerances for functions and for nets


class Element(namedtuple("Element", "blob index analytic numeric tolerance")):
    """One element of one blob: its derivative both ways.

    blob, index  which it is
    analytic     as the layer or function computes it
    numeric      the central difference
    tolerance    how far the two may be apart
    """

    __slots__ = ()

    @property
    def right(self):
        return abs(self.analytic - self.numeric) <= self.tolerance  # a NaN is not

    def __str__(self):
        index = ", ".join(str(i) for i in self.index)
        return f"{self.blob}[{index}]  analytic {self.analytic:+.6e}  numeric {self.numeric:+.6e}"


def check_function(
    function: "Callable[[np.ndarray], Tuple[Any, ArrayLike]]",
    x: "ArrayLike",
    tolerance: float = FLOAT64,
    name: str = "x",
) -> "List[Element]":
    """Check a gradient in float64.

    Args:
        function: function(x) returns (loss, gradient), a number and an array of x's shape.
        x: where to check it, an array of any shape.
        tolerance: how far the gradient may be off, relative to it.
        name: of x in the Elements.

    Returns:
        An Element for each element of x.
    """
    x = np.array(x, np.float64)
    gradient = np.array(function(x.copy())[1], np.float64)

    def at(index):
        def f(step):
            moved = x.copy()
            moved[index] += step
            return np.atleast_1d(np.float64(function(moved)[0]))

        return f

    return [
        compare(name, index, gradient[index], at(index), x[index], np.finfo(np.float64).eps, tolerance)
        for index in np.ndindex(*x.shape)
    ]


def compare(blob, index, analytic, f, x, eps, tolerance):
    """The Element of f's derivative in its step, at 0; f returns terms, whose sum is differentiated."""
    best, refusal = np.inf, None
    for step in STEPS:
        try:
            value, error, jump = central_difference(f, step * max(1.0, abs(float(x))), eps)
        except ValueError as out_of_domain:
            refusal = out_of_domain
            continue
        if error < best or not np.isfinite(best):
            numeric, best, kink = value, error, jump
        if best <= tolerance * abs(numeric):
            break
    if best == np.inf and refusal is not None:
        raise refusal
    allowed = tolerance * max(abs(float(analytic)), abs(numeric)) + 2 * best + (kink if kink > best else 0)
    return Element(blob, tuple(int(i) for i in index), float(analytic), numeric, allowed)


def central_difference(f, h, eps):
    """The derivative at 0, how well it is known, and half of its jump there, if it has one.

    The jump is what is left of (f(h) + f(-h) - 2 f(0)) / 2h when its terms in h and h^3 are eliminated.
    """
    here, ahead, behind = f(0), [f(k * h) for k in (0.5, 1, 2)], [f(-k * h) for k in (0.5, 1, 2)]
    by_half_h, by_h, by_2h = (a - b for a, b in zip(ahead, behind))
    coarse = (8 * by_h - by_2h) / (12 * h)
    fine = (8 * by_half_h - by_h) / (6 * h)
    moved = (by_h != 0) | (ahead[1] != here)
    magnitude = np.abs(here)[moved].sum() if moved.any() else np.abs(here).max()
    rounding = 4 * eps * magnitude / h
    bends = [(a + b - 2 * here).sum() / (2 * k * h) for a, b, k in zip(ahead, behind, (0.5, 1, 2))]
    jump = abs(16 * bends[0] - 10 * bends[1] + bends[2]) / 7
    return float(fine.sum()), float(np.abs((coarse - fine).sum()) + rounding), float(jump)


def check_net(
    path: str,
    *,
    layer: Optional[str] = None,
    bottom: Optional[int] = None,
    elements: int = 100,
    seed: int = 0,
    phase: str = "TRAIN",
) -> "Dict[str, List[Element]]":
    """Check the gradient of each layer of a net in real Caffe: ours, your own, built-in.

    Each layer is run alone, on what the layers below hand it. Its tops are weighted at random, so that
    a backward that leaves out the top diff fails; of a loss, the tops with a loss_weight count. Accuracy and
    MultiLabelMetrics are left out.

    Args:
        path: of the net's prototxt. Its data layers give their data; blobs of Input layers are filled, with
            normal numbers or, where a loss takes them after its first bottom, with labels 0 and 1.
        layer: the one layer to check; otherwise each that has bottoms.
        bottom: the one bottom to check; otherwise each, but of a loss only the first (the others are
            labels), and the layer's parameters.
        elements: how many elements of a blob, at random; all of a smaller one.
        seed: of what is at random.
        phase: of the net, "TRAIN" or "TEST".

    Returns:
        {layer name: [Element, ...]}.

    Raises:
        ValueError: the file is no net, Caffe does not load it, or there is no such layer or bottom.
        OSError: the file cannot be read.
    """
    import caffe

    caffe.set_random_seed(seed)
    net, labels = backward_everywhere(path, phase)
    random = np.random.RandomState(seed)
    for name in net.inputs:
        data = net.blobs[name].data
        data[...] = random.randint(0, 2, data.shape) if name in labels else random.randn(*data.shape)
    names = list(net._layer_names)
    if layer is not None and layer not in names:
        raise ValueError(f"gradcheck: expected a layer of {path}, got {layer!r}; it has {', '.join(names)}")
    checked = {}
    for i, name in enumerate(names):
        if i:
            net._forward(i - 1, i - 1)
        if name == layer or (layer is None and net._bottom_ids(i) and net.layers[i].type != "Split"):
            checked[name] = Probe(net, i, random).check(bottom, elements)
    return checked


def backward_everywhere(path, phase):
    """The net with force_backward and without metrics, and the names of the blobs that a loss takes as labels."""
    net = prototxt.parse(path)
    net.force_backward = True
    labels = {name for layer in net.layer if is_loss(layer) or is_metric(layer) for name in layer.bottom[1:]}
    differentiable = [layer for layer in net.layer if not is_metric(layer)]
    del net.layer[:]
    net.layer.extend(differentiable)
    trial.shapes(net, phase, sys.path)
    return prototxt.load(net, phase), labels


class Probe:
    """One layer of a net, run alone on the bottoms as they are now."""

    def __init__(self, net, i, random):
        self.net, self.i, self.random = net, i, random
        self.bottoms = [net._blobs[k] for k in net._bottom_ids(i)]
        weighted = [k for k in net._top_ids(i) if net._blob_loss_weights[k]]
        self.loss = bool(weighted) or "Loss" in net.layers[i].type
        self.tops = [net._blobs[k] for k in weighted or net._top_ids(i)]
        self.others = [net._blobs[k] for k in net._top_ids(i) if weighted and k not in weighted]
        self.held = [(blob, blob.data.copy()) for blob in self.bottoms]

    def check(self, bottom, elements):
        if bottom is not None and not 0 <= bottom < len(self.bottoms):
            name = self.net._layer_names[self.i]
            raise ValueError(f"gradcheck: layer {name} has {len(self.bottoms)} bottoms, got bottom {bottom}")
        chosen = range(1 if self.loss else len(self.bottoms)) if bottom is None else [bottom]
        blobs = [(f"bottom {k}", self.bottoms[k]) for k in chosen]
        if bottom is None:
            blobs += [(f"parameter {k}", blob) for k, blob in enumerate(self.net.layers[self.i].blobs)]
        self.run()
        self.weights = [self.random.uniform(1, 4, t.data.shape) * self.random.choice([-1, 1], t.data.shape)
                        for t in self.tops]  # fmt: skip
        gradients = self.gradients([blob for _, blob in blobs])
        checked = [e for (name, blob), g in zip(blobs, gradients) for e in self.elements(name, blob, g, elements)]
        self.restore()
        self.run()
        return checked

    def restore(self):
        """Undo a step and what an in-place layer has written."""
        for blob, data in self.held:
            blob.data[...] = data

    def run(self):
        self.net._forward(self.i, self.i)
        return [top.data.astype(np.float64) for top in self.tops]

    def gradients(self, blobs):
        for blob in blobs:
            blob.diff[...] = 0  # parameters' gradients are added to what is there
        for top in self.others:
            top.diff[...] = 0
        before = [top.diff.copy() for top in self.tops]
        for top, weights in zip(self.tops, self.weights):
            top.diff[...] = weights
        self.net._backward(self.i, self.i)
        gradients = [blob.diff.copy() for blob in blobs]
        for top, diff in zip(self.tops, before):
            top.diff[...] = diff
        return gradients

    def elements(self, name, blob, gradient, most):
        weights = [np.float32(w).astype(np.float64) for w in self.weights]
        self.restore()
        held = blob.data.copy()

        def at(index):
            def f(step):
                self.restore()
                blob.data[index] = held[index] + np.float32(step)
                try:
                    tops = self.run()
                finally:
                    blob.data[...] = held
                return np.concatenate([(w * t).ravel() for w, t in zip(weights, tops)])

            return f

        flat = self.random.permutation(held.size)[:most]
        for index in zip(*np.unravel_index(np.sort(flat), held.shape)):
            yield compare(name, index, gradient[index], at(index), held[index], np.finfo(np.float32).eps, FLOAT32)


def report(layer, elements):
    """The lines for one layer: what was checked, what is wrong and, otherwise, what is least right."""
    wrong = [e for e in elements if not e.right]
    worst = sorted(elements, key=lambda e: e.tolerance - abs(e.analytic - e.numeric))[: 0 if wrong else 1]
    lines = [f"{layer}: {len(elements)} derivatives, {len(wrong)} wrong"]
    lines += [f"  WRONG {e}" for e in wrong[:20]]
    lines += [f"  ... and {len(wrong) - 20} more"] if len(wrong) > 20 else []
    return lines + [f"  worst {e}" for e in worst]
