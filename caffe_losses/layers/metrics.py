"""Metrics of a whole test pass, as a layer: the mean over the batches that Caffe prints is then exact."""

import warnings

import caffe
import numpy as np

from .. import metrics
from ..losses.checks import NotFiniteError
from ..net.passes import command_line, test_passes
from ..options import REQUIRED, Option, at_least, checked, nullable, parse
from . import clock, untrained
from .loud import loud

PASS_OPTIONS = (
    Option("test_iter", REQUIRED, at_least(1), "Batches of a test pass. Give the test_iter of the solver."),
    Option(
        "images",
        None,
        nullable(at_least(1)),
        "Number of test images. Give it if the batch size does not divide it; repeats in the last batch are then "
        "not counted.",
    ),
)


@loud
class MultiLabelMetrics(caffe.Layer):
    """`caffe_losses.metrics.MultiLabelMetrics` as a layer, for include { phase: TEST }.

    bottom   scores (N, C, ...) and labels, DENSE or INDEX
    top      one number for each of `metrics`, in their order
    options  `caffe_losses.metrics.OPTIONS` and PASS_OPTIONS

    Caffe prints the mean of a top over the test_iter batches of a pass. So each top is 0 until the last batch of the
    pass. Then it is test_iter times the metric of the whole pass. The next pass starts anew. With `images`, only the
    first `images` of a pass count. If the data are not shuffled, these are the whole test set, wherever a pass
    starts. Of a pass with a score that is nan or infinite, all are nan, which is said once: see `untrained`.

    ValueError in the TRAIN phase, for a test_iter that is not the solver's, and for a test_iter that gives too few
    or too many batches for `images`. The solver is known if the command line of the process names it
    (`--solver FILE`). `caffe test` names --iterations. Any other program has to run test_iter batches in each pass.
    Metrics have no gradient: where Caffe asks for one (force_backward), it is 0.
    """

    def setup(self, bottom, top):
        params = parse("MultiLabelMetrics", self.param_str)
        of_pass = {option.name for option in PASS_OPTIONS}
        values = checked("MultiLabelMetrics", (*metrics.OPTIONS, *PASS_OPTIONS), params)
        self.test_iter, self.images = values["test_iter"], values["images"]
        self.metrics = metrics.MultiLabelMetrics(**{name: params[name] for name in params if name not in of_pass})
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
        told = test_passes(command_line())
        if told.batches and self.test_iter not in told.batches:
            text = "test_iter is {}, and {} has {}; give both the same number"
            self.refuse(text, self.test_iter, told.source, " and ".join(map(str, told.batches)))

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
        if self.forwards and self.begun != clock.iterations:
            self.cut_short()
        if self.forwards == 0:
            self.begun = clock.iterations
            self.metrics.reset()
            self.left, self.finite = self.images, True
        count = bottom[0].data.shape[0] if self.left is None else min(self.left, bottom[0].data.shape[0])
        try:
            self.metrics.add(bottom[0].data[:count], bottom[1].data[:count])
        except NotFiniteError as error:
            self.finite = False
            untrained.hand_on(error)
        if self.left is not None:
            self.left -= count
        self.forwards = (self.forwards + 1) % self.test_iter
        values = self.values() if self.forwards == 0 else [0] * len(top)
        for k in range(len(top)):
            top[k].data[...] = self.test_iter * values[k]

    def values(self):
        """The metrics of the pass. nan if it had scores that were not finite."""
        return list(self.metrics.values().values()) if self.finite else [np.nan] * len(self.metrics.metrics)

    def cut_short(self):
        """A loss of ours was trained since the pass began: the test ended before its last batch."""
        warnings.warn(
            f"MultiLabelMetrics: the last test pass ended after {self.forwards} of {self.test_iter} batches, and its "
            "metrics were not measured; this one begins anew",
            RuntimeWarning,
            stacklevel=2,
        )
        self.forwards = 0

    def backward(self, top, propagate_down, bottom):
        for k in range(len(bottom)):
            if propagate_down[k]:
                bottom[k].diff[...] = 0
