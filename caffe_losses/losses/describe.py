"""What `help()`, `inspect.signature` and an editor show of a loss: made from its options, which are written once."""

import inspect
import re
import textwrap

from ..options import REQUIRED

ARRAYS = """
    {scores}: (N, C, ...) with the classes on `axis`; float32 or float64, the precision of the arithmetic.
    labels: DENSE: one number for each score, in {domain}. INDEX: K class indices a row, (N, K, ...), padded with -1.
    weights: one number in [0, 1e6] for each row, or None. Multiplies the loss of the row; the normalizer stays.
"""
RETURNS = "(loss, gradient): a float, and an array like `{scores}`."
RAISES = "ValueError: in one line, for shapes, labels or options outside of this, and for a loss that is not finite."


def signature(loss, *leading):
    """The options of a loss as keyword-only parameters, after the leading ones."""
    options = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if option.default is REQUIRED else option.default,
        )
        for option in loss.options
    ]
    return inspect.Signature([*leading, *options])


def arguments(loss):
    """scores, labels and weights, as parameters of a function."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [
        *(inspect.Parameter(name, kind) for name in (loss.scores_are, "labels")),
        inspect.Parameter("weights", kind, default=None),
    ]


def option_lines(loss):
    for option in loss.options:
        default = "Required" if option.default is REQUIRED else f"Default: {option.default!r}"
        text = f"{option.name}: {option.meaning} {option.domain.text[0].upper()}{option.domain.text[1:]}. {default}."
        yield textwrap.fill(text, 110, initial_indent="    ", subsequent_indent="        ")


def class_docstring(loss):
    """The docstring of a class of losses, with its options."""
    return inspect.cleandoc(loss.__doc__) + "\n\nArgs:\n" + "\n".join(option_lines(loss)) + "\n"


def function(loss):
    """The loss as a pure function of scores, labels and weights, whose options are keyword arguments."""
    positional = arguments(loss)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", loss.name()).lower()

    def of_arrays(*arrays, **options):
        if len(arrays) > len(positional):
            raise TypeError(
                f"{name}: expected at most {len(positional)} positional arguments, "
                f"{', '.join(p.name for p in positional)}, got {len(arrays)}; give options by name, e.g. axis=1"
            )
        named = {p.name: options.pop(p.name) for p in positional if p.name in options}
        try:
            bound = inspect.Signature(positional).bind(*arrays, **named)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        return loss(**options)(*bound.args)

    of_arrays.__name__ = of_arrays.__qualname__ = name
    of_arrays.__module__ = "caffe_losses"
    of_arrays.__signature__ = signature(loss, *positional)
    of_arrays.__doc__ = function_docstring(loss, positional[0].name)
    return of_arrays


def function_docstring(loss, scores):
    about, reference = split_reference(inspect.cleandoc(vars(loss).get("_about", loss.__doc__)))
    domain = "[0, 1]" if loss.label_limit == 1 else f"[0, {loss.label_limit:g}]"
    parts = [about, "", "Args:", ARRAYS.strip("\n").format(scores=scores, domain=domain), *option_lines(loss), ""]
    parts += ["Returns:", "    " + RETURNS.format(scores=scores), "", "Raises:", "    " + RAISES]
    return "\n".join([*parts, *(["", "References:", "    " + reference] if reference else [])]) + "\n"


def split_reference(text):
    """(all but the last paragraph, the last paragraph) if that names a paper and its year."""
    about, _, last = text.rpartition("\n\n")
    return (about, " ".join(last.split())) if re.search(r", \d{4}[,;]", last) else (text, "")
