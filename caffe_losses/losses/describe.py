"""What `help()`, `inspect.signature` and an editor show of a loss: made from its options, which are written once."""

import inspect
import re
import textwrap

from ..options import REQUIRED

SCORES = (
    "(N, C, ...) with the classes on `axis`; float32 or float64, the precision of the arithmetic. A row is an image "
    "or, with more axes, a pixel."
)
LABELS = "DENSE: {} for each score. INDEX: K class indices a row, (N, K, ...), padded with -1; {}."
WEIGHTS = "one number in [0, 1e6] for each row, or None. Multiplies the loss of the row; the normalizer stays."
NO_WEIGHTS = "None. Rows have no weights, as the loss is not a sum over rows."
RETURNS = "{}, and an array like `{}`."
RAISES = "in one line, for shapes, labels or options outside of this, and for a loss that is not finite."
EXAMPLE = """\
    >>> import caffe_losses
    >>> {scores}, labels = [[0.9, 0.2, 0.5], [0.1, 0.4, 0.3]], [[1, 0, 1], [0, 1, 0]]
    >>> loss, gradient = caffe_losses.{name}({scores}, labels, normalization="NONE")
    >>> lower, _ = caffe_losses.{name}({scores} - 0.01 * gradient, labels, normalization="NONE")
    >>> lower < loss
    True"""
PYTHON = {"null": "None", "true": "True", "false": "False"}


def signature(loss, *leading):
    """The options of a loss as keyword-only parameters, after the leading ones."""
    options = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if option.default is REQUIRED else option.default,
        )
        for option in loss.options + loss.of_calls
    ]
    return inspect.Signature([*leading, *options])


def arguments(loss):
    """scores, labels and weights, as parameters of a function."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [
        *(inspect.Parameter(name, kind) for name in (loss.scores_are, "labels")),
        inspect.Parameter("weights", kind, default=None),
    ]


def function(loss):
    """The loss as a pure function of scores, labels and weights, whose options are keyword arguments."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", loss.name()).lower()
    arrays = arguments(loss)
    call = inspect.Signature([*arrays, inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)])

    def of_arrays(*args, **kwargs):
        try:
            bound = call.bind(*args, **kwargs)
        except TypeError as error:
            expected = ", ".join(array.name for array in arrays)
            raise TypeError(f"{name}: {error}; expected {expected}, and options by name, e.g. axis=1") from None
        options = bound.arguments.pop("options", {})
        return loss(**options)(*bound.args)

    of_arrays.__name__ = of_arrays.__qualname__ = name
    of_arrays.__module__ = "caffe_losses"
    of_arrays.__signature__ = signature(loss, *arrays)
    of_arrays.__doc__ = docstring(loss, name)
    return of_arrays


def docstring(loss, name=None):
    """Of the class or, with a name, of the function."""
    about, _, references = inspect.cleandoc(vars(loss).get("_about", loss.__doc__)).partition("\n\nReferences:\n")
    repeated = "each once" if loss.label_limit == 1 else "a repeated one counts each time"
    arrays = [
        entry(loss.scores_are, SCORES),
        entry("labels", LABELS.format(loss.labels_are, repeated)),
        entry("weights", WEIGHTS if loss.row_weights else NO_WEIGHTS),
    ]
    options = [entry(option.name, in_python(text_of(option))) for option in loss.options + loss.of_calls]
    sections = {"Args": [*arrays, *options]} if name else {"Args": options, "Called with": arrays}
    sections["Returns"] = [entry("(loss, gradient)", RETURNS.format(what_is_lost(loss), loss.scores_are))]
    sections["Raises"] = [entry("ValueError", RAISES)]
    sections.update({"Example": [EXAMPLE.format(name=name, scores=loss.scores_are)]} if name else {})
    sections.update({"References": [references]} if references else {})
    return "\n\n".join([about, *("\n".join([title + ":", *lines]) for title, lines in sections.items())]) + "\n"


def what_is_lost(loss):
    return "a float or, with reduction none, an array" if loss.of_calls else "a float"


def entry(name, text):
    return textwrap.fill(f"{name}: {text}", 110, initial_indent="    ", subsequent_indent="        ")


def text_of(option):
    domain = option.domain.text[0].upper() + option.domain.text[1:]
    default = "Required" if option.default is REQUIRED else f"Default: {option.default!r}"
    return f"{option.meaning} {domain}. {default}."


def in_python(text):
    return re.sub(r"\b(null|true|false)\b", lambda word: PYTHON[word.group()], text)
