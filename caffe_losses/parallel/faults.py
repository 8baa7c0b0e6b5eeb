"""How a training ends that does not end by itself: in one line that says which rank and why.

A signal that kills a rank at once, and Caffe's own checks, are reported by mpirun, which ends the other ranks. A rank
that raises says why, and has MPI end the others. A signal to mpirun itself reaches the ranks as SIGTERM, one second
before SIGKILL; mpirun does not say so, and Python cannot while Caffe computes: so rank 0 has a second process that
only waits for signals.
"""

import os
import select
import signal
import sys
import time
import traceback

from .comm import place

SIGNALS = signal.SIGINT, signal.SIGTERM
GRACE = 5  # seconds that a rank has to end after a signal
LINGER = 0.3  # seconds for mpirun to take the line: once the ranks have ended, it may not read any more


class Interrupted(Exception):
    """A signal asked the training to stop."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stop:
    """For one process: remembers a signal, until the training is between two iterations."""

    def __init__(self):
        self.number = None
        for number in SIGNALS:
            signal.signal(number, self.take)

    def take(self, number, frame):
        self.number = number

    def check(self):
        if self.number is not None:
            raise Interrupted(self.number)


def log_to_stderr(comm):
    """Caffe's log goes to stderr; of the ranks other than 0, errors do."""
    os.environ.setdefault("GLOG_log_year_in_prefix", "0")  # with a year, Caffe's parse_log.py does not read it
    import caffe

    level = int(os.environ.get("GLOG_minloglevel", 0))  # noqa: SIM112
    caffe.init_log(level if comm.rank == 0 else max(level, 2), True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # glog would print a stack trace


def say(text):
    """A line of its own, also amid other ranks' output."""
    os.write(2, f"caffe-losses: {text}\n".encode())


def one_line(error):
    return " ".join(str(error).split())


def end_all(comm, error):
    """Say why this rank ends, and end the others."""
    if not isinstance(error, (ValueError, OSError)):
        traceback.print_exception(type(error), error, error.__traceback__)
    sys.stderr.flush()
    say(f"{place(comm)}: {type(error).__name__}: {one_line(error)}")
    comm.abort(1)


def watch_signals(comm):
    """Have a second process report SIGINT and SIGTERM to this one, however busy it is, and see that it ends."""
    reader, writer = os.pipe()
    said, saying = os.pipe()
    rank, text = os.getpid(), place(comm)
    if os.fork() == 0:
        os.close(writer)
        os.close(said)
        for number in SIGNALS:  # sent to the whole group of processes
            signal.signal(number, signal.SIG_IGN)
        try:
            report(reader, saying, rank, text)
        finally:
            os._exit(0)
    os.close(reader)
    os.close(saying)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)

    def leave(number, frame):
        os.read(said, 1)
        time.sleep(LINGER)
        os._exit(128 + number)

    for number in SIGNALS:
        signal.signal(number, leave)


def report(reader, saying, rank, text):
    """Wait for the number of a signal, or for the end of the rank."""
    numbers = os.read(reader, 1)
    if not numbers:
        return
    name = signal.Signals(numbers[0]).name
    say(f"{text}: {name}: mpirun was told to stop or another rank has ended; go on from the last snapshot")
    os.close(saying)
    ended, _, _ = select.select([reader], [], [], GRACE)  # not longer: mpirun reads until this process, too, has ended
    if ended:
        return
    if os.getppid() == rank:
        os.kill(rank, signal.SIGKILL)
