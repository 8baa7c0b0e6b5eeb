"""What all losses share: shapes, labels, ignored labels, weights and Caffe's four normalizers.

    loss = (sum over rows of weight_row * loss_row) / normalizer
    gradient = top diff / normalizer * weight_row * d loss_row / d scores

A row is one position of the axes other than `axis`: an image or, with spatial axes, a pixel. Arrays are seen as
(outer, classes, inner): the axes before that of the classes, the classes, and the axes after it.
"""

import math
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional, Sequence, Tuple

import numpy as np

from .. import kernels
from ..labels import ROUNDING, looks_dense, numbers_of, same_layout, size
from ..options import Option, checked
from . import describe
from .checks import Checks
from .options import LIMIT, REDUCTION

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NO_FIELDS = {
    "count": 0, "sum": 0, "unannotated": 0, "of_classes": 0, "label_smoothing": 0, "row_share": 1, "class_share": 1,
    "class_weight": None, "pos_weight": None,
}  # fmt: skip

_mean_of_count = None


@contextmanager
def over_ranks(mean_of_count):
    """In a parallel training: normalizers count what is not ignored on all ranks; mean_of_count(n) gives their mean."""
    global _mean_of_count
    before, _mean_of_count = _mean_of_count, mean_of_count
    try:
        yield
    finally:
        _mean_of_count = before


def mean_over_ranks(count):
    """The mean of all ranks' counts, each of which calls this; outside of `over_ranks` the count itself."""
    return _mean_of_count(count) if _mean_of_count else count


class Loss(Checks):
    """A loss of scores (N, C, ...) and labels; its options are keyword arguments.

    Calling it gives (loss, gradient). `reshape`, `forward` and `backward` are the same in three steps, of C-contiguous
    arrays of one type. Between a forward and its backward the arrays must stay as they are: both read them.

    scores   any shape, with the classes on `axis`; float32 or float64, the precision of the arithmetic
    labels   DENSE: one per score. INDEX: K class indices a row, (N, K, ...), padded with -1
    weights  optional, one number in [0, 1e6] a row: multiplies the row's loss and leaves the normalizer

    ValueError, in one line, for shapes and values outside of this and for a loss that is not finite.

    A loss of your own is a subclass of `DistributionLoss` or `BinaryLoss` with its formula in numpy. What computes is
    the kernel, the same formula in C, if the class itself (not one that it is derived from) names one in
    `kernel`, and else the formula.
    """

    options: Tuple[Option, ...] = ()
    of_calls: Tuple[Option, ...] = (REDUCTION,)  # more of them, which a layer has not
    label_limit: float = LIMIT
    labels_are: str = "a number in [0, 1e6]"
    has_probabilities: bool = True
    soft_labels: bool = True  # of a loss without this option, other checks say what is wrong
    row_weights: bool = True  # whether rows may have weights
    activation: Optional[str] = None  # the Caffe layer that makes probabilities of the scores, if they are none
    kernel: Optional[str] = None
    summary: Optional[str] = None  # of a loss that is ready to use: the loss of a row, in a line of Markdown
    scores_are: str = "scores"
    reduction: str = "normalized"
    axis: int
    label_format: str
    ignore_label: Optional[float]
    normalization: str
    locks: Any
    probabilities: Any

    def __init__(*only_self, **options):  # an option may not be called self, and is refused by name
        self, *others = only_self
        if others:
            raise TypeError(f"{self.name()}: expected options by name, got {len(others)} without; give e.g. axis=1")
        self.__setstate__(checked(self.name(), self.options + self.of_calls, options))

    def __getstate__(self):
        """The options are all that a copy takes: it has memory of its own."""
        return {option.name: getattr(self, option.name) for option in self.options + self.of_calls}

    def __setstate__(self, options):
        vars(self).update(options)
        self.shapes = self.dtype = self.normalizer = self.gradient = None
        self.unsure = self.looks_matter()  # what the labels are, until a batch tells it
        self.locks = {}  # of __call__, by process: one that was forked has nobody who would release its parent's

    def __init_subclass__(cls: Any, **kwargs: Any) -> None:
        """Signature and docstring of a subclass show its options."""
        super().__init_subclass__(**kwargs)
        cls.__signature__ = None if "__init__" in vars(cls) else describe.signature(cls)
        if cls.summary and vars(cls).get("__doc__"):
            cls._about, cls.__doc__ = cls.__doc__, describe.docstring(cls)

    @classmethod
    def name(cls) -> str:
        return cls.__name__

    def refuse(self, text, *values, error=ValueError):
        raise error(f"{self.name()}: {text.format(*values)}")

    def __call__(
        self, scores: "ArrayLike", labels: "ArrayLike", weights: "Optional[ArrayLike]" = None
    ) -> Tuple[Any, np.ndarray]:
        scores = numbers_of(self.name(), "scores", scores)
        dtype = scores.dtype if scores.dtype in (np.float32, np.float64) else np.dtype(np.float64)
        scores, labels = plain(scores, dtype), plain(numbers_of(self.name(), "labels", labels), dtype)
        if weights is not None:
            weights = plain(numbers_of(self.name(), "weights", weights), dtype)
        with self.locks.setdefault(os.getpid(), threading.Lock()):  # what a forward keeps for its backward is in self
            self.reshape(scores.shape, labels.shape, None if weights is None else weights.shape, dtype)
            losses = np.empty(self.losses_shape, dtype) if self.reduction == "none" else None
            loss = self.forward(scores, labels, weights, losses=losses)
            if losses is not None:
                loss, self.normalizer = losses, 1.0
            return loss, self.backward(1.0, np.empty(scores.shape, dtype))

    def looks_matter(self):
        """Whether labels are refused that look like something else."""
        return self.label_format == "DENSE" and not self.soft_labels

    # Shapes

    def reshape(
        self,
        scores: Sequence[int],
        labels: Sequence[int],
        weights: Optional[Sequence[int]] = None,
        dtype: Any = np.float32,
    ) -> None:
        """Check the shapes; does nothing while they stay as they are."""
        if (scores, labels, weights) == self.shapes and dtype == self.dtype:
            return
        self.shapes = self.normalizer = None
        self.dtype = self.float_type(dtype)
        scores, labels = self.shape_of("scores", scores), self.shape_of("labels", labels)
        weights = None if weights is None else self.shape_of("weights", weights)
        self.largest = float(np.finfo(self.dtype).max)
        self.outer, self.classes, self.inner = self.canonical(scores)
        self.shape = self.outer, self.classes, self.inner
        self.rows = self.outer * self.inner
        self.batch = scores[0]
        self.slots = self.label_slots(scores, labels)
        rows = list(self.axes)
        del rows[self.axis]
        if weights is not None and not self.row_weights:
            self.refuse("weights {}; expected none, as the loss is not a sum over rows; leave them out", weights)
        if weights is not None and (size(weights) != self.rows or not same_layout(weights, rows)):
            self.refuse("weights {} for scores {}; give one a row, {} in all", weights, scores, self.rows)
        self.check_options()
        self.ignored_value = rounded(self.ignore_label, self.dtype)
        sizes = {"FULL": self.units(), "BATCH_SIZE": self.batch_size()}
        self.fixed_divisor = float(max(1, sizes.get(self.normalization, 1)))
        self.losses_shape = self.shape_of_losses(scores)
        self.may_be_dense = self.label_format == "INDEX" and self.slots == self.classes
        try:
            self.compiled = self.compile()
        except MemoryError:
            raise MemoryError(f"{self.name()}: no memory left for scores {scores}; give fewer rows") from None
        self.shapes = scores, labels, weights

    def canonical(self, shape):
        """(outer, classes, inner) of the scores' shape."""
        if not -len(shape) <= self.axis < len(shape):
            self.refuse("axis {} for scores {}; give an axis that they have", self.axis, shape)
        self.axes, axis = shape, self.axis % len(shape)
        if not shape[axis]:
            self.refuse("scores {} have no class on axis {}; give at least one", shape, axis)
        return size(shape[:axis]), shape[axis], size(shape[axis + 1 :])

    def label_slots(self, scores, labels):
        """How many labels a row has: the classes or, with INDEX, K."""
        if self.label_format == "INDEX":
            slots = size(labels) // max(1, self.rows)
            expected = list(self.axes)
            expected[self.axis] = slots
            fits = same_layout(labels, expected) if self.rows else not size(labels)
            if (self.rows and not slots) or not fits:
                text = "scores {} and INDEX labels {} do not fit; give K class indices a row, padded with -1"
                self.refuse(text, scores, labels)
            if self.dtype == np.float32 and self.classes > 2**24:
                self.refuse("scores {}: float32 indices are whole only up to 2^24; give DENSE labels", scores)
            return slots
        if size(scores) != size(labels) or not same_layout(labels, scores):
            self.refuse("scores {} and labels {} differ; both need one value per class", scores, labels)
        return self.classes

    def check_options(self):
        """Refuse options that do not fit the shapes, or each other."""
        for name in ("class_weight", "pos_weight"):
            count = np.size(getattr(self, name, None))
            if count not in (1, self.classes):
                text = "{} has {} numbers for {} classes; give one for all or one each"
                self.refuse(text, name, count, self.classes)

    def of_class(self, name, default=None):
        """class_weight or pos_weight as one number a class."""
        value = getattr(self, name, None)
        return default if value is None else np.resize(value, self.classes)

    # Forward and backward

    def forward(
        self,
        scores: np.ndarray,
        labels: np.ndarray,
        weights: Optional[np.ndarray] = None,
        probabilities: Optional[np.ndarray] = None,
        losses: Optional[np.ndarray] = None,
    ) -> Any:
        """The loss of arrays of the shapes and the type that `reshape` was told.

        `probabilities`, an array of the scores' shape, is filled with them, and `losses`, of the shape `losses_shape`,
        with the losses that are summed: of each row or, of independent labels, of each score.
        """
        self.normalizer = None  # no backward, if this is refused
        shapes = self.shapes
        if shapes is None:
            self.refuse("forward has no reshape that it belongs to; call reshape first, with the arrays' shapes")
        self.arrays = scores, labels, weights
        self.check_array("scores", scores, shapes[0])
        self.check_array("labels", labels, shapes[1])
        if weights is not shapes[2]:  # both None
            self.check_array("weights", weights, shapes[2])
            self.check_weights(weights)
        if probabilities is not None:
            self.check_array("probabilities", probabilities, shapes[0], writable=True)
            self.check_apart("probabilities", probabilities)
        if losses is not None:
            self.check_losses(losses)
        if self.may_be_dense and looks_dense(labels, self.classes):
            self.refuse("labels {} are a 0 or a 1 for each class; give label_format DENSE", labels.shape)
        self.gradient = None
        if self.unsure:
            self.check_looks()
        total, valid = self.by_kernel(losses) if self.compiled else self.by_formula(losses)
        self.normalizer = normalizer = self.divisor(valid)
        loss = total / normalizer
        if not abs(loss) <= self.largest:  # a NaN is not
            self.blame()
        if probabilities is not None:
            with np.errstate(all="ignore"):
                self.probabilities(scores.reshape(self.shape), probabilities.reshape(self.shape))
        return loss

    def backward(self, top_diff: float, out: np.ndarray) -> np.ndarray:
        """Write top_diff times the gradient of the last forward's loss into `out`, and return it."""
        if self.normalizer is None:
            self.refuse("backward has no forward that it belongs to; call forward first, of the same shapes")
        self.check_array("out", out, self.shapes[0], writable=True)
        self.check_top_diff(top_diff)
        scale = top_diff / self.normalizer
        if self.gradient is None:
            self.compiled.backward(scale, out)
        else:
            np.multiply(self.gradient.reshape(out.shape), scale, out=out, casting="same_kind")
        return out

    def by_kernel(self, losses):
        """(the summed loss, the units that are not ignored)"""
        scores, labels, weights = self.arrays
        total, valid, wrong = self.compiled.forward(scores, labels, weights, losses)
        if wrong:
            self.check_domain()
        return (total, valid) if math.isfinite(total) else self.by_formula(losses)

    def by_formula(self, losses):
        """The same, and the gradient of the sum: in float64, which holds what a float32 loss may be the mean of."""
        self.check_domain()
        scores, labels, weights = (None if a is None else a.astype(np.float64) for a in self.arrays)
        labels, ignored = self.dense(labels)
        weights = self.weights_of(weights)
        with np.errstate(all="ignore"):  # what is not finite is named by `blame`
            scores = np.where(ignored, self.ignored_score, scores.reshape(self.shape))
            loss, gradient = self.formula(scores, labels, ignored)
            self.gradient = np.where(ignored, 0, weights * gradient)
            loss = weights * loss
            finite = (np.abs(self.gradient) <= self.largest).all()
            if losses is not None:
                losses[...] = loss.reshape(losses.shape)
                finite = finite and np.isfinite(losses).all()
            return float(loss.sum()) if finite else np.nan, self.count_valid(ignored)

    def weights_of(self, weights):
        """What the losses that `formula` gives are multiplied by."""
        return 1.0 if weights is None else weights.reshape(self.outer, 1, self.inner)

    ignored_score = -np.inf  # one that adds nothing, neither to a sum of exponentials nor where the label is 0

    def formula(self, scores, labels, ignored):
        """(loss, its derivative in each score), of float64 arrays (outer, classes, inner).

        The loss is that of each row or of each score: an array (outer, 1 or classes, inner). Labels are 0 where
        they are `ignored`, and the gradient does not matter there.
        """
        raise NotImplementedError

    def dense(self, labels):
        """(labels, 0 where ignored; a mask of what is ignored), one a score, of labels in either format."""
        labels = labels.reshape(self.outer, self.slots, self.inner)
        if self.label_format == "DENSE":
            ignored = self.is_ignored(labels)
            return np.where(ignored, 0, labels), ignored
        passed = self.is_ignored(labels)
        positive = (labels != -1) & ~passed
        counts = np.zeros(self.shape)
        for slot, there in zip(np.moveaxis(labels, 1, 0), np.moveaxis(positive, 1, 0)):
            rows, places = np.nonzero(there)
            counts[rows, slot[there].astype(np.intp), places] += 1
        whole_rows = passed.any(axis=1, keepdims=True) & ~positive.any(axis=1, keepdims=True)
        return counts, np.broadcast_to(whole_rows, self.shape)

    def is_ignored(self, labels):
        return np.zeros(labels.shape, bool) if self.ignored_value is None else labels == self.ignored_value

    # The kernel

    def compile(self):
        """The kernel for the present shapes and type; None if this class has none, or nothing is compiled."""
        if "kernel" not in vars(type(self)) or kernels.level() == "numpy":
            return None
        name, options = self.kernel_options()
        fields = dict(zip(("outer", "classes", "inner", "slots"), (*self.shape, self.slots)))
        fields.update(index=self.label_format == "INDEX", label_limit=self.label_limit * ROUNDING)
        fields.update(ignores=self.ignored_value is not None, ignore_label=self.ignored_value or 0)
        fields.update(zip(("lowest", "highest"), self.score_limits()))
        fields.update(dict(NO_FIELDS, **self.kernel_fields()))
        return kernels.Kernel(name, self.dtype, options, fields)

    def kernel_options(self):
        """(the kernel's name, its options)"""
        return self.kernel, {}

    def kernel_fields(self):
        """What a family, or a loss, has to say in the kernel's Problem: what is not as in NO_FIELDS."""
        weights = {name: self.of_class(name) for name in ("class_weight", "pos_weight")}
        return {name: None if w is None else w.ravel().astype(self.dtype) for name, w in weights.items()}

    def score_limits(self):
        """The scores that are not refused; a NaN is, and one that would make no finite loss is noticed by that."""
        return -np.inf, self.largest

    # The normalizer; its units are rows, here, and single scores in the sigmoid family

    def units(self):
        return self.rows

    def batch_size(self):
        return self.outer

    def shape_of_losses(self, scores):
        """The shape of one loss a unit: that of the scores, without the classes."""
        axis = self.axis % len(scores)
        return scores[:axis] + scores[axis + 1 :]

    def count_valid(self, ignored):
        return np.count_nonzero(~ignored.all(axis=1))

    def divisor(self, valid):
        """Caffe's normalizer; never below 1, so that a batch with nothing valid gives 0 and not NaN."""
        if self.normalization != "VALID":
            return self.fixed_divisor
        return float((valid if self.ignore_label is None else mean_over_ranks(valid)) or 1)


def plain(array, dtype) -> np.ndarray:
    """The array as `forward` takes it; a copy only if it has to be."""
    array = np.asarray(array, dtype, order="C")
    return array if array.flags.aligned else array.copy()


def rounded(value, dtype):
    """ignore_label as a label of this type has it: 0.1 is another number in float32. None if no label can be it."""
    if value is None:
        return None
    with np.errstate(over="ignore"):
        of_type = float(dtype.type(value))
    return of_type if np.isfinite(of_type) and (of_type == 0) == (value == 0) else None
