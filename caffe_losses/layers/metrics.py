"""Metrics of a whole test pass, which Caffe's mean over the batches then prints as they are."""

import os

import caffe

from .. import metrics, params
from ..net.prototxt import read_solver

PASS_OPTIONS = (
    params.Option(
        "test_iter", None, *params.at_least(1), meaning="batches of a test pass, as in the solver; required"
    ),
    params.Option(
        "images", None, *params.nullable(params.at_least(1)),
        meaning="of the test set, where batches do not divide it: the data wrap round, and what is more is left out"
    ),
)  # fmt: skip
ITERATIONS = 50  # of `caffe test`, by default


class MultiLabelMetrics(caffe.Layer):
    """`caffe_losses.metrics.MultiLabelMetrics` as a layer, for include { phase: TEST }.

    bottom  scores (N, C, ...) and labels, DENSE or INDEX; top  one number for each of `metrics`, in their order

    Caffe prints the mean of a top over the test_iter batches of a pass. So each top is 0 until the pass's last
    batch, and test_iter times the metric of the whole pass then; the next pass starts anew. `images` of
    the pass count, from its first: of a source that is not shuffled these are the whole test set, wherever a pass
    starts.

    ValueError in the TRAIN phase, for a test_iter that is not the solver's, and for one that gives fewer batches
    than `images` need or more. What the solver says is known where the process was given one (`--solver FILE`), and of
    `caffe test` its --iterations; a program of your own that uses pycaffe has to see to it that it runs test_iter
    batches a pass. Metrics have no gradient: where Caffe asks for one (force_backward), it is 0.
    """

    def setup(self, bottom, top):
        given = params.parse("MultiLabelMetrics", self.param_str)
        mine = {option.name for option in PASS_OPTIONS}
        known = params.checked("MultiLabelMetrics", (*metrics.OPTIONS, *PASS_OPTIONS), given)
        self.test_iter, self.images = known["test_iter"], known["images"]
        self.metrics = metrics.MultiLabelMetrics(**{name: given[name] for name in given if name not in mine})
        self.refuse = self.metrics.refuse
        if self.phase != caffe.TEST:
            self.refuse("in the TRAIN phase, where there is no pass to measure; add include {{ phase: TEST }} to it")
        if len(bottom) != 2:
            self.refuse("{} bottoms; give scores and labels", len(bottom))
        if len(top) != len(self.metrics.metrics):
            self.refuse("{} tops; give one for each of {}", len(top), ", ".join(self.metrics.metrics))
        self.check_test_iter()
        self.forwards = 0

    def check_test_iter(self):
        if self.test_iter is None:
            self.refuse("test_iter is missing; give it the solver's test_iter")
        source, runs = iterations_of(command_line())
        if runs and self.test_iter not in runs:
            text = "test_iter is {}, and {} has {}; give both the same number"
            self.refuse(text, self.test_iter, source, " and ".join(map(str, runs)))

    def reshape(self, bottom, top):
        batch = max(1, bottom[0].data.shape[0])
        if self.images is not None and -(-self.images // batch) != self.test_iter:
            self.refuse(
                "test_iter {} of batches of {} for {} images; give test_iter {}, here and in the solver",
                self.test_iter, batch, self.images, -(-self.images // batch),
            )  # fmt: skip
        for k in range(len(top)):
            top[k].reshape()

    def forward(self, bottom, top):
        if self.forwards == 0:
            self.metrics.reset()
            self.left = self.images
        count = bottom[0].data.shape[0] if self.left is None else min(self.left, bottom[0].data.shape[0])
        self.metrics.add(bottom[0].data[:count], bottom[1].data[:count])
        if self.left is not None:
            self.left -= count
        self.forwards = (self.forwards + 1) % self.test_iter
        values = list(self.metrics.values().values()) if self.forwards == 0 else [0] * len(top)
        for k in range(len(top)):
            top[k].data[...] = self.test_iter * values[k]

    def backward(self, top, propagate_down, bottom):
        for k in range(len(bottom)):
            if propagate_down[k]:
                bottom[k].diff[...] = 0


def command_line():
    """The words that started this process, also where Python is embedded in the caffe program; none but on Linux."""
    if not os.path.exists("/proc/self/cmdline"):
        return [""]
    with open("/proc/self/cmdline", "rb") as words:
        return os.fsdecode(words.read()).split("\0")


def iterations_of(words):
    """Where a command line says how many batches a test pass has, and the numbers that it may have, if any.

    words  of `caffe train --solver FILE` or any program that is given a solver so, or of `caffe test`
    """
    flags = {}
    for k, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-"):
            flags[name] = value if equals else (words[k + 1 : k + 2] or [""])[0]
    if os.path.basename(words[0]) == "caffe" and "test" in words[1:]:
        return "caffe test --iterations", [int(flags.get("iterations", ITERATIONS))]
    solver = flags.get("solver", "")
    return solver, test_iters(solver) if os.path.isfile(solver) else []


def test_iters(solver):
    try:
        return sorted(set(read_solver(solver).test_iter))
    except ValueError:  # not a solver of Caffe's
        return []
