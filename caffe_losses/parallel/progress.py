"""How far a training is, in a line for people: Caffe's log goes to a file."""

import os
import time

from .lines import write

EVERY = {True: 1, False: 30}  # seconds between two lines, on a terminal, which shows only the last one, and elsewhere


class Progress:
    """Shows the iteration, the time that is left, and the last test.

    terminal     the descriptor that lines go to
    first, last  iterations
    """

    def __init__(self, terminal, first, last):
        self.terminal, self.first, self.last, self.tested = terminal, first, last, ""
        self.over = os.isatty(terminal)
        self.begin, self.shown = time.monotonic(), 0.0

    def at(self, iteration):
        now = time.monotonic()
        if now - self.shown < EVERY[self.over]:
            return
        self.shown = now
        self.print(f"iteration {iteration} of {self.last}{self.left(iteration, now)}{self.tested}")

    def left(self, iteration, now):
        done, seconds = iteration - self.first, now - self.begin
        if done < 1 or seconds < 1:
            return ""
        return f", {done / seconds:.3g} a second, {duration(seconds / done * (self.last - iteration))} left"

    def test(self, iteration, means):
        """The means of a test are known."""
        told = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        self.tested = f"; iteration {iteration}: {told}"
        if not self.over:
            self.print(self.tested[2:])

    def print(self, text):
        write(self.terminal, f"\r\x1b[K{text}" if self.over else f"{text}\n")

    def end(self):
        if self.over:
            write(self.terminal, "\n")


def duration(seconds):
    """'3 h 20 min', '20 min' or '15 s'."""
    minutes = int(seconds) // 60
    if minutes < 1:
        return f"{int(seconds)} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
