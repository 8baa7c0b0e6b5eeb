"""Between which numbers a blob lies whatever is learned, as far as the layers' kinds tell: ReLU makes none below 0."""

import math
from collections import namedtuple

INF = math.inf
REACH = 4.6  # log-odds of 99 %: a score that cannot reach it in both ways keeps some probability above or below 1 %
# Layers of one bottom and one top of the same shape, without weights: a net is whole without them.
ACTIVATIONS = "AbsVal", "BNLL", "Clip", "ELU", "Exp", "Log", "Power", "ReLU", "Sigmoid", "Softmax", "Swish", "TanH"
# Their tops have numbers of their bottoms, or numbers between these.
PASSING = "Crop", "Dropout", "Flatten", "Pooling", "Reshape", "Slice", "Split", "Tile", "SPP", "BatchReindex"


class Interval(namedtuple("Interval", "low high")):
    """The numbers from low to high."""

    __slots__ = ()

    def __str__(self):
        if self.low == -INF:
            return f"above {self.high:g}"
        return f"below {self.low:g}" if self.high == INF else f"outside of [{self.low:g}, {self.high:g}]"


ALL = Interval(-INF, INF)


def bounds(view, layer, blob):
    """The Interval of a bottom of a layer."""
    known, left = {}, [(layer, blob)]
    while left:  # a net may be deeper than Python's recursion
        taker, bottom = left[-1]
        maker = view.maker(taker, bottom)
        inputs = () if id(maker) in known or maker.type not in RULES else maker.bottom
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
        return Interval(-1.0, 1.0) if layer.type in ("LSTM", "RNN") else ALL
    low, high = RULES[layer.type](layer, bottoms)
    return ALL if math.isnan(low) or math.isnan(high) else Interval(low, high)


def hinders(interval, activation):
    """Whether scores in this Interval keep a Sigmoid or Softmax from probabilities near 0 or near 1."""
    if activation == "Softmax":
        return interval.high - interval.low < 2 * REACH
    return activation == "Sigmoid" and (interval.low > -REACH or interval.high < REACH)


def bounding(view, layer, blob, activation):
    """The last layer below a bottom that keeps it from probabilities near 0 or near 1; None if there is none.

    An activation is said before the layers above it, which only hand on its numbers.
    """
    if not hinders(bounds(view, layer, blob), activation):
        return None
    maker = view.maker(layer, blob)
    while maker.type in RULES and maker.type not in ACTIVATIONS:
        hindered = [b for b in maker.bottom if hinders(bounds(view, maker, b), activation)]
        if not hindered:
            break
        maker = view.maker(maker, hindered[0])
    return maker


# Rules: the interval of a top from those of the bottoms


def scaled(interval, factor, shift=0.0):
    ends = [factor * end + shift if factor else shift for end in interval]
    return min(ends), max(ends)


def of_sign(interval):
    """All numbers of the signs that the interval has."""
    return (0.0 if interval[0] >= 0 else -INF), (0.0 if interval[1] <= 0 else INF)


def narrowest(intervals):
    return max(interval.low for interval in intervals), min(interval.high for interval in intervals)


def relu(layer, bottoms):
    (low, high), slope = bottoms[0], layer.relu_param.negative_slope
    return tuple(end if end > 0 else (end * slope if slope else 0.0) for end in (low, high))


def elu(layer, bottoms):
    alpha = layer.elu_param.alpha
    return tuple(end if end > 0 else alpha * (math.exp(end) - 1) for end in bottoms[0])


def power(layer, bottoms):
    param = layer.power_param
    low, high = scaled(bottoms[0], param.scale, param.shift)
    if param.power == 1:
        return low, high
    if param.power == 0 or not param.power.is_integer():
        return (1.0, 1.0) if param.power == 0 else (0.0, INF)
    if param.power < 0:
        return (0.0, INF) if param.power % 2 == 0 else (-INF, INF)
    ends = [raised(low, param.power), raised(high, param.power)]
    even = param.power % 2 == 0
    return (0.0 if even and low < 0 < high else min(ends)), max(ends)


def raised(value, exponent):
    try:
        return value**exponent
    except OverflowError:
        return INF


def exponential(layer, bottoms):
    return 0.0, INF


def logarithm(layer, bottoms):
    param, (low, high) = layer.log_param, scaled(bottoms[0], layer.log_param.scale, layer.log_param.shift)
    base = math.log(param.base) if param.base > 0 else 1.0
    if base < 0:
        return -INF, INF
    return (math.log(low) / base if low > 0 else -INF), (math.log(high) / base if high > 0 else INF)


def absolute(layer, bottoms):
    low, high = bottoms[0]
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


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
    if param.operation == param.SUM:
        terms = [scaled(bottom, c) for bottom, c in zip(bottoms, param.coeff or [1.0] * len(bottoms))]
        return sum(low for low, _ in terms), sum(high for _, high in terms)
    product = bottoms[0]
    for bottom in bottoms[1:]:
        product = times(product, bottom)
    return product


def times(a, b):
    ends = [0.0 if 0 in (x, y) else x * y for x in a for y in b]
    return min(ends), max(ends)


def scale(layer, bottoms):
    """A learned factor has any sign, but leaves 0 where it is; with a learned bias, any number comes out."""
    if layer.scale_param.bias_term:
        return -INF, INF
    if len(bottoms) == 2:
        return times(*bottoms)
    low, high = bottoms[0]
    return (low, high) if low >= 0 or high <= 0 else (-INF, INF)


def reduction(layer, bottoms):
    param = layer.reduction_param
    if param.operation == param.MEAN:
        return scaled(bottoms[0], param.coeff)
    if param.operation == param.SUM:
        return scaled(of_sign(bottoms[0]), param.coeff)
    return scaled(Interval(0.0, INF), param.coeff)


def between(low, high):
    return lambda layer, bottoms: (low, high)


RULES = {
    "AbsVal": absolute,
    "BNLL": lambda layer, bottoms: (0.0, INF),
    "Clip": clip,
    "Concat": lambda layer, bottoms: narrowest(bottoms),
    "ELU": elu,
    "Eltwise": eltwise,
    "Exp": exponential,
    "LRN": lambda layer, bottoms: tuple(
        end if end in (0, INF, -INF) else math.copysign(INF, end) for end in bottoms[0]
    ),
    "Log": logarithm,
    "PReLU": lambda layer, bottoms: bottoms[0] if bottoms[0].low >= 0 else (-INF, INF),
    "Power": power,
    "ReLU": relu,
    "ReLU6": between(0.0, 6.0),
    "Reduction": reduction,
    "Scale": scale,
    "Sigmoid": between(0.0, 1.0),
    "Softmax": between(0.0, 1.0),
    "Swish": swish,
    "TanH": between(-1.0, 1.0),
    "Threshold": between(0.0, 1.0),
    **{name: lambda layer, bottoms: bottoms[0] for name in PASSING},
}
