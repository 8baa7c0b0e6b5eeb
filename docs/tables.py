"""The tables of the documents and the types of the package, written from the options that the code checks.

.venv/bin/python docs/tables.py            writes them
.venv/bin/python docs/tables.py --check    exit code 1 if one is not up to date

A table stands between the lines `<!-- table: NAME -->` and `<!-- end of table -->`. The types are those of
`caffe_losses/__init__.pyi`, for editors and type checkers.
"""

import json
import re
import sys
from collections import namedtuple
from pathlib import Path

import caffe_losses
from caffe_losses import data, losses, metrics
from caffe_losses.layers.metrics import PASS_OPTIONS
from caffe_losses.options import REQUIRED

DOCS = Path(__file__).resolve().parent
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
STUB = DOCS.parent / "caffe_losses/__init__.pyi"
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

Row = namedtuple("Row", "name domain default meaning")


def row(option):
    """An option as text."""
    default = "required" if option.default is REQUIRED else f"`{json.dumps(option.default)}`"
    return Row(f"`{option.name}`", option.domain.text, default, option.meaning)


def loss_rows():
    """Each option once. Where losses differ, the default column says which loss has which default."""
    owners = {}
    for name in losses.__all__:
        for option in getattr(losses, name).options:
            text = row(option)
            defaults = owners.setdefault((text.name, text.domain, text.meaning), {})
            defaults.setdefault(text.default, []).append(name)
    for (name, domain, meaning), defaults in owners.items():
        yield Row(name, domain, "; ".join(map(default_text, defaults.items())), meaning)


def default_text(default_and_owners):
    default, owners = default_and_owners
    return default if owners == losses.__all__ else f"{default} ({owners_text(owners)})"


def owners_text(owners):
    """The names of the losses, or of a family: the softmax family has label_scale, the sigmoid family pos_weight."""
    for family, mark in (("softmax family", "label_scale"), ("sigmoid family", "pos_weight")):
        if owners == [name for name in losses.__all__ if mark in option_names(getattr(losses, name))]:
            return family
    return ", ".join(f"`{name}`" for name in owners)


def option_names(loss):
    return [option.name for option in loss.options]


def layer_rows():
    for name in losses.__all__:
        yield (f"`{name}`", getattr(losses, name).summary)


def option_table(rows):
    return [Row("parameter", "domain", "default", "meaning"), Row(*["---"] * len(Row._fields)), *rows]


def level_rows():
    for name, options in data.LEVELS.items():
        yield (f"`{name}`", ", ".join(f"`{option}` {json.dumps(value)}" for option, value in options.items()))


TABLES = {
    "layers": lambda: [("layer", "loss of one row"), ("---", "---"), *layer_rows()],
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

HEAD = """# Written by docs/tables.py from the options of the losses; do not edit.
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import losses as losses
from .losses.base import Loss

__version__: str

def predict_labels(
    scores: ArrayLike,
    threshold: ArrayLike | None = None,
    top_k: int | None = None,
    at_least_one: bool = True,
    axis: int = 1,
) -> NDArray[np.bool_]: ...
"""


def annotation(option):
    """The type of an option's value, from the words of its domain."""
    text, _, _ = option.domain.text.partition(", or null")
    kind = "int" if text.startswith("a whole number") else "float"
    if text.startswith("one of "):
        kind = "Literal[" + ", ".join(f'"{name}"' for name in text[len("one of ") :].split(", ")) + "]"
    if "a list of" in text:
        kind = "float | Sequence[float] | NDArray[Any] | str"
    return f"{kind} | None" if option.domain.text.endswith(", or null") else kind


def literal(value):
    return f'"{value}"' if isinstance(value, str) else repr(value)


def parameters(loss, indent):
    lines = [f"{option.name}: {annotation(option)} = {literal(option.default)}," for option in loss.options]
    return "".join(f"{indent}{line}\n" for line in ["*,", *lines])


def stub():
    parts = [HEAD]
    for name, loss in caffe_losses.classes.items():
        parts.append(
            f"\nclass {name}(Loss):\n    def __init__(\n        self,\n{parameters(loss, ' ' * 8)}    ) -> None: ...\n"
        )
    for name, loss in zip(caffe_losses.functions, caffe_losses.classes.values()):
        arrays = f"    {loss.scores_are}: ArrayLike,\n    labels: ArrayLike,\n"
        arrays += "    weights: ArrayLike | None = None,\n"
        parts.append(f"\ndef {name}(\n{arrays}{parameters(loss, '    ')}) -> tuple[float, NDArray[Any]]: ...\n")
    return "".join(parts)


def main(check):
    wanted = {page: with_tables(page.read_text(encoding="utf-8")) for page in PAGES}
    wanted[STUB] = stub()
    stale = [path for path in wanted if not path.exists() or path.read_text(encoding="utf-8") != wanted[path]]
    for path in stale:
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.name}: " + ("not up to date; run docs/tables.py" if check else "written"))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
