"""Reads what Caffe's solver prints: loss, rate and outputs by iteration."""

import re
from collections import OrderedDict

from ..files import check_regular

NUMBER = r"(-?(?:nan|inf|\d[\d.]*(?:e[-+]?\d+)?))"
TRAIN = re.compile(rf"Iteration (\d+)(?: \(.*?\))?, loss = {NUMBER}")
RATE = re.compile(rf"Iteration (\d+), lr = {NUMBER}")
TESTING = re.compile(r"Iteration (\d+), Testing net \(#(\d+)\)")
OUTPUT = re.compile(rf"\s*(Train|Test) net output #\d+: (.*) = {NUMBER}(?: \(\* {NUMBER} = {NUMBER} loss\))?\s*$")


class Log:
    """The series of one log: {name: {iteration: value}}, in the order of their first lines.

    train, test  the outputs of the two nets that are no losses, by their top's name, "top (net #1)" of a further
                 test net, "top [1]" of a further number of a top
    losses       "train", Caffe's own smoothed total, and "test", the sum of the weighted losses
    rate         {iteration: learning rate}

    Of a run that was restored, or of logs one after the other, what comes later counts: it takes the place of
    all from its iteration on.
    """

    def __init__(self, lines):
        self.train, self.test, self.losses, self.rate = OrderedDict(), OrderedDict(), OrderedDict(), {}
        self.iteration, self.net = None, 0
        for line in lines:
            self.read(line.rstrip("\r\n").split("] ", 1)[-1])

    def __bool__(self):
        return bool(self.train or self.test or self.losses or self.rate)

    def read(self, text):
        """One line, without what glog puts before it."""
        for pattern, take in ((TRAIN, self.take_loss), (RATE, self.take_rate), (TESTING, self.take_pass)):
            match = pattern.match(text)
            if match:
                return take(int(match.group(1)), match.group(2))
        match = OUTPUT.match(text)
        return self.take_output(*match.groups()) if match and self.iteration is not None else None

    def at(self, iteration):
        """Go to an iteration, and start counting its outputs; what was there beyond it is of an abandoned run."""
        if self.iteration is not None and iteration < self.iteration:
            for series in [self.rate, *self.train.values(), *self.test.values(), *self.losses.values()]:
                for later in [k for k in series if k >= iteration]:
                    del series[later]
        self.iteration, self.seen, self.summed = iteration, {}, False

    def take_loss(self, iteration, value):
        self.at(iteration)
        self.losses.setdefault("train", OrderedDict())[iteration] = float(value)

    def take_rate(self, iteration, value):
        self.at(iteration)
        self.rate[iteration] = float(value)

    def take_pass(self, iteration, net):
        self.at(iteration)
        self.net = int(net)

    def take_output(self, phase, top, value, weight, weighted):
        net = f" (net #{self.net})" if phase == "Test" and self.net else ""
        place = self.seen[phase, top] = self.seen.get((phase, top), -1) + 1
        if weight is None:
            name = top + net + (f" [{place}]" if place else "")
            getattr(self, phase.lower()).setdefault(name, OrderedDict())[self.iteration] = float(value)
        elif phase == "Test":
            losses = self.losses.setdefault("test" + net, OrderedDict())
            before = losses[self.iteration] if self.summed else 0
            losses[self.iteration] = before + float(weighted)
            self.summed = True


def read_log(path):
    """The Log of a file, in UTF-8 or, as PowerShell writes it, UTF-16. ValueError if no line is of Caffe's solver."""
    check_regular(path)
    with open(path, "rb") as file:
        start = file.read(2)
    with open(path, encoding="utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace") as lines:
        log = Log(lines)
    if not log:
        missing = "it has no line as" if start else "it is empty, without a line as"
        raise ValueError(f'{path} is no log of Caffe\'s solver: {missing} "Iteration 0, loss = 0.5"')
    return log
