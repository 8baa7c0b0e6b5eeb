"""Logs of Caffe's solver as one picture: loss, learning rate and metrics by iteration."""

import os
import re
import sys
from collections import namedtuple

import numpy as np

from .logs import read_log

MOST = 8  # numbers of one top that are drawn
STYLES = "-", "--", ":", "-."
INDEX = re.compile(r" \[\d+\]$")
# what tells outputs apart that share a panel: hit@1 and hit@5, top-1 and top-5, micro_f1 and macro_f1
CUT, AVERAGE = re.compile(r"(@|_at_|[-_ /])\d+(?= \(net|$)"), re.compile(r"^(micro|macro)_")

# name: of the line; series: {iteration: value} of each log, empty where it has none; faint: of the training net
Line = namedtuple("Line", "name series style faint")


def plot(paths, output):
    """Draw training logs in one picture.

    Args:
        paths: of logs of Caffe's solver, or of trainers that print as it does. Each has a colour.
        output: the PNG to write.

    Raises:
        ValueError: a file is no log.
        OSError: a file cannot be read or written.
    """
    draw(output, labels_of(paths), [read_log(path) for path in paths])


def labels_of(paths):
    """File names, or where these are the same, paths."""
    names = [os.path.basename(path) for path in paths]
    return names if len(set(names)) == len(names) else list(paths)


def panels_of(logs):
    """{title: [Line]}: the losses, the rate, then the outputs of test and training net, alike ones together."""
    panels = {}
    add_lines(panels, [log.losses for log in logs], lambda name: "loss")
    if any(log.rate for log in logs):
        panels["learning rate"] = [Line("learning rate", [log.rate for log in logs], "-", False)]
    add_lines(panels, [log.test for log in logs], panel_of)
    add_lines(panels, [log.train for log in logs], panel_of, faint=True)
    for title in [title for title, lines in panels.items() if len(lines) > 2 * MOST]:
        print(f"{title}: left out, as it has {len(panels.pop(title))} numbers", file=sys.stderr)
    return panels


def add_lines(panels, dicts, panel, faint=False):
    for name in dict.fromkeys(name for series in dicts for name in series):
        lines = panels.setdefault(panel(name), [])
        alike = [other.style for other in lines if other.name == name]
        place = sum(other.name != "train" for other in lines) * (name != "train")
        style = alike[0] if alike else STYLES[place % len(STYLES)]
        lines.append(Line(name, [series.get(name, {}) for series in dicts], style, faint or name == "train"))


def panel_of(name):
    return AVERAGE.sub("", CUT.sub("", INDEX.sub("", name)))


def draw(path, labels, logs):
    """Write the PNG, a panel for the loss, the rate and each group of outputs."""
    from matplotlib.figure import Figure

    panels = panels_of(logs)
    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3}.get(len(panels), 4)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.8 * columns, 3.4 * rows + 0.3 + 0.2 * len(logs)), dpi=110, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    colors = colors_of(len(logs))
    for axes, (title, lines) in zip(grid, panels.items()):
        draw_panel(axes, title, lines, colors)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    handles = [grid[0].plot([], [], color=color, linewidth=3)[0] for color in colors]
    notes = [label + not_a_number(log) for label, log in zip(labels, logs)]
    figure.legend(handles, notes, loc="outside lower center", ncols=min(len(logs), columns), fontsize=9)
    figure.savefig(path, format="png")


def colors_of(count):
    from matplotlib import colormaps

    return colormaps["tab10"].colors[:count] if count <= 10 else colormaps["turbo"](np.linspace(0, 1, count))


def not_a_number(log):
    """From which iteration on the loss is none, as nothing can be drawn there."""
    wrong = [k for series in log.losses.values() for k, value in series.items() if not np.isfinite(value)]
    return f" (loss not finite from iteration {min(wrong)})" if wrong else ""


def draw_panel(axes, title, lines, colors):
    from matplotlib.lines import Line2D

    for line in lines:
        width = 1.0 if line.faint else 1.7
        for series, color in zip(line.series, colors):
            iterations = sorted(series)
            values = np.array([series[k] for k in iterations], np.float64)
            values[~np.isfinite(values)] = np.nan
            axes.plot(
                iterations, values, line.style, color=color, linewidth=width,
                alpha=0.6 if line.faint else 1, marker="o" if len(iterations) <= 30 else None, markersize=3.5,
            )  # fmt: skip
    if len(lines) > 1:
        widths = [1.0 if line.faint else 1.7 for line in lines]
        handles = [Line2D([], [], linestyle=line.style, color="0.3", linewidth=w) for line, w in zip(lines, widths)]
        names = [f"{line.name} (train)" if line.faint and title != "loss" else line.name for line in lines]
        axes.legend(handles, names, fontsize=8)
    rates = [value for line in lines for series in line.series for value in series.values()]
    if title == "learning rate" and min(rates) > 0 and max(rates) > 10 * min(rates):
        axes.set_yscale("log")
    axes.set_title(title if len(lines) > 1 else lines[0].name, fontsize=11)
    axes.set_xlabel("iteration")
    axes.grid(alpha=0.3)
