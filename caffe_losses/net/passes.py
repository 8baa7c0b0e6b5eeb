"""How many batches a test pass has, by the command line of this process."""

import os
from collections import namedtuple

from .prototxt import read_solver

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
    try:
        return sorted(set(read_solver(solver).test_iter))
    except ValueError:
        return []
