"""Options of the losses: each is named, documented, defaulted and checked here and nowhere else.

A loss lists its options; `checked` turns keyword arguments into its attributes, and `parse` turns a
layer's param_str into keyword arguments. A param_str is data, JSON or a Python literal; it is never
evaluated.
"""

import ast
import difflib
import json
import numbers
from collections import namedtuple

import numpy as np

# convert(value) returns the value as the loss uses it, or raises ValueError (or TypeError, OSError).
Option = namedtuple("Option", "name default domain convert meaning")


# Of labels and of each weight: products of them stay finite in float32, so that a finite loss has a finite gradient.
LIMIT = 1e6


def one_of(*names):
    def convert(value):
        if value not in names:
            raise ValueError
        return value

    return "one of " + ", ".join(names), convert


def number(low, high, high_open=False):
    def convert(value):
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError
        if not (low <= value < high or (value == high and not high_open)):  # a NaN is neither
            raise ValueError
        return float(value)

    return "a number in [{:g}, {:g}{}".format(low, high, "])"[high_open]), convert


def nullable(domain_and_convert):
    domain, convert = domain_and_convert
    return domain + ", or null", lambda value: None if value is None else convert(value)


def whole(value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError
    return int(value)


def at_least(low):
    def convert(value):
        if whole(value) < low:
            raise ValueError
        return int(value)

    return f"a whole number >= {low}", convert


def flag(value):
    if not isinstance(value, bool):
        raise ValueError
    return value


def real(value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not np.isfinite(value):
        raise ValueError
    return float(value)


def numbers_in(path):
    with open(path) as text:
        return [float(word) for word in text.read().split()]


def class_weights(value):
    """One weight for all classes, or one each: a number, a list, or a .npy or .txt file's name."""
    if isinstance(value, str):
        if not value.endswith((".npy", ".txt")):
            raise ValueError
        value = np.load(value, allow_pickle=False) if value.endswith(".npy") else numbers_in(value)
    elif isinstance(value, bool):
        raise ValueError
    weights = np.asarray(value)
    if weights.dtype.kind not in "iuf":
        raise ValueError
    weights = weights.astype(np.float64)
    if weights.ndim > 1 or not weights.size or not ((weights >= 0) & (weights <= LIMIT)).all():
        raise ValueError
    return weights


WEIGHTS = "a number in [0, 1e6], a list of one a class, or the name of a .npy or .txt file with them", class_weights
FLAG = "true or false", flag
AXIS = Option("axis", 1, "a whole number", whole, "the axis of the classes; negative counts from the last")
IGNORE_LABEL = Option(
    "ignore_label", None, *nullable(("a finite number", real)),
    meaning="labels equal to it, exactly, take no part: a DENSE one takes its class out of the row's loss, "
    "an INDEX one is passed over; a row of nothing else is ignored whole"
)  # fmt: skip
NORMALIZATION = Option(
    "normalization", "VALID", *one_of("FULL", "VALID", "BATCH_SIZE", "NONE"),
    meaning="divides the summed loss: all rows, all that are not ignored, the batch size, or 1"
)  # fmt: skip
LABEL_FORMAT = Option(
    "label_format", "DENSE", *one_of("DENSE", "INDEX"),
    meaning="one label per score, or up to K class indices a row, padded with -1"
)  # fmt: skip
LABEL_SCALE = Option(
    "label_scale", "COUNT", *one_of("COUNT", "SUM", "NONE"),
    meaning="divides a row's labels: by how many are not 0, by their sum, or not at all"
)  # fmt: skip
CLASS_WEIGHT = Option(
    "class_weight", None, *nullable(WEIGHTS), meaning="multiplies each class's term of the loss"
)  # fmt: skip
POS_WEIGHT = Option(
    "pos_weight", None, *nullable(WEIGHTS), meaning="multiplies the term of the positive labels"
)  # fmt: skip
LABEL_SMOOTHING = Option(
    "label_smoothing", 0.0, *number(0, 1, high_open=True),
    meaning="e: targets t become (1 - e) t + e / C (softmax: C classes that take part) or (1 - e) t + e / 2"
)  # fmt: skip


GAMMA = Option("gamma", 2.0, *number(0, 100), meaning="focuses on what is predicted wrong: (1 - p)^gamma; 0 does not")
ALPHA = Option(
    "alpha", 0.25, *nullable(number(0, 1)), meaning="weight of the positive labels, 1 - alpha of the others; null: 1"
)  # fmt: skip
GAMMA_POS = Option("gamma_pos", 0.0, *number(0, 100), meaning="gamma of the positive labels")
GAMMA_NEG = Option("gamma_neg", 4.0, *number(0, 100), meaning="gamma of the others")
CLIP = Option(
    "clip", 0.05, *number(0, 1, high_open=True),
    meaning="shifts the others' probability: max(p - clip, 0), so that p <= clip loses nothing"
)  # fmt: skip


def checked(owner, options, params):
    """`params` converted and with defaults filled in; ValueError for what `options` do not admit."""
    allowed = {option.name: option for option in options}
    for name in params:
        if name not in allowed:
            near = difflib.get_close_matches(str(name), allowed, 1)
            raise ValueError(
                "{}: expected parameters among {}, got {!r}; {}".format(
                    owner, ", ".join(allowed), name, f"did you mean {near[0]}?" if near else "remove it"
                )
            )
    return {
        name: converted(owner, option, params[name]) if name in params else option.default
        for name, option in allowed.items()
    }


def converted(owner, option, value):
    try:
        return option.convert(value)
    except (ValueError, TypeError, OverflowError, EOFError, OSError) as error:
        reason = f" ({str(error).splitlines()[0]})" if str(error) else ""
        raise ValueError(
            f"{owner}: {option.name} must be {option.domain}, got {shortened(value)}{reason}; "
            f"the default is {json.dumps(option.default)}"
        ) from None


def shortened(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse(owner, param_str):
    """The keyword arguments in a layer's param_str: '' or a JSON object or a Python dict literal."""
    text = param_str.strip()
    if not text:
        return {}
    try:
        params = json.loads(text, object_pairs_hook=distinct)
    except ValueError:
        try:
            params = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            params = None
    except RecursionError:
        params = None
    if not isinstance(params, dict) or not all(isinstance(name, str) for name in params):
        raise ValueError(
            f"{owner}: expected param_str to be a JSON object or a Python dict, got {shortened(param_str)}; "
            "write e.g. param_str: '{\"axis\": 1}'"
        )
    return params


def distinct(pairs):
    """A dict of the pairs; a name given twice is kept as a misfit, for `checked` to refuse by name."""
    params = dict(pairs)
    if len(params) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        params[f"{twice} (twice)"] = None
    return params
