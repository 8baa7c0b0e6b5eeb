"""Ranks that stand still: stopped, hung in a data layer, or on a machine that is gone.

All ranks make the same calls of MPI, one after another, and wait in each for the slowest. A rank that has waited for
PATIENCE seconds asks all others. Those that wait too answer. After ANSWER seconds more, the first of those that wait
names the others. So a stopped rank is named 62 seconds after the others came to wait for it.

The calls of MPI block. So a thread of each rank looks at the time. It speaks MPI itself only after PATIENCE.
"""

import threading
import time

from .lines import say

PATIENCE = 60  # seconds
ANSWER = 2  # seconds
TICK = 0.5  # seconds between two looks
WAITS, WORKS = "waits", "works"  # what a rank writes to the others


class Stalls:
    """What one rank knows of the others while it waits: `with stalls: ...` is around each call of MPI that waits.

    comm     a communicator of MPI for these messages alone
    places   what each rank is called
    timeout  seconds after which the job ends. None: never
    abort    ends all ranks; takes an exit code
    """

    def __init__(self, comm, places, timeout, abort):
        self.comm, self.places, self.timeout, self.abort = comm, places, timeout, abort
        self.patience = PATIENCE if timeout is None else min(PATIENCE, timeout)
        self.sent, self.said, self.call = [], -self.patience, 0
        self.since = None
        self.lock = threading.Lock()
        threading.Thread(target=self.watch, daemon=True).start()

    def __enter__(self):
        """This rank begins to wait, in its next call of MPI."""
        self.call += 1
        self.asked, self.waiting, self.named = None, {self.comm.rank}, False
        self.since = time.monotonic()

    def __exit__(self, *error):
        with self.lock:  # MPI must not end while the thread speaks
            self.since = None

    def watch(self):
        """Look for ranks that stand still, while this rank waits."""
        while True:
            time.sleep(TICK)
            with self.lock:
                if self.since is not None and time.monotonic() - self.since > TICK:
                    self.check(time.monotonic())

    def check(self, now):
        is_asked = self.read(now)
        if self.asked is None and (is_asked or now - self.since >= self.patience):
            self.asked = now
            self.tell(WAITS)
        if self.asked is not None and now - self.asked >= ANSWER and now - self.since >= self.patience:
            self.report(now - self.since)

    def read(self, now):
        """Take what the others have written. Whether one asks."""
        is_asked = False
        while self.comm.Iprobe():
            rank, call, message = self.comm.recv()
            if message == WORKS:  # it has reason to be late
                self.since, self.asked, self.named = now, None, False
            elif call >= self.call - 1:  # of a call that ends at one rank sooner than at another
                is_asked = True
                self.waiting.add(rank)
        return is_asked

    def tell(self, message):
        """Write to all others. A rank that stands still does not take it, and until then MPI needs the request."""
        others = [rank for rank in range(self.comm.size) if rank != self.comm.rank]
        self.sent = [request for request in self.sent if not request.Test()]
        self.sent += [self.comm.isend((self.comm.rank, self.call, message), dest=rank) for rank in others]

    def report(self, seconds):
        """Name the ranks that do not wait, and end the job if it is time."""
        if self.comm.rank != min(self.waiting):
            return
        if not self.named:
            self.named = True
            say(self.text(seconds))
        if self.timeout is not None and seconds >= self.timeout:
            say(f"--stall-timeout {self.timeout:g}: the job ends; go on from the last snapshot")
            self.abort(1)

    def text(self, seconds):
        still = [place for rank, place in enumerate(self.places) if rank not in self.waiting]
        if not still:
            return f"all ranks have waited for one another for {seconds:.0f} s: MPI or the network stands still"
        remedy = "; --stall-timeout SECONDS would end the job" if self.timeout is None else ""
        verb = "has" if len(still) == 1 else "have"
        return f"{', '.join(still)} {verb} stood still for {seconds:.0f} s, and the other ranks wait{remedy}"

    def at_work(self):
        """Say, now and then, that the others wait for this rank with reason."""
        now = time.monotonic()
        if now - self.said >= self.patience / 4:
            self.said = now
            with self.lock:
                self.tell(WORKS)
