"""The lines that a training says itself, beside Caffe's log. None of them can end it: a terminal may be closed."""

import os
import socket
from contextlib import suppress

DESCRIPTORS = [2]  # where lines go: what Caffe's log goes to and, if that is a file, the terminal


def say(text):
    """Print a line in one piece, also amid the output of other ranks."""
    for descriptor in DESCRIPTORS:
        write(descriptor, f"caffe-losses: {text}\n")


def write(descriptor, text):
    with suppress(OSError):
        os.write(descriptor, text.encode())


def log_to(path, *, anew):
    """Have a file take what goes to stderr, Caffe's log too, behind what it has or `anew`. Returns the terminal."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if anew else 0)
    file, terminal = os.open(path, flags, 0o644), os.dup(2)
    os.dup2(file, 2)
    os.close(file)
    DESCRIPTORS[:] = [2, terminal]
    return terminal


def end_log():
    """Have what goes to stderr go to the terminal again."""
    if len(DESCRIPTORS) > 1:
        terminal = DESCRIPTORS.pop()
        os.dup2(terminal, 2)
        os.close(terminal)


def one_line(error):
    return " ".join(str(error).split())


def place(rank):
    """'rank 1 (host, process 4711)', of this process."""
    return f"rank {rank} ({socket.gethostname()}, process {os.getpid()})"
