"""Which of its snapshots a training keeps: the last, and of those before it the best ones or the latest."""

import math
import os
from contextlib import suppress


class TestOutput:
    """The mean of an output over each pass of the first test net, as Caffe prints it: {iteration: mean}.

    solver  of pycaffe, with a test net
    name    of the output
    param   its SolverParameter

    ValueError if the test net has no such output, or it is not one number.
    """

    __test__ = False  # for pytest, which takes classes of such a name for tests

    def __init__(self, solver, name, param):
        if not len(solver.test_nets):
            raise ValueError(f"--best {name}: the solver tests nothing; give it test_iter and test_interval")
        self.solver, self.net, self.name, self.passes = solver, solver.test_nets[0], name, param.test_iter[0]
        numbers = [output for output in self.net.outputs if self.net.blobs[output].count == 1]
        if name not in numbers:
            raise ValueError(f"--best {name}: expected an output of the test net, {', '.join(numbers)}")
        self.means, self.values = {}, []
        self.last = len(self.net.layers) - 1
        self.net.after_forward(self.add)

    def add(self, layer):
        """A layer of the test net has run."""
        if layer == self.last:
            self.values.append(float(self.net.blobs[self.name].data.flat[0]))
        if len(self.values) == self.passes:
            self.means[self.solver.iter] = sum(self.values) / self.passes
            self.values = []

    def less_is_better(self):
        return names_a_loss(self.name) or self.net.blob_loss_weights[self.name] != 0

    def rank(self, iteration):
        """A number that is the lower, the better the output was at an iteration; inf if it was not measured."""
        mean = self.means.get(iteration, math.nan)
        return math.inf if math.isnan(mean) else mean if self.less_is_better() else -mean


def names_a_loss(output):
    """Whether the name of a metric tells that less is better, as of ranking_loss."""
    return "loss" in output.lower()


class Keep:
    """Deletes snapshots of this training beyond a number. Those that were there before are never deleted.

    count   so many are kept: the last and, before it, the latest, or the best of a TestOutput
    output  a TestOutput, or None
    """

    def __init__(self, count, output=None):
        self.count, self.output, self.written = count, output, {}

    def add(self, iteration, files):
        """A snapshot is written. Returns the iterations whose snapshots were deleted for it."""
        self.written[iteration] = files
        before = [k for k in sorted(self.written, reverse=True) if k != iteration]
        if self.output:
            before.sort(key=self.output.rank)  # of equals, the later first
        for k in before[self.count - 1 :]:
            files = self.written.pop(k)
            for path in (files.state, files.model):  # a state never stays without its weights
                with suppress(FileNotFoundError):
                    os.remove(path)
        return before[self.count - 1 :]
