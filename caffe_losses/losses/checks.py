"""What may be wrong with the arrays of a loss: said in one line, with the place of the first fault."""

import numbers
import operator

import numpy as np

from ..labels import instead, refuse_masked, repeated_indices, scale_of, size, wrong_dense, wrong_indices
from ..options import shortened
from .options import LIMIT

MOST = 2**47  # numbers: bytes of the largest address space
SAMPLE = 4096  # labels


class NotFiniteError(ValueError):
    """Scores, or what a loss makes of them, are nan or infinite; labels and weights are as they should be."""


class Checks:
    """Mixed into Loss, whose names it uses."""

    def float_type(self, dtype):
        try:
            if np.dtype(dtype) in (np.float32, np.float64):
                return np.dtype(dtype)
        except TypeError:  # none at all
            pass
        return self.refuse("dtype is {}; give np.float32 or np.float64", shortened(dtype))

    def shape_of(self, name, shape):
        """The shape of an array as a tuple of whole numbers."""
        try:
            dims = tuple(map(operator.index, shape))
        except TypeError:
            dims = (-1,)
        if min(dims, default=0) < 0:
            self.refuse("{} {}: expected a shape, whole numbers >= 0; give that of the array", name, shortened(shape))
        if size(dims) > MOST:
            self.refuse("{} {}: {} numbers, more than fit into any memory; give fewer rows", name, dims, size(dims))
        return dims

    def check_array(self, name, array, shape, writable=False):
        """Refuse an array that `reshape` was not told: the kernels would read or write beside it."""
        if isinstance(array, np.ndarray) and array.shape == shape and array.dtype == self.dtype:
            if type(array) is not np.ndarray:
                refuse_masked(self.name(), name, array)
            flags = array.flags  # carray: contiguous, aligned and writable, which most are
            if flags.carray or (flags.c_contiguous and flags.aligned and not writable):
                return
        kind = "C-contiguous, aligned" + " and writable" * writable
        remedy = f"give np.empty({shape}, np.{self.dtype})" if writable else "give such an array, or tell reshape"
        expected = "none" if shape is None else f"{self.dtype} {shape}, {kind}"
        self.refuse("{}: got {}, expected {}; {}", name, layout(array), expected, remedy)

    def check_top_diff(self, top_diff):
        if type(top_diff) is not float and (isinstance(top_diff, bool) or not isinstance(top_diff, numbers.Real)):
            self.refuse("top_diff is {}; give one number, such as top[0].diff.item()", shortened(top_diff))
        if not abs(top_diff) <= self.largest:
            text = "top_diff is {}; give a number that is finite in {}: look at loss_weight, and at the layers above"
            self.refuse(text, top_diff, self.dtype)

    def check_apart(self, name, array):
        """Backward reads the inputs again."""
        if any(given is not None and np.may_share_memory(array, given) for given in self.arrays):
            self.refuse("{}: is written over an input, which backward reads; give an array of its own", name)

    def check_losses(self, losses):
        if not self.row_weights:
            self.refuse("losses of rows; expected none, as the loss is not a sum over rows; leave them out")
        self.check_array("losses", losses, self.losses_shape, writable=True)
        self.check_apart("losses", losses)

    def check_domain(self):
        with np.errstate(invalid="ignore"):  # numpy warned of a NaN once
            self.check_labels()
            self.check_scores()

    def check_scores(self):
        """Refuse scores of infinity and NaN; those of -infinity that make the loss infinite are noticed by that."""
        self.refuse_scores(~(self.arrays[0] <= self.largest))

    def refuse_scores(self, wrong):
        wrong &= self.is_kept()
        if wrong.any():
            self.refuse(
                "the loss is not finite: {}; lower base_lr, clip the gradients or look at the layers below",
                self.place("scores", wrong, self.arrays[0]),
                error=NotFiniteError,
            )

    def is_kept(self):
        """Which scores are not ignored."""
        return ~self.dense(self.arrays[1])[1].reshape(self.shapes[0])

    def check_labels(self):
        """Refuse the first label that is none."""
        labels = self.arrays[1].reshape(self.outer, self.slots, self.inner)
        if self.label_format == "INDEX":
            wrong = wrong_indices(labels, self.ignored_value, self.classes)
            remedy = f"give whole numbers in [0, {self.classes}), or -1 to pad"
        else:
            wrong, remedy = self.wrong_dense(labels)
        if not wrong.any() and self.label_format == "INDEX" and self.label_limit == 1:
            wrong = repeated_indices(labels, self.ignored_value)
            remedy = "give each class of a row once"
        if wrong.any():
            self.refuse("{}; {}", self.place("labels", wrong, self.arrays[1]), remedy)

    def wrong_dense(self, labels):
        wrong = wrong_dense(labels, self.ignored_value, self.label_limit)
        remedy = f"give numbers in [0, {self.label_limit:g}]"
        if wrong.any() and self.label_limit == 1:
            hint = instead(labels[~self.is_ignored(labels)], self.classes)
            remedy += f": {hint}" if hint else ""
        return wrong, remedy

    def check_looks(self):
        """Refuse labels that look like something else. The first batch that has a label tells it for all."""
        labels = self.arrays[1].ravel()
        for some in (labels[:SAMPLE], labels):  # a few tell it, mostly
            if self.ignored_value is not None:
                some = some[some != self.ignored_value]
            largest = float(some.max(initial=0))
            if not largest <= self.label_limit:  # refused by its place
                return
            scale = scale_of(some) if largest < 1 else None
            remedy = instead(some, self.classes) if self.label_limit > 1 else None
            if scale is None and remedy is None and largest > 0:
                self.unsure = False
                return
        if scale is not None and (some == 0).any():
            text = "labels are all 0 or {:g}, as if multiplied like pictures; give 0 and 1, or say soft_labels true"
            self.refuse(text, largest)
        if remedy is not None:
            text = "labels are whole numbers up to {:g}; give {}, label_scale SUM for counts, or say soft_labels true"
            self.refuse(text, largest, remedy)

    def check_weights(self, weights):
        wrong = ~((weights >= 0) & (weights <= LIMIT))
        if wrong.any():
            self.refuse("{}; give numbers in [0, {:g}]", self.place("weights", wrong, weights), LIMIT)

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

    def blame(self):
        """Say what made the loss, in its type, infinite or NaN."""
        self.check_domain()  # a NaN may be a label's
        scores = self.arrays[0]
        self.refuse_scores(np.isneginf(scores))
        size = np.where(self.is_kept(), np.abs(scores), 0)
        self.refuse(
            "the loss is not finite in {}: {}, and labels and weights are finite; scale them down",
            self.dtype,
            self.place("scores", size == size.max(), scores),
            error=NotFiniteError,
        )


def layout(array):
    """'float64 (2, 3), read-only', for an error."""
    if not isinstance(array, np.ndarray):
        return type(array).__name__
    faults = {"not C-contiguous": "c_contiguous", "not aligned": "aligned", "read-only": "writeable"}
    faults = [text for text, flag in faults.items() if not array.flags[flag.upper()]]
    return ", ".join([f"{array.dtype} {array.shape}", *faults])
