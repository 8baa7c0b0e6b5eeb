"""Options: each is named, described, defaulted and checked here.

Losses, metrics, data and their layers list their options. `checked` turns keyword arguments into checked
values. `parse` turns a layer's param_str into keyword arguments. A param_str is data: JSON or a Python
literal. It is never evaluated.

Here are the domains that several families use. An option stands beside the code that uses it.
"""

import ast
import difflib
import json
import numbers
from typing import Any, Callable, NamedTuple, Tuple

import numpy as np


class Domain(NamedTuple):
    """The values that an option takes.

    text     the domain in words, for errors and tables
    convert  gives the value as the code uses it; raises ValueError, TypeError, OverflowError, EOFError or OSError
             for a value outside of the domain
    type     of the values, as a stub has it
    valid    values to test with: the ends of a range, each of a few names
    invalid  values to test with, outside of the domain
    """

    text: str
    convert: Callable[[Any], Any]
    type: str = "Any"
    valid: Tuple[Any, ...] = ()
    invalid: Tuple[Any, ...] = ()


class Option(NamedTuple):
    """One option of a loss, a metric or a layer.

    default  the value if the user gives none, or REQUIRED
    meaning  one or two sentences for the user, with the words of JSON: true, false, null
    tried    the values that a loss is tested with, if those of the domain are not the ones that matter
    """

    name: str
    default: Any
    domain: Domain
    meaning: str
    tried: Tuple[Any, ...] = ()

    def values(self):
        return self.tried or self.domain.valid


class Required:
    """The type of REQUIRED, which stands for the default of an option that has none."""

    def __repr__(self):
        return "REQUIRED"


REQUIRED = Required()


# Domains

NO_NUMBERS: Tuple[Any, ...] = (None, True, "", "1", [], [[1]], {}, float("nan"), float("inf"), float("-inf"))


def one_of(*names):
    def convert(value):
        if value not in names:
            raise ValueError
        return value

    literal = "Literal[{}]".format(", ".join(f'"{name}"' for name in names))
    return Domain("one of " + ", ".join(names), convert, literal, names, (*NO_NUMBERS, 1, names[0].swapcase()))


def number(low, high, high_open=False):
    def convert(value):
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError
        if not (low <= value < high or (value == high and not high_open)):  # a NaN is neither
            raise ValueError
        return float(value)

    text = "a number in [{:g}, {:g}{}".format(low, high, "])"[high_open])
    last = float(np.nextafter(high, low)) if high_open else high
    beyond = [float(np.nextafter(low, -np.inf)), float(np.nextafter(last, np.inf)), 10**400]
    return Domain(text, convert, "float", (low, last), (*NO_NUMBERS, *beyond))


def nullable(domain):
    return Domain(
        domain.text + ", or null",
        lambda value: None if value is None else domain.convert(value),
        domain.type + " | None",
        (None, *domain.valid),
        tuple(value for value in domain.invalid if value is not None),
    )


def whole(value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError
    return int(value)


def at_least(low):
    def convert(value):
        if whole(value) < low:
            raise ValueError
        return int(value)

    return Domain(f"a whole number >= {low}", convert, "int", (low, low + 1), (*NO_NUMBERS, low - 1, low + 0.5))


def flag(value):
    if not isinstance(value, bool):
        raise ValueError
    return value


def real(value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not np.isfinite(value):
        raise ValueError
    return float(value)


def one_or_each(thing):
    """A number, or a list with a number for each class, channel or the like."""

    def convert(value):
        return [real(item) for item in value] if isinstance(value, (list, tuple)) else real(value)

    return Domain(f"a number, or a list of one a {thing}", convert)


def name(value):
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


WHOLE = Domain("a whole number", whole, "int", (-1, 0, 1), (*NO_NUMBERS, 0.5))
FINITE = Domain("a finite number", real, "float", (-1, 0, 0.25), (*NO_NUMBERS, 10**400))
FLAG = Domain("true or false", flag, "bool", (False, True), (None, 0, 1, "true"))
FILE = Domain("a file's name", name)
FOLDER = Domain("a folder's name", name)


# Checking


def checked(owner, options, params):
    """`params` converted and with defaults filled in.

    owner    who takes the options, for the error
    options  the Options that it takes
    params   {name: value} as the user gave them

    ValueError, in one line, for an unknown name, for a value outside of its domain, and for a required option
    that is missing.
    """
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
        name: converted(owner, option, params[name]) if name in params else default(owner, option)
        for name, option in allowed.items()
    }


def default(owner, option):
    if option.default is REQUIRED:
        raise ValueError(f"{owner}: {option.name} is required, got none; give {option.domain.text}. {option.meaning}")
    return option.default


def converted(owner, option, value):
    try:
        return option.domain.convert(value)
    except (ValueError, TypeError, OverflowError, EOFError, OSError) as error:
        reason = f" ({str(error).splitlines()[0]})" if str(error) else ""
        required = option.default is REQUIRED
        raise ValueError(
            f"{owner}: {option.name} must be {option.domain.text}, got {shortened(value)}{reason}; "
            + ("it is required" if required else f"the default is {json.dumps(option.default)}")
        ) from None


def shortened(value):
    text = " ".join(repr(value).splitlines())  # an array has several
    return text if len(text) <= 60 else text[:57] + "..."


def parse(owner, param_str):
    """The keyword arguments in a layer's param_str: '' or a JSON object or a Python dict literal."""
    text = param_str.strip()
    params = read(text) if text else {}
    if not isinstance(params, dict) or not all(isinstance(name, str) for name in params):
        raise ValueError(
            f"{owner}: expected param_str to be a JSON object or a Python dict, got {shortened(param_str)}; "
            "write e.g. param_str: '{\"axis\": 1}'"
        )
    return params


def read(text):
    """What the text holds in one of the two languages; None if it is in neither."""
    for language in (json_object, python_dict):
        try:
            return language(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass
    return None


def json_object(text):
    return json.loads(text, object_pairs_hook=distinct)


def python_dict(text):
    node = ast.parse(text, mode="eval").body
    if not isinstance(node, ast.Dict):
        raise ValueError
    return distinct([(ast.literal_eval(name), ast.literal_eval(value)) for name, value in zip(node.keys, node.values)])


def distinct(pairs):
    """A dict of the pairs. A name that is there twice is kept under another name, for `checked` to refuse."""
    params = dict(pairs)
    if len(params) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        params[f"{twice} (twice)"] = None
    return params
