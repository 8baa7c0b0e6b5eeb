"""The one adapter between a loss and Caffe's layer protocol."""

import warnings

import caffe
import numpy as np

from ..losses.checks import NotFiniteError
from ..options import checked, parse
from . import clock, untrained
from .loud import loud


@loud
class LossLayer(caffe.Layer):
    """A `caffe_losses.losses` class as a layer.

    bottom  scores, labels and, optionally, one weight a row; top  the loss and, optionally, the
    probabilities and the losses that it is the sum of. The gradient is that of the loss times top diff, which holds
    loss_weight. Labels and weights are constants: where Caffe asks for their gradient (force_backward), it is 0; so is
    that through the other tops.

    Scores that are not finite, or make no finite loss, are an error in TRAIN. In TEST, each top is nan then, which is
    said once: see `untrained`.
    """

    loss_type = None

    def setup(self, bottom, top):
        name = self.loss_type.name()
        self.loss = self.loss_type(**checked(name, self.loss_type.options, parse(name, self.param_str)))
        if len(bottom) not in (2, 3):
            self.loss.refuse("{} bottoms; give scores, labels and, optionally, weights", len(bottom))
        more = ["probabilities"] * self.loss.has_probabilities + ["losses"] * self.loss.row_weights
        if not 1 <= len(top) <= 1 + len(more):
            self.loss.refuse("{} tops; give the loss and, optionally, the {}", len(top), " and the ".join(more))
        self.more = list(enumerate(more, 1))[: len(top) - 1]
        # A net never exchanges its blobs. Each look into bottom or top, and each view of a blob, costs 0.1 µs or more.
        self.scores, self.labels, self.top = bottom[0], bottom[1], top[0]
        self.weights = bottom[2] if len(bottom) == 3 else None
        self.train = self.phase == caffe.TRAIN
        self.forwards, self.shapes, self.constants = 0, None, None

    def reshape(self, bottom, top):
        scores, labels = self.scores.data, self.labels.data
        weights = self.weights if self.weights is None else self.weights.data
        self.arrays = scores, labels, weights  # a forward comes next, and wants the same
        shapes = scores.shape, labels.shape, weights if weights is None else weights.shape
        if shapes != self.shapes:
            self.shapes = shapes
            self.loss.reshape(*shapes)
            top[0].reshape()
            for k, name in self.more:
                top[k].reshape(*(scores.shape if name == "probabilities" else self.loss.losses_shape))
            self.refuse_in_place(bottom, top)

    def refuse_in_place(self, bottom, top):
        """A top that is a bottom would be written over what backward reads."""
        for k in range(len(top)):
            for j in range(len(bottom)):
                if bottom[j].count and np.may_share_memory(top[k].data, bottom[j].data):
                    self.loss.refuse("top {} is bottom {}; give the top a name of its own", k, j)

    def forward(self, bottom, top):
        scores, labels, weights = self.arrays
        try:
            if self.more:
                more = {name: top[k].data for k, name in self.more}
                self.top.data[...] = self.loss.forward(scores, labels, weights, **more)
            else:
                self.top.data[...] = self.loss.forward(scores, labels, weights)
        except NotFiniteError as error:
            if self.train:
                raise
            untrained.hand_on(error, top)
        if self.train:
            clock.tick()
            self.forwards += 1
            if self.forwards == 2:
                self.warn_without_loss_weight(top)

    def backward(self, top, propagate_down, bottom):
        if self.constants is None:  # of a net, propagate_down is always the same
            self.learns = bool(propagate_down[0])
            self.constants = [bottom[k] for k in range(1, len(bottom)) if propagate_down[k]]
        if self.learns:
            self.loss.backward(self.top.diff.item(), self.scores.diff)
        for blob in self.constants:
            blob.diff[...] = 0

    def warn_without_loss_weight(self, top):
        """Caffe prunes a Python loss that has no loss_weight, and then the net silently never trains.

        Seen at the second forward: by then, a layer that consumes the loss has written its diff.
        """
        if top[0].diff.flat[0] == 0:
            warnings.warn(
                f"{self.loss.name()}: the top diff is 0 in the TRAIN phase, so that nothing is learnt from "
                "this loss; add loss_weight: 1 to its layer",
                RuntimeWarning,
                stacklevel=2,
            )


def layer_of(loss):
    """The Caffe layer of a class of losses, for the `layer` of a python_param.

    In a module of your own, which Caffe has to find on PYTHONPATH, `MyLossLayer = layer_of(MyLoss)` is enough.
    """
    return type(loss.name(), (LossLayer,), {"__doc__": loss.__doc__, "loss_type": loss})
