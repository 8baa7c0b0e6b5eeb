"""What all losses share: shapes, ignored labels, weights and Caffe's four normalizers.

    loss = (sum over rows of weight_row * loss_row) / normalizer
    gradient = top diff / normalizer * weight_row * d loss_row / d scores

A row is one position of the axes other than `axis`: an image or, with spatial axes, a pixel.
"""

from contextlib import contextmanager

import numpy as np

from . import labels as read
from .blocks import row_blocks
from .labels import size
from .losses import options as params
from .options import checked

_mean_of_count = None


@contextmanager
def over_ranks(mean_of_count):
    """Inside of it, VALID divides by mean_of_count(count): the mean of this process's count over all processes.

    For a parallel training, in which each process counts its own batch.
    """
    global _mean_of_count
    before, _mean_of_count = _mean_of_count, mean_of_count
    try:
        yield
    finally:
        _mean_of_count = before


class Loss:
    """A loss of scores (N, C, ...) and labels; its options are keyword arguments.

    Calling it gives (loss, gradient). `forward` and `backward` are the same in two steps, and keep
    their buffers for the next call with the same shapes.

    scores   any shape, with the classes on `axis`; float32 or float64, the precision of the arithmetic
    labels   DENSE: one per score. INDEX: K class indices a row, (N, K, ...), padded with -1
    weights  optional, one number in [0, 1e6] a row: multiplies the row's loss and leaves the normalizer

    ValueError, in one line, for shapes and values outside of this and for a loss that is not finite.
    """

    options = ()
    label_limit = params.LIMIT
    has_probabilities = True
    activation = None  # the Caffe layer that makes probabilities of the scores, if they are not probabilities
    sparse = 1 / 16  # with more positives, a block's labels are handled as an array; as fast, about, at this share

    def __init__(self, **given):
        vars(self).update(checked(self.name(), self.options, given))
        self.shapes = self.dtype = None

    @classmethod
    def name(cls):
        return cls.__name__

    def refuse(self, text, *values):
        raise ValueError(f"{self.name()}: {text.format(*values)}")

    def __call__(self, scores, labels, weights=None):
        scores, labels = np.asarray(scores), np.asarray(labels)
        if scores.dtype not in (np.float32, np.float64):
            scores = scores.astype(np.float64)
        if weights is not None:
            weights = np.asarray(weights)
        self.reshape(scores.shape, labels.shape, None if weights is None else weights.shape, scores.dtype)
        loss = self.forward(scores, labels, weights)
        return loss, self.backward(1.0, np.empty(scores.shape, scores.dtype))

    # Shapes

    def reshape(self, scores, labels, weights=None, dtype=np.float32):
        """Check the shapes and lay out the blocks; does nothing while they stay as they are."""
        if (scores, labels, weights) == self.shapes and dtype == self.dtype:
            return
        self.shapes, self.dtype = None, np.dtype(dtype)
        self.outer, self.classes, self.inner = self.canonical(scores)
        self.rows = self.outer * self.inner
        self.batch = scores[0]
        self.slots = self.label_slots(scores, labels)
        if weights is not None and size(weights) != self.rows:
            self.refuse("weights {} for scores {}; give one a row, {} in all", weights, scores, self.rows)
        self.check_class_lists()
        self.blocks = row_blocks((self.outer, self.classes, self.inner), self.dtype.itemsize)
        largest = max([block.stop - block.start for block in self.blocks] + [0])
        *self.scratch, self.unkept = np.empty((4, largest), self.dtype)
        self.kept = None
        self.shapes = (scores, labels, weights)

    def canonical(self, shape):
        """(outer, classes, inner) of the scores' shape."""
        if not -len(shape) <= self.axis < len(shape):
            self.refuse("axis {} for scores {}; give an axis that they have", self.axis, shape)
        axis = self.axis % len(shape)
        if not shape[axis]:
            self.refuse("scores {} have no class on axis {}; give at least one", shape, axis)
        return size(shape[:axis]), shape[axis], size(shape[axis + 1 :])

    def label_slots(self, scores, labels):
        """How many labels a row has: the classes or, with INDEX, K."""
        if self.label_format == "INDEX":
            slots = size(labels) // max(1, self.rows)
            other_batch = self.axis % len(scores) and labels[:1] != scores[:1]
            if size(labels) != slots * self.rows or (self.rows and not slots) or other_batch:
                text = "scores {} and INDEX labels {} do not fit; give K class indices a row, padded with -1"
                self.refuse(text, scores, labels)
            return slots
        same = labels[:1] == scores[:1] or [d for d in labels if d != 1] == [d for d in scores if d != 1]
        if size(scores) != size(labels) or not same:
            self.refuse("scores {} and labels {} differ; both need one value per class", scores, labels)
        return self.classes

    def check_class_lists(self):
        for option in self.options:
            given = np.size(getattr(self, option.name))
            if option in (params.CLASS_WEIGHT, params.POS_WEIGHT) and given not in (1, self.classes):
                text = "{} has {} numbers for {} classes; give one for all or one each"
                self.refuse(text, option.name, given, self.classes)

    # Forward and backward

    def forward(self, scores, labels, weights=None, gradient=True, probabilities=None):
        """The loss of arrays of the shapes that `reshape` was told.

        gradient=False leaves the gradient to `backward`, should it come. `probabilities`, an array of
        the scores' shape, is filled with them.
        """
        self.inputs = scores, labels, weights
        self.ready = gradient
        shape = (self.outer, self.classes, self.inner)
        scores = scores.reshape(shape)
        labels = labels.reshape(self.outer, self.slots, self.inner)
        if weights is not None:
            weights = weights.reshape(self.outer, self.inner)
            self.check_weights(weights)
        if probabilities is not None:
            probabilities = probabilities.reshape(shape)
        if gradient and self.kept is None:
            self.kept = np.empty(scores.size, self.dtype)
        total, valid = 0.0, 0
        with np.errstate(all="ignore"):  # what is not finite is found and named below
            for block in self.blocks:
                found = self.read(labels, block)
                valid += self.count_valid(found)
                here = self.prepared(np.ascontiguousarray(scores[block.view]), found)
                row_weights = None if weights is None else weights[block.rows].ravel()
                total += self.block(here, found, row_weights, self.result(block, gradient), gradient)
                if probabilities is not None:
                    self.probabilities(here, probabilities[block.view])
            self.normalizer = self.divisor(valid)
            loss = total / self.normalizer
            if not np.isfinite(self.dtype.type(loss)):
                self.blame(self.dtype.type(loss))
        return float(loss)

    def backward(self, top_diff, out):
        """Write top_diff times the gradient of the last forward's loss into `out`, and return it."""
        if not self.ready:
            self.forward(*self.inputs)
        scale = self.dtype.type(top_diff / self.normalizer)
        diff = out.reshape(self.outer, self.classes, self.inner)
        for block in self.blocks:
            np.multiply(self.result(block, True), scale, out=diff[block.view])
        return out

    def result(self, block, kept):
        """Where a block's gradient goes: kept for `backward`, or scratch that the next block takes."""
        flat = self.kept[block.start : block.stop] if kept else self.unkept[: block.stop - block.start]
        return flat.reshape(block.shape)

    def prepared(self, scores, labels):
        """The scores of a block as `block` takes them; may refuse them."""
        return scores

    def block(self, scores, labels, weights, out, gradient):
        """The summed loss of one block; its gradient goes into `out`, which is scratch if none is wanted.

        scores and out: (b, classes, j), contiguous; labels: Labels; weights: one a row, or None.
        """
        raise NotImplementedError

    # The normalizer; its units are rows, here, and single scores in the sigmoid family

    def units(self):
        return self.rows

    def batch_size(self):
        return self.outer

    def count_valid(self, labels):
        b, _, j = labels.shape
        return np.count_nonzero(labels.classes_left()) if labels.ignored.size else b * j

    def divisor(self, valid):
        """Caffe's normalizer; never below 1, so that a batch with nothing valid gives 0 and not NaN."""
        if _mean_of_count and self.normalization == "VALID" and self.ignore_label is not None:
            return float(_mean_of_count(valid) or 1)
        of = {"FULL": self.units(), "VALID": valid, "BATCH_SIZE": self.batch_size(), "NONE": 1}
        return float(max(1, of[self.normalization]))

    # Labels, weights, and what may be wrong with them

    def read(self, labels, block):
        """The labels of a block, checked."""
        here = labels[block.view]
        if self.label_format == "INDEX":
            if read.wrong_indices(here, self.ignore_label, self.classes).any():
                self.blame_labels(labels)
            found = read.from_indices(here, block.shape, self.ignore_label, self.sparse, self.dtype)
        else:
            found = read.from_dense(here, self.ignore_label, self.sparse, self.dtype)
        if found.values.size:
            least, most = found.values.min(), found.values.max()
            if not (least >= 0 and most <= self.label_limit):
                self.blame_labels(labels)
            found.all_one = least == most == 1
        return found

    def blame_labels(self, labels):
        if self.label_format == "INDEX":
            wrong = read.wrong_indices(labels, self.ignore_label, self.classes)
            remedy = f"give whole numbers in [0, {self.classes}), or -1 to pad"
            if not wrong.any():  # then a class is given twice where labels are at most 1
                later = np.arange(self.slots)[:, None, None] > np.arange(self.slots)[:, None]
                wrong = ((labels[:, :, None] == labels[:, None]) & later).any(axis=1) & (labels != -1)
                remedy = "give each class of a row once"
        else:
            wrong = read.wrong_dense(labels, self.ignore_label, self.label_limit)
            remedy = f"give numbers in [0, {self.label_limit:g}]"
        self.refuse("{}; {}", self.place("labels", wrong, self.inputs[1]), remedy)

    def check_weights(self, weights):
        wrong = ~((weights >= 0) & (weights <= params.LIMIT))
        if wrong.any():
            self.refuse("{}; give numbers in [0, {:g}]", self.place("weights", wrong, self.inputs[2]), params.LIMIT)

    def place(self, name, wrong, array):
        """'labels[3, 17] is -2.0 (row 3, class 17)' for the first that is wrong."""
        flat = np.flatnonzero(wrong)[0]
        index = ", ".join(str(int(i)) for i in np.unravel_index(flat, array.shape))
        text = f"{name}[{index}] is {array.ravel()[flat]!s}"
        o, rest = divmod(int(flat), size(array.shape) // max(1, self.outer))
        where = f"row {o * self.inner + rest % self.inner}"
        if name == "scores" or (name == "labels" and self.label_format == "DENSE"):
            where += f", class {rest // self.inner}"
        return f"{text} ({where})"

    def blame(self, loss):
        """Say what made the loss infinite or NaN."""
        scores = self.inputs[0]
        wrong = ~np.isfinite(scores)
        if wrong.any():
            self.refuse(
                "the loss is {}: {}; lower base_lr, clip the gradients or look at the layers below",
                loss,
                self.place("scores", wrong, scores),
            )
        largest = np.abs(scores) == np.abs(scores).max()
        self.refuse(
            "the loss is {} in {}: {}, and labels and weights are finite; scale them down",
            loss,
            self.dtype,
            self.place("scores", largest, scores),
        )
