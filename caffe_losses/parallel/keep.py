"""Which of its snapshots a training keeps: the last, and of those before it the best ones or the latest."""

import math
import os
from contextlib import suppress

from . import records


class TestMeans:
    """The means of the outputs over each pass of the first test net, as Caffe prints them: {iteration: {name: mean}}.

    solver  of pycaffe, with a test net
    passes  batches of a pass
    tell    is called with the iteration and its means after each pass
    """

    __test__ = False  # for pytest, which takes classes of such a name for tests

    def __init__(self, solver, passes, tell):
        self.solver, self.net, self.passes, self.tell = solver, solver.test_nets[0], passes, tell
        self.names = [name for name in self.net.outputs if self.net.blobs[name].count == 1]
        self.means, self.values = {}, []
        self.last = len(self.net.layers) - 1
        self.net.after_forward(self.add)

    def add(self, layer):
        """A layer of the test net has run."""
        if layer == self.last:
            self.values.append([float(self.net.blobs[name].data.flat[0]) for name in self.names])
        if len(self.values) == self.passes:
            at = self.solver.iter
            self.means[at] = {name: sum(of_one) / self.passes for name, of_one in zip(self.names, zip(*self.values))}
            self.values = []
            self.tell(at, self.means[at])

    def check(self, name):
        """ValueError if the test net has no such output of one number."""
        if name not in self.names:
            raise ValueError(f"--best {name}: expected an output of the test net, {', '.join(self.names)}")


class Keep:
    """Deletes snapshots of this training beyond a number. Those of other trainings are never deleted.

    count    so many are kept: the last and, before it, the latest, or the best
    rank     {iteration: a number that is the lower, the better it is}, or None
    prefix   of the snapshots
    written  {iteration: Files} of those that this training wrote before it was stopped
    """

    def __init__(self, count, rank, prefix, written=()):
        self.count, self.rank, self.prefix, self.written = count, rank, prefix, dict(written)

    def add(self, iteration, files):
        """A snapshot is written. Returns the iterations whose snapshots were deleted for it."""
        self.written[iteration] = files
        before = [k for k in sorted(self.written, reverse=True) if k != iteration]
        if self.rank:
            before.sort(key=self.rank)  # of equals, the later first
        for k in before[self.count - 1 :]:
            records.remove(self.prefix, k)
            files = self.written.pop(k)
            for path in (files.state, files.model):  # a state never stays without its weights
                with suppress(FileNotFoundError):
                    os.remove(path)
        return before[self.count - 1 :]


def rank_by(metric, lower, known):
    """A function of the iteration: the lower, the better the metric was; inf if it was not measured.

    lower  whether less of it is better
    known  gives the means of a test, {name: mean}, by iteration
    """

    def rank(iteration):
        mean = known(iteration).get(metric, math.nan)
        return math.inf if math.isnan(mean) else mean if lower else -mean

    return rank
