"""Between which numbers a blob lies whatever is learned, as far as the layers' kinds tell: ReLU makes none below 0."""

import math
from collections import namedtuple

INF = math.inf
REACH = 4.6  # log-odds of 99 %: a score that cannot reach it in both ways keeps some probability above or below 1 %
# One bottom, one top of the same shape, no weights: a net is whole without them, and its scores are what they took.
ACTIVATIONS = "AbsVal", "BNLL", "Clip", "ELU", "ReLU", "ReLU6", "Sigmoid", "Softmax", "Swish", "TanH"
# Their tops have numbers of their bottoms, or numbers between these.
PASSING = "Crop", "Dropout", "Flatten", "Pooling", "Reshape", "Slice", "Split", "Tile", "SPP", "BatchReindex"


class Interval(namedtuple("Interval", "low high")):
    """The numbers from low to high."""

    __slots__ = ()

    def __str__(self):
        if self.low == -INF:
            return f"above {self.high:g}"
        return f"below {self.low:g}" if self.high == INF else f"outside of [{self.low:g}, {self.high:g}]"


ALL, NOT_NEGATIVE, UNIT = Interval(-INF, INF), Interval(0.0, INF), Interval(0.0, 1.0)
FIXED = {
    "AbsVal": NOT_NEGATIVE,
    "BNLL": NOT_NEGATIVE,
    "Exp": NOT_NEGATIVE,
    "LSTM": Interval(-1.0, 1.0),
    "RNN": Interval(-1.0, 1.0),
    "ReLU6": Interval(0.0, 6.0),
    "Sigmoid": UNIT,
    "Softmax": UNIT,
    "TanH": Interval(-1.0, 1.0),
    "Threshold": UNIT,
}


def bounds(view, layer, blob):
    """The Interval of a bottom of a layer."""
    known, left = {}, [(layer, blob)]
    while left:  # a net may be deeper than Python's recursion
        taker, bottom = left[-1]
        maker = view.maker(taker, bottom)
        inputs = maker.bottom if maker.type in RULES and id(maker) not in known else ()
        missing = [(maker, b) for b in inputs if id(view.maker(maker, b)) not in known]
        if missing:
            left += missing
            continue
        if id(maker) not in known:
            known[id(maker)] = interval_of(maker, [known[id(view.maker(maker, b))] for b in inputs])
        left.pop()
    return known[id(view.maker(layer, blob))]


def interval_of(layer, bottoms):
    if layer.type not in RULES:
        return FIXED.get(layer.type, ALL)
    low, high = RULES[layer.type](layer, bottoms)
    return ALL if math.isnan(low) or math.isnan(high) else Interval(low, high)


def hinders(interval, activation):
    """Whether scores in this Interval keep a Sigmoid or Softmax from probabilities near 0 or near 1."""
    if activation == "Softmax":
        return interval.high - interval.low < 2 * REACH
    return activation == "Sigmoid" and (interval.low > -REACH or interval.high < REACH)


def bounding(view, layer, blob, activation):
    """The layer that keeps a bottom from probabilities near 0 or near 1, below those that only hand on; or None."""
    if not hinders(bounds(view, layer, blob), activation):
        return None
    maker = view.maker(layer, blob)
    while maker.type in PASSING:
        maker = view.maker(maker, maker.bottom[0])
    return maker


# Rules: the interval of a top from those of the bottoms


def scaled(interval, factor, shift=0.0):
    ends = [factor * end + shift if factor else shift for end in interval]
    return min(ends), max(ends)


def relu(layer, bottoms):
    (low, high), slope = bottoms[0], layer.relu_param.negative_slope
    return tuple(end if end > 0 else (end * slope if slope else 0.0) for end in (low, high))


def elu(layer, bottoms):
    alpha = layer.elu_param.alpha
    return tuple(end if end > 0 else alpha * (math.exp(end) - 1) for end in bottoms[0])


def power(layer, bottoms):
    param = layer.power_param
    return scaled(bottoms[0], param.scale, param.shift) if param.power == 1 else ALL


def clip(layer, bottoms):
    param = layer.clip_param
    return tuple(min(max(end, param.min), param.max) for end in bottoms[0])


def swish(layer, bottoms):
    beta = layer.swish_param.beta
    return (-0.279 / beta if beta > 0 else -INF), INF


def eltwise(layer, bottoms):
    param = layer.eltwise_param
    if param.operation == param.MAX:
        return max(low for low, _ in bottoms), max(high for _, high in bottoms)
    if param.operation == param.PROD:
        return NOT_NEGATIVE if min(low for low, _ in bottoms) >= 0 else ALL
    terms = [scaled(bottom, c) for bottom, c in zip(bottoms, param.coeff or [1.0] * len(bottoms))]
    return sum(low for low, _ in terms), sum(high for _, high in terms)


def concat(layer, bottoms):
    return max(bottom.low for bottom in bottoms), min(bottom.high for bottom in bottoms)


RULES = {
    "Clip": clip,
    "Concat": concat,
    "ELU": elu,
    "Eltwise": eltwise,
    "Power": power,
    "ReLU": relu,
    "Swish": swish,
    **{name: lambda layer, bottoms: bottoms[0] for name in PASSING},
}
