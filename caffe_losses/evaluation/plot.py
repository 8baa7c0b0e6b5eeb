"""Logs of Caffe's solver as one picture: loss, learning rate and metrics by iteration."""

import os
import re
import sys
from collections import Counter, namedtuple

import numpy as np

from . import figures
from .logs import read_log

MOST = 8  # numbers of one top that are drawn
PANELS = 20  # that are drawn
FEW = 30  # points of a line that are marked
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
    if len(panels) > PANELS:
        rest = list(panels)[PANELS:]
        print(f"left out, as {PANELS} panels are enough: {rest[0]} and {len(rest) - 1} more", file=sys.stderr)
        panels = {title: panels[title] for title in list(panels)[:PANELS]}
    return panels


def add_lines(panels, dicts, panel, faint=False):
    styles = {(title, line.name): line.style for title, lines in panels.items() for line in lines}
    places = Counter(title for title, name in styles if name != "train")
    for name in dict.fromkeys(name for series in dicts for name in series):
        title = panel(name)
        style = styles.get((title, name)) or STYLES[places[title] % len(STYLES) * (name != "train")]
        places[title] += name != "train"
        line = Line(name, [series.get(name, {}) for series in dicts], style, faint or name == "train")
        panels.setdefault(title, []).append(line)


def panel_of(name):
    return AVERAGE.sub("", CUT.sub("", INDEX.sub("", name)))


def draw(path, labels, logs):
    """Write the PNG, a panel for the loss, the rate and each group of outputs."""
    panels = panels_of(logs)
    if not panels:
        raise ValueError("there is nothing to draw: the logs have only outputs of too many numbers")
    columns = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3}.get(len(panels), 4)
    rows = -(-len(panels) // columns)
    legend_rows = -(-len(logs) // columns)
    heights = [3.4] * rows + [0.3 + 0.2 * legend_rows]
    figure = figures.new_figure(4.8 * columns, sum(heights))
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=heights)
    colors = colors_of(len(logs))
    for k, (title, lines) in enumerate(panels.items()):
        draw_panel(figure.add_subplot(grid[divmod(k, columns)]), title, lines, colors)
    below = figure.add_subplot(grid[rows, :])
    below.set_axis_off()
    handles = [below.plot([], [], color=color, linewidth=3)[0] for color in colors]
    notes = [figures.Label(label + not_a_number(log), None) for label, log in zip(labels, logs)]
    figures.add_legend(below, handles, notes, loc="center", ncol=min(len(logs), columns), fontsize=9)
    figures.save(figure, path)


def colors_of(count):
    few = figures.colormap("tab10").colors
    return few[:count] if count <= len(few) else figures.colormap("turbo")(np.linspace(0, 1, count))


def not_a_number(log):
    """From which iteration on the loss is none, as nothing can be drawn there."""
    wrong = [k for series in log.losses.values() for k, value in series.items() if not np.isfinite(value)]
    return f" (loss not finite from iteration {min(wrong)})" if wrong else ""


def draw_panel(axes, title, lines, colors):
    longest = max(len(series) for line in lines for series in line.series)
    for line in lines:
        for series, color in zip(line.series, colors):
            draw_series(axes, line, series, color, "o" if longest <= FEW or len(series) == 1 else None)
    if len(lines) > 1:
        add_styles(axes, title, lines)
    rates = [value for line in lines for series in line.series for value in series.values()]
    if title == "learning rate" and min(rates) > 0 and max(rates) > 10 * min(rates):
        axes.set_yscale("log")
    else:
        figures.calm_y(axes)
    alone = f"loss ({lines[0].name})" if title == "loss" else lines[0].name
    axes.set_title(figures.plain(title if len(lines) > 1 else alone), fontsize=11)
    axes.set_xlabel("iteration")
    axes.grid(alpha=0.3)


def draw_series(axes, line, series, color, marker):
    iterations = sorted(series)
    values = np.array([series[k] for k in iterations], np.float64)
    values[~np.isfinite(values)] = np.nan
    axes.plot(
        iterations, values, line.style, color=color, linewidth=width(line), alpha=0.6 if line.faint else 1,
        marker=marker, markersize=3.5,
    )  # fmt: skip


def width(line):
    return 1.0 if line.faint else 1.7


def add_styles(axes, title, lines):
    """Say which style is which output."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle=line.style, color="0.3", linewidth=width(line)) for line in lines]
    names = [f"{line.name} (train)" if line.faint and title != "loss" else line.name for line in lines]
    figures.add_legend(axes, handles, [figures.Label(name, None) for name in names], fontsize=8)
