"""Caffe's programs: where they are, and `caffe train` as a process of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections import deque


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
