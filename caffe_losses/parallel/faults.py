"""How a training ends before its time: with one line that says which rank and why.

A rank may be killed, or die of one of Caffe's own checks. Then mpirun says so, and ends the other ranks. A rank that
raises says why, and has MPI end the others. A signal to mpirun reaches the ranks as SIGTERM, one second before
SIGKILL. mpirun does not say so, and Python cannot say it while Caffe computes. So rank 0 has a second process, which
only waits for signals.

SIGHUP is no end: as `caffe train` does, rank 0 writes a snapshot and goes on.
"""

import os
import select
import signal
import sys
import time
import traceback

from .lines import one_line, place, say

SIGNALS = signal.SIGINT, signal.SIGTERM
GRACE = 5  # seconds that a rank has to end after a signal
LINGER = 0.3  # seconds for mpirun to take the line: once the ranks have ended, it may not read any more


class Interrupted(Exception):
    """A signal asked the training to stop."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stop:
    """Remembers a signal until the training is between two iterations. For a training on one process."""

    def __init__(self):
        self.number = None
        for number in SIGNALS:
            signal.signal(number, self.take)

    def take(self, number, frame):
        self.number = number

    def check(self):
        if self.number is not None:
            raise Interrupted(self.number)


class HangUp:
    """Remembers SIGHUP until the training is between two iterations."""

    def __init__(self):
        self.came = False
        signal.signal(signal.SIGHUP, self.take)

    def take(self, number, frame):
        self.came = True

    def taken(self):
        """Whether one has come since the last call."""
        came, self.came = self.came, False
        return came


def log_to_stderr(comm):
    """Send Caffe's log to stderr. The ranks other than 0 send only errors."""
    os.environ.setdefault("GLOG_log_year_in_prefix", "0")  # with a year, Caffe's parse_log.py does not read it
    import caffe

    level = int(os.environ.get("GLOG_minloglevel", 0))  # noqa: SIM112
    caffe.init_log(level if comm.rank == 0 else max(level, 2), True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # glog would print a stack trace


def end_all(comm, error):
    """Say why this rank ends, and end the others."""
    if not isinstance(error, (ValueError, OSError)):
        traceback.print_exception(type(error), error, error.__traceback__)
    sys.stderr.flush()
    say(f"{place(comm.rank)}: {type(error).__name__}: {one_line(error)}")
    comm.abort(1)


def watch_signals(comm):
    """Start a second process that reports SIGINT and SIGTERM to this one, and sees that this one ends."""
    reader, writer = os.pipe()
    end_of_report, report_is_written = os.pipe()
    rank, text = os.getpid(), place(comm.rank)
    if os.fork() == 0:
        os.close(writer)
        os.close(end_of_report)
        for number in (*SIGNALS, signal.SIGHUP):  # sent to the whole group of processes
            signal.signal(number, signal.SIG_IGN)
        try:
            report(reader, report_is_written, rank, text)
        finally:
            os._exit(0)
    os.close(reader)
    os.close(report_is_written)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)

    def leave(number, frame):
        os.read(end_of_report, 1)
        time.sleep(LINGER)
        os._exit(128 + number)

    for number in SIGNALS:
        signal.signal(number, leave)


def report(reader, report_is_written, rank, text):
    """Wait for the number of a signal, and report it; or for the end of the rank.

    reader             the end of a pipe that gets the number of a signal
    report_is_written  the end of a pipe that is closed after the report
    rank               the process of the rank
    text               what the rank is called
    """
    number = next_signal(reader)
    if number is None:
        return
    name = signal.Signals(number).name
    say(f"{text}: {name}: mpirun was told to stop or another rank has ended; go on from the last snapshot")
    os.close(report_is_written)
    end, _, _ = select.select([reader], [], [], GRACE)  # not longer: mpirun reads until this process, too, has ended
    if end:
        return
    if os.getppid() == rank:
        os.kill(rank, signal.SIGKILL)


def next_signal(reader):
    """The next of SIGNALS that the rank gets. None if it ends."""
    numbers = os.read(reader, 1)
    while numbers and numbers[0] not in SIGNALS:  # SIGHUP
        numbers = os.read(reader, 1)
    return numbers[0] if numbers else None
