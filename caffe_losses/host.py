"""Caffe's programs: the one that started this process, and `caffe train` as a process of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections import deque, namedtuple

ITERATIONS = 50  # of `caffe test`, by default

# How many batches a test pass has, by the command line.
# source: where it says so. batches: a sorted list of the numbers there, empty if it does not say
TestPasses = namedtuple("TestPasses", "source batches")


def command_line():
    """The words that started this process, also if Python is embedded in the caffe program. [""] if not on Linux."""
    if not os.path.exists("/proc/self/cmdline"):
        return [""]
    with open("/proc/self/cmdline", "rb") as words:
        return os.fsdecode(words.read()).split("\0")


def test_passes(words):
    """The TestPasses of a command line.

    words  of `caffe test`, of `caffe train --solver FILE`, or of any program that is given a solver like that
    """
    flags = {}
    for k, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-"):
            flags[name] = value if equals else (words[k + 1 : k + 2] or [""])[0]
    if os.path.basename(words[0]) == "caffe" and "test" in words[1:]:
        return TestPasses("caffe test --iterations", [int(flags.get("iterations", ITERATIONS))])
    solver = flags.get("solver", "")
    return TestPasses(solver, test_iters(solver) if os.path.isfile(solver) else [])


def test_iters(solver):
    """The different numbers of test_iter in a solver file, sorted. None if it is not a solver of Caffe's."""
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    with open(solver) as file:
        try:
            return sorted(set(text_format.Parse(file.read(), caffe_pb2.SolverParameter()).test_iter))
        except (text_format.ParseError, UnicodeDecodeError):
            return []


def program(name):
    """The path of one of Caffe's programs, beside this Python or on PATH. OSError if it is not there."""
    beside = os.path.dirname(sys.executable)  # a virtual environment need not be activated
    path = shutil.which(name, path=beside) or shutil.which(name)
    if path is None:
        raise OSError(f"the program {name} of Caffe is neither beside this Python nor on PATH; build it, or set PATH")
    return path


def train(solver, *, folder, log, title):
    """Run `caffe train` on one thread to its end, with a progress bar. Needs tqdm.

    solver  the file of the solver
    folder  where Caffe runs, so that relative paths in the solver and the net start there
    log     the file that Caffe's log is written to
    title   what the bar is called

    OSError if there is no `caffe` program. RuntimeError, with the end of the log, if Caffe fails.
    """
    from tqdm import tqdm

    environment = {**os.environ, "GLOG_minloglevel": "0", "OPENBLAS_NUM_THREADS": "1"}
    command = [program("caffe"), "train", "--solver", str(solver)]
    end = deque(maxlen=25)
    with subprocess.Popen(
        command, cwd=str(folder), env=environment, stderr=subprocess.PIPE, universal_newlines=True
    ) as process, open(str(log), "w") as file, tqdm(desc=title, unit=" iterations") as bar:
        for line in process.stderr:
            file.write(line)
            end.append(line)
            show(line, bar)
    if process.returncode:
        raise RuntimeError(f"caffe train: status {process.returncode}; the end of its log:\n{''.join(end)}")


def show(line, bar):
    """Move the bar to the iteration of a line of the log. Caffe prints the solver, with max_iter, first."""
    last = re.match(r"max_iter: (\d+)", line)
    if last and bar.total is None:
        bar.reset(int(last.group(1)))
    iteration = re.search(r"Iteration (\d+)", line)
    if iteration:
        bar.update(int(iteration.group(1)) - bar.n)
