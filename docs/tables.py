"""The tables of the documents and the types of the losses, written from the options that the code checks.

.venv/bin/python docs/tables.py            writes them
.venv/bin/python docs/tables.py --check    exit code 1 if one is not up to date

A table stands between the lines `<!-- table: NAME -->` and `<!-- end of table -->`. The types are `__init__.pyi` files,
for editors and type checkers.
"""

import json
import re
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

import caffe_losses
from caffe_losses import data, losses, metrics
from caffe_losses.layers.metrics import PASS_OPTIONS
from caffe_losses.options import REQUIRED

DOCS = Path(__file__).resolve().parent
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
PACKAGE = DOCS.parent / "caffe_losses"
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

LOSSES = list(losses.classes.values())
Row = namedtuple("Row", "name domain default meaning")


def row(option):
    """An option as text."""
    default = "required" if option.default is REQUIRED else f"`{json.dumps(option.default)}`"
    return Row(f"`{option.name}`", option.domain.text, default, option.meaning)


def loss_rows():
    """Each option once, or once for each meaning. The default column says which losses have it."""
    owners = {}
    for loss in LOSSES:
        for option in loss.options:
            text = row(option)
            defaults = owners.setdefault((text.name, text.domain, text.meaning), {})
            defaults.setdefault(text.default, []).append(loss)
    names = [name for name, _, _ in owners]
    for (name, domain, meaning), defaults in sorted(owners.items(), key=lambda item: names.index(item[0][0])):
        yield Row(name, domain, "; ".join(map(default_text, defaults.items())), meaning)


def default_text(default_and_owners):
    default, owners = default_and_owners
    if owners == LOSSES:
        return default
    families = [name for name, base in losses.FAMILIES.items() if set(owners) >= set(family(base))]
    others = [f"`{loss.name()}`" for loss in owners if not any(loss in family(losses.FAMILIES[f]) for f in families)]
    return f"{default} ({', '.join([*families, *others])})"


def family(base):
    return [loss for loss in LOSSES if issubclass(loss, base)]


def layer_rows():
    for loss in LOSSES:
        yield (f"`{loss.name()}`", loss.summary)


def function_rows():
    for name, loss in zip(caffe_losses.functions, LOSSES):
        arrays = f"{loss.scores_are}, labels, " + "weights=None, " * loss.row_weights
        yield (f"`{name}({arrays}...)`", loss.name())


def option_table(rows):
    return [Row("parameter", "domain", "default", "meaning"), Row(*["---"] * len(Row._fields)), *rows]


def level_rows():
    for name, options in data.LEVELS.items():
        yield (f"`{name}`", ", ".join(f"`{option}` {json.dumps(value)}" for option, value in options.items()))


TABLES = {
    "layers": lambda: [("layer", "loss of one row"), ("---", "---"), *layer_rows()],
    "functions": lambda: [("function", "loss"), ("---", "---"), *function_rows()],
    "losses": lambda: option_table(loss_rows()),
    "data": lambda: option_table(map(row, data.OPTIONS)),
    "levels": lambda: [("level", "options"), ("---", "---"), *level_rows()],
    "metrics": lambda: option_table(map(row, [*metrics.OPTIONS, *PASS_OPTIONS])),
}


def table(name):
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n" for cells in TABLES[name]())


def with_tables(text):
    return MARKED.sub(lambda match: match.group(1) + table(match.group(2)) + match.group(3), text)


# The types

HEAD = "# Written by docs/tables.py from the options of the losses; do not edit.\n"
CLASSES = """from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from .base import Loss
from .log_sum_exp import LogSumExpLoss as LogSumExpLoss
from .sigmoid import BinaryLoss as BinaryLoss
from .softmax import DistributionLoss as DistributionLoss

__all__: list[str]
classes: dict[str, type[Loss]]
"""
FUNCTIONS = """from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import losses as losses
from .predict import predict_labels as predict_labels

__version__: str
functions: dict[str, Callable[..., tuple[Any, NDArray[Any]]]]
"""


def definition(head, parameters, result, indent=""):
    inside = indent + "    "
    unbroken = ", ".join(parameter.replace(" ", "\0") for parameter in parameters)
    lines = textwrap.fill(unbroken, 120, initial_indent=inside, subsequent_indent=inside).replace("\0", " ")
    return f"\n{indent}def {head}(\n{lines}\n{indent}) -> {result}: ...\n"


def options(loss):
    of_python = loss.options + loss.of_calls
    return ["*", *(f"{option.name}: {option.domain.type} = {literal(option.default)}" for option in of_python)]


def literal(value):
    return f'"{value}"' if isinstance(value, str) else repr(value)


def class_stub():
    text = HEAD + CLASSES
    for loss in LOSSES:
        (base,) = [base.__name__ for base in losses.FAMILIES.values() if issubclass(loss, base)]
        text += f"\nclass {loss.name()}({base}):" + definition("__init__", ["self", *options(loss)], "None", "    ")
    return text


def function_stub():
    text = HEAD + FUNCTIONS + "".join(f"from .losses import {name} as {name}\n" for name in losses.__all__)
    for name, loss in zip(caffe_losses.functions, LOSSES):
        weights = "ArrayLike | None" if loss.row_weights else "None"
        arrays = [f"{loss.scores_are}: ArrayLike", "labels: ArrayLike", f"weights: {weights} = None"]
        text += definition(name, [*arrays, *options(loss)], "tuple[Any, NDArray[Any]]")
    return text


def main(check):
    wanted = {page: with_tables(page.read_text(encoding="utf-8")) for page in PAGES}
    wanted.update({PACKAGE / "losses/__init__.pyi": class_stub(), PACKAGE / "__init__.pyi": function_stub()})
    stale = [path for path in wanted if not path.exists() or path.read_text(encoding="utf-8") != wanted[path]]
    for path in stale:
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.name}: " + ("not up to date; run docs/tables.py" if check else "written"))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
