"""Time the losses against Caffe's, PyTorch's and plain Python's, in one run; see README.md."""

import argparse
import gc
import importlib.util
import json
import os
import sys
import time
import tracemalloc
from pathlib import Path

import contenders
import numpy as np
import report

HERE = Path(__file__).resolve().parent
SHAPES = ((64, 10), (32, 20), (32, 80), (64, 1000), (256, 17000), (2, 21, 384, 384))
SWEEPS = {
    "N": [(n, 1000) for n in (1, 4, 16, 64, 256, 1024)],
    "C": [(64, c) for c in (10, 100, 1000, 10_000, 100_000)],
}
CHECKED = [f"{family} {who}" for family in ("softmax", "sigmoid") for who in ("DENSE", "INDEX", "C++")]
SWEPT = [*CHECKED, "softmax PyTorch 1", "softmax PyTorch 2", "sigmoid PyTorch 1", "sigmoid PyTorch 2", "copy"]
# One thread for each library; PyTorch's are set call by call, and must not spin for a core that others use.
ENVIRONMENT = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ENVIRONMENT.update({"OMP_WAIT_POLICY": "passive", "GLOG_minloglevel": "2"})
# Large pages for all, as numpy asks for its own arrays: Caffe's and PyTorch's memory comes from malloc.
ENVIRONMENT["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
TURN = 0.003  # seconds: what is short is called many times in its turn


def call(contender):
    """Seconds of a forward, of a backward, and of both."""
    if contender.reset:
        contender.reset()
    start = time.perf_counter()
    contender.forward()
    middle = end = time.perf_counter()
    if contender.backward:
        contender.backward()
        end = time.perf_counter()
    return middle - start, end - middle, end - start


def turn(contender):
    """The median call of some, after one that brings code and data back into the caches."""
    call(contender)
    calls, stop = [], time.perf_counter() + TURN
    while not calls or time.perf_counter() < stop:
        calls.append(call(contender))
    return np.median(calls, axis=0) * contender.scale


def measure(title, found, seconds, fewest=5, most=101):
    """The summary of all contenders, taking turns so that a slow moment of the machine hits each of them."""
    print(f"measuring {title}", file=sys.stderr, flush=True)
    turns, order, stop = [], list(found), time.perf_counter() + seconds
    gc.collect()
    gc.disable()
    while len(turns) < fewest or (len(turns) < most and time.perf_counter() < stop):
        times = {who: turn(found[who]) for who in order}
        turns.append([times[who] for who in found])
        order.reverse()  # nobody always follows the same neighbour
    gc.enable()
    return report.summary(list(found), np.array(turns))


def memory(shape):
    """{who: MB} in numpy arrays: kept between iterations, and taken and given back by one."""
    data, found = contenders.random_data(shape), {}
    for who in (w for w in contenders.LAYERS if "C++" not in w):
        contender = contenders.in_net(data, who)
        tracemalloc.start()
        call(contender)
        call(contender)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        call(contender)
        found[who] = {"kept": kept / 1e6, "an iteration": (tracemalloc.get_traced_memory()[1] - kept) / 1e6}
        tracemalloc.stop()
    return found


def run(torch, scale):
    """All measurements; about `scale` times three minutes."""
    results = {"machine": report.machine(torch), "cases": {}, "sweeps": {}}
    for shape, seconds in zip(SHAPES, (8, 8, 12, 12, 35, 35)):
        title = report.title(shape)
        results["cases"][title] = measure(title, contenders.contenders(shape, torch), seconds * scale)
    results["cases"]["Yeast iteration"] = measure("Yeast", contenders.yeast(), 8 * scale)
    for axis, shapes in SWEEPS.items():
        results["sweeps"][axis] = {}
        for shape in shapes:
            found = contenders.contenders(shape, torch, SWEPT)
            times = measure(report.title(shape), found, 4 * scale)
            results["sweeps"][axis][shape["NC".index(axis)]] = {who: times[who]["both"] for who in times}
    results["memory"] = memory(SHAPES[4])
    results["targets"] = report.targets(results)
    return results


def check(committed):
    """Exit with 1 where ours is less than half as fast, against the C++ layer, as in the committed results."""
    lost = False
    for title, shape in ((report.title(shape), shape) for shape in SHAPES):
        now = measure(title, contenders.contenders(shape, only=CHECKED), 4)
        for who in (w for w in CHECKED if "C++" not in w):
            old, new = (1 / case[who]["over"][who.split()[0] + " C++"][1] for case in (committed[title], now))
            print(f"{who:14} {new:6.2f} x as fast as C++, committed {old:6.2f}: {'LOST' if new < old / 2 else 'ok'}")
            lost |= new < old / 2
    sys.exit(int(lost))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", action="store_true", help="fail without PyTorch, rather than leave it out")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time; writes nothing without --out")
    parser.add_argument("--check", action="store_true", help="compare the lead over C++ with the committed one")
    parser.add_argument("--out", type=Path, help="folder for the results; default: that of this file")
    args = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.environ.update(ENVIRONMENT)  # which libraries read when they are loaded
        os.execv(sys.executable, [sys.executable, *sys.argv])
    if args.check:
        check(json.loads(((args.out or HERE) / "results.json").read_text())["cases"])
    torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    if args.torch and not torch:
        sys.exit("bench.py --torch: PyTorch is not installed; `pip install torch`, or leave out --torch")
    results = run(torch, 0.2 if args.quick else 1)
    print(report.text(results))
    if args.out or not args.quick:
        report.write(results, HERE / "README.md", args.out or HERE)


if __name__ == "__main__":
    main()
