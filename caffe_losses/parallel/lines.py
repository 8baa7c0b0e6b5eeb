"""The lines that a training says itself, beside Caffe's log."""

import os
import socket
from contextlib import suppress


def say(text):
    """Print a line in one piece, also amid the output of other ranks."""
    with suppress(OSError):  # of a terminal that was closed
        os.write(2, f"caffe-losses: {text}\n".encode())


def one_line(error):
    return " ".join(str(error).split())


def place(rank):
    """'rank 1 (host, process 4711)', of this process."""
    return f"rank {rank} ({socket.gethostname()}, process {os.getpid()})"
