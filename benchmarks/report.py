"""The measurements as ratios and targets, and these as tables, JSON and a picture."""

import json
import math
import os
import platform
import re
import textwrap
from pathlib import Path

import numpy as np
import threadpoolctl
from matplotlib.figure import Figure

from caffe_losses import kernels

REFERENCES = ("C++", "PyTorch 1", "PyTorch 2", "DENSE", "DENSE flat")
SMALL, MIDDLE, LARGE, SPATIAL = ALL = ("32 x 80", "64 x 1000", "256 x 17000", "2 x 21 x 384 x 384")
FEW = ("64 x 10", "32 x 20")
DENSE, INDEX, SIGMOID, SIGMOID_INDEX = "softmax DENSE", "softmax INDEX", "sigmoid DENSE", "sigmoid INDEX"
TARGETS = (  # case, who, at most so many times the time of whom
    (SMALL, DENSE, 0.5, "softmax PyTorch 1"),
    (MIDDLE, DENSE, 0.55, "softmax PyTorch 1"),
    (LARGE, DENSE, 0.3, "softmax PyTorch 1"),
    (SPATIAL, DENSE, 0.4, "softmax PyTorch 1"),
    (SMALL, INDEX, 0.55, "softmax PyTorch 1"),
    (MIDDLE, INDEX, 0.55, "softmax PyTorch 1"),
    (LARGE, INDEX, 0.25, "softmax PyTorch 1"),
    (SPATIAL, INDEX, 0.5, "softmax PyTorch 1"),
    (SMALL, SIGMOID, 0.55, "sigmoid PyTorch 1"),
    (MIDDLE, SIGMOID, 0.55, "sigmoid PyTorch 1"),
    (LARGE, SIGMOID, 0.35, "sigmoid PyTorch 1"),
    (SPATIAL, SIGMOID, 0.4, "sigmoid PyTorch 1"),
    *((case, DENSE, 0.8, "softmax C++") for case in FEW),
    *((case, INDEX, 1.0, "softmax C++") for case in FEW),
    *((case, SIGMOID, 0.8, "sigmoid C++") for case in FEW),
    *((case, SIGMOID_INDEX, 1.2, "sigmoid C++") for case in FEW),
    (SMALL, DENSE, 1 / 2, "softmax C++"),
    (MIDDLE, DENSE, 1 / 12, "softmax C++"),
    (LARGE, DENSE, 1 / 14, "softmax C++"),
    (SMALL, SIGMOID, 0.4, "sigmoid C++"),
    (MIDDLE, SIGMOID, 1 / 18, "sigmoid C++"),
    (LARGE, SIGMOID, 1 / 18, "sigmoid C++"),
    (LARGE, DENSE, 3.5, "copy"),
    (LARGE, INDEX, 2.5, "copy"),
    (LARGE, SIGMOID, 4.5, "copy"),
    ("Yeast iteration", SIGMOID, 0.95, "sigmoid C++"),
    *((case, f"sigmoid {loss}", 1.8, SIGMOID) for loss in ("focal", "asymmetric") for case in ALL),
    *((case, f"sigmoid {loss}", 2.5, SIGMOID) for loss in ("hill", "ZLPR", "two-way") for case in ALL),
)
STYLES = {
    "loop": ("Python loop", "#999999", "x"),
    "numpy": ("plain numpy", "#b07aa1", "v"),
    "C++": ("Caffe C++", "#e15759", "s"),
    "PyTorch 1": ("PyTorch, 1 thread", "#f28e2b", "^"),
    "PyTorch 2": ("PyTorch, 2 threads", "#c9a227", ">"),
    "DENSE": ("ours, DENSE", "#1f5fa8", "o"),
    "INDEX": ("ours, INDEX", "#59a14f", "D"),
    "copy": ("copying the scores", "#333333", "_"),
}


def title(shape):
    return " x ".join(map(str, shape))


def quartiles(values):
    return [float(f"{q:.4g}") for q in np.percentile(values, (25, 50, 75))]


def summary(names, turns):
    """{who: quartiles of its ms, and of its time over that of the references in the same turns}."""
    found, both = {}, dict(zip(names, turns[:, :, 2].T))
    for who, times in zip(names, turns.transpose(1, 2, 0)):
        found[who] = {step: quartiles(t * 1e3) for step, t in zip(("forward", "backward", "both"), times)}
        references = ["copy", *(f"{who.split()[0]} {r}" for r in REFERENCES)]
        found[who]["over"] = {r: quartiles(both[who] / both[r]) for r in references if r in both and r != who}
    return found


def machine(torch):
    """The processor and the versions that the figures depend on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    about = {"processor": f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} cores"}
    about.update({"kernels": kernels.level(), "Python": platform.python_version(), "numpy": np.__version__})
    about.update({"PyTorch": f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"} if torch else {})
    for library in threadpoolctl.threadpool_info():
        if library["user_api"] == "blas" and "scipy.libs" not in library["filepath"]:
            owner = "numpy's" if "numpy.libs" in library["filepath"] else "Caffe's"
            about[f"{owner} {library['internal_api']}"] = f"{library['version']} ({library.get('architecture')})"
    about.update({k: v for k, v in os.environ.items() if k in ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")})
    return about


def targets(results):
    """[{target, limit, value, met}], the value with its quartiles."""
    found = [
        (f"{case}: {who} / {rival}", limit, results["cases"][case][who]["over"][rival])
        for case, who, limit, rival in TARGETS
        if rival in results["cases"][case]
    ]
    for who, used in results["memory"].items():
        found.append((f"{LARGE}: MB an iteration of {who}", 1, quartiles([used["an iteration"]])))
        found.append((f"{LARGE}: MB kept by {who}", 1, quartiles([used["kept"]])))
    return [{"target": t, "limit": limit, "value": v, "met": v[1] <= limit} for t, limit, v in found]


def number(x):
    """Three digits, and no exponent."""
    return f"{x:.{max(0, 2 - math.floor(math.log10(x)))}f}" if x >= 1e-4 else "0"


def table(*rows):
    """A Markdown table that is readable as it is; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["| " + " | ".join([r[0].ljust(widths[0]), *map(str.rjust, r[1:], widths[1:])]) + " |" for r in rows]
    lines.insert(1, "|" + "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])]) + "|")
    return "\n".join(lines)


def case_rows(case):
    """Each contender's ms, and its time over those of C++, PyTorch and copying."""
    yield "ms", "forward", "backward", "both", "quartiles", "/ C++", "/ PyTorch 1", "/ PyTorch 2", "/ copy"
    for who, times in sorted(case.items(), key=lambda item: (item[0].split()[0], item[1]["both"][1])):
        steps = [number(times[step][1]) for step in ("forward", "backward", "both")]
        rivals = [f"{who.split()[0]} {rival}" for rival in ("C++", "PyTorch 1", "PyTorch 2")] + ["copy"]
        ratios = [number(times["over"][r][1]) if r in times["over"] else "" for r in rivals]
        yield (who, *steps, " to ".join(map(number, times["both"][::2])), *ratios)


def target_rows(found):
    yield "time over time, forward + backward", "at most", "measured", "quartiles", ""
    for t in found:
        low, value, high = t["value"]
        verdict = "met" if t["met"] else f"missed, {number(value / t['limit'])} x the limit"
        yield t["target"], number(t["limit"]), number(value), f"{number(low)} to {number(high)}", verdict


def text(results):
    """All tables, as Markdown."""
    met = sum(t["met"] for t in results["targets"])
    about = "; ".join(v if k == "processor" else f"{k} {v}" for k, v in results["machine"].items())
    parts = [textwrap.fill(about, 120)]
    parts += [f"## Targets: {met} of {len(results['targets'])} met", table(*target_rows(results["targets"]))]
    for name, case in results["cases"].items():
        parts += [f"## {name}", table(*case_rows(case))]
    for axis, cases in results["sweeps"].items():
        names = list(next(iter(cases.values())))
        rows = [(str(n), *(number(case[who][1]) for who in names)) for n, case in cases.items()]
        parts += [f"## Growth with {axis}, {'C = 1000' if axis == 'N' else 'N = 64'}: ms, forward + backward"]
        parts += [table((axis, *names), *rows)]
    return "\n\n".join(parts) + "\n"


def draw_shapes(axis, cases, family):
    """Nanoseconds a score, side by side for each shape."""
    shapes = (*FEW, *ALL)
    for x, shape in enumerate(shapes):
        for place, (who, (label, colour, marker)) in enumerate(STYLES.items()):
            times = cases[shape].get(who if who == "copy" else f"{family} {who}")
            if times:
                low, middle, high = np.array(times["both"]) * 1e6 / np.prod([int(d) for d in shape.split(" x ")])
                spread, style = [[middle - low], [high - middle]], {"color": colour, "marker": marker, "label": label}
                axis.errorbar(x + place * 0.1 - 0.35, middle, spread, linestyle="", capsize=2, **style)
    axis.set(yscale="log", ylabel="ns per score", xlabel="shape of the scores")
    axis.set_xticks(range(len(shapes)), shapes)
    axis.set_xlim(-0.5, len(shapes) - 0.5)
    for x in range(1, len(shapes)):
        axis.axvline(x - 0.5, color="#bbbbbb", linewidth=0.8)


def draw_sweep(axis, letter, cases, family):
    for who, (_, colour, marker) in STYLES.items():
        name = who if who == "copy" else f"{family} {who}"
        points = np.array([(int(n), *case[name]) for n, case in cases.items() if name in case])
        if points.size:
            axis.loglog(points[:, 0], points[:, 2], color=colour, marker=marker)
            axis.fill_between(points[:, 0], points[:, 1], points[:, 3], color=colour, alpha=0.2, linewidth=0)
    axis.set(ylabel="ms", xlabel="N, of N x 1,000 scores" if letter == "N" else "C, of 64 x C scores")


def picture(results):
    """Forward and backward: by shape, and growing with N and C; a row for softmax and one for sigmoid."""
    figure = Figure((17, 10), layout="constrained")
    rows = figure.subplots(2, 3, sharey="col", gridspec_kw={"width_ratios": (1.35, 1, 1)})
    for family, axes in zip(("softmax", "sigmoid"), rows):
        draw_shapes(axes[0], results["cases"], family)
        for axis, (letter, cases) in zip(axes[1:], results["sweeps"].items()):
            draw_sweep(axis, letter, cases, family)
        for axis in axes:
            axis.set_title(f"{family}, forward + backward")
            axis.grid(axis="y", color="#dddddd")
            axis.set_axisbelow(True)
    handles = dict(zip(*rows[0, 0].get_legend_handles_labels()[::-1]))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(f"{results['machine']['processor']}; medians and quartiles, lower is better")
    return figure


def write(results, readme, folder):
    """results.json, results.png, and the README with the tables between its marks."""
    folder.mkdir(parents=True, exist_ok=True)
    lists = re.compile(r"\[\s+([-\d.e,\s]+?)\s+\]")  # on one line each
    text_of = lists.sub(lambda match: "[" + " ".join(match.group(1).split()) + "]", json.dumps(results, indent=1))
    (folder / "results.json").write_text(text_of + "\n")
    picture(results).savefig(folder / "results.png", dpi=90)
    before, mark, rest = readme.read_text().partition("<!-- written by make bench -->\n")
    after = rest[rest.index("<!-- end -->") :]
    (folder / "README.md").write_text(f"{before}{mark}\n{text(results)}\n{after}")
