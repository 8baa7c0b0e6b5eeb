"""The option tables of the documents, written from the options that the code checks.

.venv/bin/python docs/tables.py            writes them
.venv/bin/python docs/tables.py --check    exit code 1 if one is not up to date

A table stands between the lines `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

import json
import re
import sys
from collections import namedtuple
from pathlib import Path

from caffe_losses import data, losses, metrics
from caffe_losses.layers.metrics import PASS_OPTIONS
from caffe_losses.options import REQUIRED

DOCS = Path(__file__).resolve().parent
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


TABLES = {
    "losses": lambda: loss_rows(),
    "data": lambda: map(row, data.OPTIONS),
    "metrics": lambda: map(row, [*metrics.OPTIONS, *PASS_OPTIONS]),
}


def table(name):
    rows = [Row("parameter", "domain", "default", "meaning"), Row(*["---"] * len(Row._fields)), *TABLES[name]()]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n" for cells in rows)


def with_tables(text):
    return MARKED.sub(lambda match: match.group(1) + table(match.group(2)) + match.group(3), text)


def main(check):
    stale = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if with_tables(text) != text:
            stale.append(page)
            if not check:
                page.write_text(with_tables(text), encoding="utf-8")
    for page in stale:
        print(f"{page.name}: " + ("not up to date; run docs/tables.py" if check else "written"))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
