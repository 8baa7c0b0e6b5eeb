"""Processes that are not our own children."""

import os
import time


def ended(pids, seconds=20):
    """Wait for the processes; whether all have ended."""
    until = time.monotonic() + seconds
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(os.path.exists(f"/proc/{pid}") for pid in pids)
