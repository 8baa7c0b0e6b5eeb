"""Time the kernels as each compiler makes them, and compare them with numpy; as root, on Debian. See README.md.

The compilers are in bare systems that docker/prove-systems makes. With --here CC, one compiler of this system, as JSON.
"""

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import loops
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "compilers.json"
sys.path.insert(0, str(ROOT))
from caffe_losses import losses  # noqa: E402
from caffe_losses.kernels import binding, build  # noqa: E402

SYSTEMS = {  # as docker/prove-systems names them, and their compilers
    "bullseye": ["gcc"],
    "bookworm": ["gcc", "clang"],
    "trixie": ["gcc", "clang"],
    "bookworm:i386": ["gcc", "gcc -msse2 -mfpmath=sse"],
    "bookworm:arm64": ["gcc"],
}
ROWS, CLASSES = 256, 1000
PER_CLASS = np.linspace(0.5, 2, CLASSES)
GAMMAS = {"gamma": 2.5, "gamma_pos": 0.5, "gamma_neg": 2.5}  # powers by square roots
OTHER_GAMMAS = {"gamma": 2.3, "gamma_pos": 0.3, "gamma_neg": 2.3}  # by exponentials and logarithms
TEMPERATURES = {"temperature_pos": 0.5, "temperature_neg": 3}
DENSE = {"label_smoothing": 0.1, "class_weight": PER_CLASS, "pos_weight": PER_CLASS, "ignore_label": -1}
CASES = {
    "plain": {},
    **{name: {name: value} for name, value in DENSE.items()},
    "label_scale": {"label_scale": "SUM"},
    "INDEX": {"label_format": "INDEX"},
    "weights": {},
    "unannotated": {"ignore_label": -1, "unannotated": (2, 0.5)},
    "gammas": GAMMAS,
    "other gammas": OTHER_GAMMAS,
    "temperatures": TEMPERATURES,
    "all": {**DENSE, **GAMMAS, **TEMPERATURES, "label_scale": "SUM", "unannotated": (2.5, 0.5)},
}
SIGMOID = "SigmoidCrossEntropyLoss"
OF_PLAIN, OF_SIGMOID = 1.5, 2.5  # the limits
TURNS = 30
MARKS = "<!-- written by make bench-compilers -->\n", "<!-- end of compilers -->"


# In one system, with one compiler


def inputs(loss, case, dtype, rows):
    """Scores, 3 labels a row, of which a tenth is ignored where the case ignores, and the weights of its rows."""
    random = np.random.RandomState(0)
    scores = random.randn(rows, CLASSES)
    if not loss.has_probabilities:
        scores = 1 / (1 + np.exp(-scores))
    index = (random.randint(CLASSES, size=(rows, 1)) + np.array([0, 7, 400])) % CLASSES
    labels = np.zeros((rows, CLASSES))
    np.put_along_axis(labels, index, 1, 1)
    if "ignore_label" in CASES[case]:
        labels[random.rand(rows, CLASSES) < 0.1] = -1
    weights = random.rand(rows).astype(dtype) if case in ("weights", "all") and loss.row_weights else None
    return scores.astype(dtype), (index if case == "INDEX" else labels).astype(dtype), weights


def cases_of(loss):
    """(name, its options), those that the loss has, and none twice."""
    names, seen = [option.name for option in loss.options], []
    for case, options in CASES.items():
        known = {name: value for name, value in options.items() if name in names}
        weighted = case == "weights" and loss.row_weights
        if case == "plain" or weighted or (known and str(known) not in seen):
            seen.append(str(known))
            yield case, known


class Contender:
    """One loss with its options; ms: the fastest forward and backward."""

    def __init__(self, loss, case, options, dtype=np.float32, rows=ROWS):
        self.loss, self.arrays = loss(normalization="NONE", **options), inputs(loss, case, dtype, rows)
        self.ms = [np.inf, np.inf]
        self.out = np.empty_like(self.arrays[0])
        self.loss.reshape(*[None if a is None else a.shape for a in self.arrays], dtype)

    def turn(self):
        for _ in range(2):  # the first brings data back into the caches
            times = [time.perf_counter()]
            self.value = self.loss.forward(*self.arrays)
            times.append(time.perf_counter())
            self.loss.backward(1.0, self.out)
            times.append(time.perf_counter())
            self.ms = [min(old, new) for old, new in zip(self.ms, np.diff(times) * 1e3)]


def agrees(loss, case, options, dtype):
    """Whether loss and gradient are those of numpy in float64."""
    os.environ["CAFFE_LOSSES_KERNELS"], level = "numpy", os.environ["CAFFE_LOSSES_KERNELS"]
    exact = Contender(loss, case, options, dtype, rows=9)
    exact.turn()
    os.environ["CAFFE_LOSSES_KERNELS"] = level
    compiled = Contender(loss, case, options, dtype, rows=9)
    compiled.turn()
    eps, error = np.finfo(dtype).eps, np.abs(compiled.out - exact.out).max()
    largest = 1 + np.abs(exact.out).max()
    return abs(compiled.value - exact.value) <= 32 * eps * abs(exact.value) and error <= 16 * eps * largest


def measure(level, timed):
    """{loss: {case: ms of forward and backward}}, and what differs from numpy."""
    os.environ["CAFFE_LOSSES_KERNELS"] = level
    known = [(getattr(losses, name), *case) for name in losses.__all__ for case in cases_of(getattr(losses, name))]
    wrong = [
        f"{k[0].__name__} {k[1]} {t.__name__}" for k in known for t in (np.float32, np.float64) if not agrees(*k, t)
    ]
    contenders = [(k, Contender(*k)) for k in known if timed]
    for _ in range(TURNS):
        for _, contender in contenders:
            contender.turn()
    times = {}
    for (loss, case, _), contender in contenders:
        times.setdefault(loss.__name__, {})[case] = [float(f"{ms:.4g}") for ms in contender.ms]
    return {"times": times, "wrong": wrong}


def here(compiler, timed):
    """What is to be known of one compiler, here."""
    os.environ["CC"] = compiler
    about = subprocess.run([*compiler.split(), "--version"], stdout=subprocess.PIPE, universal_newlines=True).stdout
    version = re.search(r"clang|gcc", about)[0] + " " + re.search(r"\d+\.\d+\.\d+", about)[0]
    machine = "i386" if sys.maxsize < 2**32 else platform.machine()
    found = {"compiler": version, "flags": " ".join(compiler.split()[1:]), "machine": machine}
    with tempfile.TemporaryDirectory() as folder:
        build.LIBRARY = os.path.join(folder, "library.so")
        try:
            build.build(build.LIBRARY)
        except OSError as error:
            return dict(found, refused=re.sub(r".*error: (#error )?", "", str(error)).strip('"'))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.update(seconds=used.ru_utime + used.ru_stime, kilobytes=os.path.getsize(build.LIBRARY) // 1000)
        found["scalar loops"] = [loop.function for loop in loops.scalar_loops(build.LIBRARY)]
        found["levels"] = {level: measure(level, timed) for level in binding.library().levels()}
    return found


# In all systems


def in_system(system, compilers):
    """What `here` finds of each compiler in a bare system."""
    packages = {"gcc": "gcc libc6-dev", "clang": "clang binutils libc6-dev"}
    wanted = " ".join(packages[compiler.split()[0]] for compiler in compilers)
    emulated = "--untimed" if system.endswith("arm64") else ""
    commands = "apt-get update -qq; apt-get install -y -qq --no-install-recommends python3-numpy {} >/dev/null 2>&1; {}"
    runs = "; ".join(f"python3 benchmarks/compilers.py {emulated} --here '{compiler}'" for compiler in compilers)
    said = subprocess.run(
        [ROOT / "docker" / "prove-systems", system, commands.format(wanted, runs)],
        stdout=subprocess.PIPE,
        universal_newlines=True,
        check=True,
    ).stdout
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def ratios(level):
    """{loss: (plain over sigmoid, {case: over plain})}, forward and backward together."""
    both = {loss: {case: sum(ms) for case, ms in cases.items()} for loss, cases in level["times"].items()}
    sigmoid = both[SIGMOID]["plain"]
    return {
        loss: (cases["plain"] / sigmoid, {case: ms / cases["plain"] for case, ms in cases.items() if case != "plain"})
        for loss, cases in both.items()
    }


def timed_levels(results):
    return [
        (result["compiler"] + (" i386" if result["machine"] == "i386" else ""), name, level)
        for result in results
        for name, level in result.get("levels", {}).items()
        if level["times"]
    ]


def short(loss):
    return re.sub(r"^(MultiLabel|Sigmoid)|Loss$", "", loss).replace("CrossEntropy", "")


def time_tables(results, table):
    """Plain over sigmoid; the slowest option over plain, without and with all options together."""
    levels = timed_levels(results)
    if not levels:
        return
    names = list(levels[0][2]["times"])
    others = [loss for loss in names if loss != SIGMOID]
    head, over, single, every = ("compiler", "level"), [], [], []
    for compiler, name, level in levels:
        by = ratios(level)
        ns = sum(level["times"][SIGMOID]["plain"]) * 1e6 / ROWS / CLASSES
        over.append((compiler, name, f"{ns:.2f}", *(f"{by[loss][0]:.2f}" for loss in others)))
        slowest = [max(x for case, x in by[loss][1].items() if case != "all") for loss in names]
        single.append((compiler, name, *(f"{x:.2f}" for x in slowest)))
        every.append((compiler, name, *(f"{by[loss][1]['all']:.2f}" if "all" in by[loss][1] else "" for loss in names)))
    yield f"Each loss over sigmoid: at most {OF_SIGMOID}."
    yield table((*head, "sigmoid, ns", *map(short, others)), *over)
    yield f"The slowest option over plain: at most {OF_PLAIN}."
    yield table((*head, *(short(loss) or "Sigmoid" for loss in names)), *single)
    yield "All options together, but INDEX, over plain."
    yield table((*head, *(short(loss) or "Sigmoid" for loss in names)), *every)


def misses(results):
    """A line for each loss and case that is above its limit anywhere."""
    above = {}
    for compiler, name, level in timed_levels(results):
        for loss, (of_sigmoid, of_plain) in ratios(level).items():
            if of_sigmoid > OF_SIGMOID:
                above.setdefault(f"{loss} over sigmoid", []).append((of_sigmoid, f"{compiler} {name}"))
            for case, x in of_plain.items():
                if x > OF_PLAIN and case != "all":
                    above.setdefault(f"{loss} with {case} over plain", []).append((x, f"{compiler} {name}"))
    for what, where in above.items():
        most, place = max(where)
        yield f"{what}: {len(where)} times, most {most:.2f} ({place})"


def compiler_rows(results):
    yield "compiler", "machine", "flags", "CPU s", "KB", "levels", "scalar loops", "as numpy"
    for result in results:
        if "refused" in result:
            yield result["compiler"], result["machine"], result["flags"], "", "", "refused", "", ""
            continue
        wrong = sum(len(level["wrong"]) for level in result["levels"].values())
        seconds = "" if result["machine"] == "aarch64" else f"{result['seconds']:.0f}"
        yield (
            *(result[key] for key in ("compiler", "machine", "flags")), seconds, str(result["kilobytes"]),
            " ".join(result["levels"]), str(len(result["scalar loops"])), f"{wrong} differ" if wrong else "all",
        )  # fmt: skip


def text(results, table):
    missed = list(misses(results))
    parts = [table(*compiler_rows(results)), *time_tables(results, table)]
    parts.append(
        f"Missed, of {len(timed_levels(results))} lines:\n\n" + "\n".join(f"- {line}" for line in missed)
        if missed
        else "No limit is missed."
    )
    return "\n\n".join(parts)


def write(content):
    readme = ROOT / "benchmarks" / "README.md"
    before, start, rest = readme.read_text().partition(MARKS[0])
    after = rest[rest.index(MARKS[1]) :]
    readme.write_text(f"{before}{start}\n{content}\n\n{after}")


def one_line(numbers):
    return f"[{' '.join(numbers[1].split())}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--here", metavar="CC", help="this compiler only, of this system; prints JSON")
    parser.add_argument("--untimed", action="store_true", help="with --here: compile and compare only")
    parser.add_argument("systems", nargs="*", help="these only; of the others, what is in compilers.json stays")
    args = parser.parse_args()
    if args.here:
        print(json.dumps(here(args.here, not args.untimed)))
        return
    from report import table

    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for system in args.systems or SYSTEMS:
        results[system] = in_system(system, SYSTEMS[system])
        RESULTS.write_text(re.sub(r"\[\s+([\d.e,\s-]+?)\s+\]", one_line, json.dumps(results, indent=1)) + "\n")
    content = text([result for system in SYSTEMS for result in results.get(system, [])], table)
    print(content)
    write(content)


if __name__ == "__main__":
    main()
