"""Every array that the kernels get ends before a page that may not be touched: one number beyond it is a crash.

All cases run in one child process, which prints each before it runs it.
"""

import ctypes
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

from caffe_losses import kernels, losses
from caffe_losses.kernels import binding

pytestmark = pytest.mark.slow

PAGE = mmap.PAGESIZE
PROT_NONE = 0
SIZES = [(1, 1), (3, 1), (5, 7), (4, 16), (3, 17), (2, 257), (1, 3, 2), (2, 5, 15), (2, 4, 16), (3, 7, 17), (1, 5, 150),
         (2, 3, 259), (1, 1100, 20)]  # fmt: skip
OPTIONS = [
    {},
    {"ignore_label": 0.5, "label_smoothing": 0.1, "class_weight": 2.0, "pos_weight": 3.0},
    {"label_format": "INDEX"},
    {"label_format": "INDEX", "ignore_label": 1, "label_smoothing": 0.1, "class_weight": 2.0},
]


def guarded(shape, dtype=np.float64):
    """Zeros that end where a page begins that may not be touched."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    before = -(-size // PAGE) * PAGE
    memory = mmap.mmap(-1, before + PAGE)
    start = ctypes.addressof((ctypes.c_char * 0).from_buffer(memory))
    if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(start + before), ctypes.c_size_t(PAGE), PROT_NONE):
        raise OSError(ctypes.get_errno(), "mprotect")
    return np.frombuffer(memory, dtype, int(np.prod(shape)), before - size).reshape(shape)


def copy(array, dtype):
    memory = guarded(array.shape, dtype)
    memory[...] = array
    return memory


def inputs(loss, shape, options):
    random = np.random.RandomState(0)
    scores = random.randn(*shape) if loss.has_probabilities else random.rand(*shape)
    if options.get("label_format") != "INDEX":
        return scores, random.choice([0, 1] if issubclass(loss, losses.LogSumExpLoss) else [0, 1, 0.5], shape)
    k = min(3, shape[1])
    labels = random.randint(0, shape[1], (shape[0], 1) + shape[2:]) + np.arange(k).reshape(-1, *[1] * len(shape[2:]))
    return scores, np.where(random.rand(*labels.shape) < 0.3, -1, labels % shape[1])


class Guarded:
    """A stand-in for numpy in the binding: the kernels' own memory is guarded."""

    def __getattr__(self, name):
        return guarded if name == "zeros" else getattr(np, name)


class Kernel(binding.Kernel):
    """Its weights of classes are guarded."""

    def __init__(self, name, dtype, options, fields):
        weights = {field: fields[field] for field in ("class_weight", "pos_weight") if fields[field] is not None}
        super().__init__(name, dtype, options, dict(fields, **{f: copy(w, dtype) for f, w in weights.items()}))


def run(loss, shape, options, dtype):
    names = [option.name for option in loss.options]
    layer = loss(**{name: value for name, value in options.items() if name in names})
    scores, labels = (copy(array, dtype) for array in inputs(loss, shape, options))
    for weighted in (False, True)[: 1 + loss.row_weights]:
        weights = copy(np.ones(scores[:, 0].shape), dtype) if weighted else None
        layer.reshape(scores.shape, labels.shape, weights.shape if weighted else None, dtype)
        layer.forward(scores, labels, weights, losses=guarded(layer.losses_shape, dtype) if weighted else None)
        layer.backward(1.0, guarded(scores.shape, dtype))


def main():
    binding.np, kernels.Kernel = Guarded(), Kernel
    for name in losses.__all__:
        for options in OPTIONS:
            for shape in SIZES:
                for dtype in (np.float32, np.float64):
                    print(name, options, shape, dtype.__name__, flush=True)
                    run(getattr(losses, name), shape, options, dtype)
    print("all", flush=True)


@pytest.mark.parametrize("level", binding.library().levels())
def test_nothing_is_read_or_written_beyond_the_arrays(level):
    child = subprocess.run([sys.executable, __file__], env=dict(os.environ, CAFFE_LOSSES_KERNELS=level),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)  # fmt: skip
    last = child.stdout.splitlines()[-1:]
    assert (child.returncode, last) == (0, ["all"]), child.stderr


if __name__ == "__main__":
    main()
