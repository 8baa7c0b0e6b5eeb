"""The compiled library, called by ctypes: it needs no Python.h, and one build serves every Python and numpy."""

import ctypes
import os
import warnings

import numpy as np

from . import build

LANES = 16  # as in problem.h, like the structures


class Options(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_double)
        for name in (
            "gamma_pos", "gamma_neg", "alpha_pos", "alpha_neg", "clip", "slope_of_focus", "gamma_unannotated",
            "weight_unannotated", "margin", "lamb", "temperature_pos", "temperature_neg"
        )
    ]  # fmt: skip


class Problem(ctypes.Structure):
    _fields_ = (
        [(name, ctypes.c_int64) for name in ("outer", "classes", "inner", "slots")]
        + [(name, ctypes.c_int32) for name in ("loss", "index", "count", "sum", "lanes", "wide", "ignores", "general")]
        + [
            (name, ctypes.c_double)
            for name in ("ignore_label", "label_limit", "label_smoothing", "row_share", "class_share")
        ]
        + [("options", Options)]
        + [(name, ctypes.c_void_p) for name in ("class_weight", "pos_weight", "row", "sums", "scratch")]
    )


class Result(ctypes.Structure):
    _fields_ = [
        ("loss", ctypes.c_double), ("valid", ctypes.c_int64), ("loss_of_classes", ctypes.c_double),
        ("valid_classes", ctypes.c_int64), ("bad_label", ctypes.c_int32), ("bad_score", ctypes.c_int32),
    ]  # fmt: skip


_library = None  # not looked for yet; False: there is none


def library():
    """The compiled library, or None; says once in the log that there is none."""
    global _library
    if _library is None:
        _library = load() or False
    return _library or None


def load():
    reason = "are not compiled"
    if os.path.exists(build.LIBRARY):
        loaded = ctypes.CDLL(build.LIBRARY)
        if ctypes.string_at(loaded.sources) == build.digest().encode():
            return loaded
        reason = "were compiled from other sources"
    warnings.warn(
        f"caffe_losses: the kernels {reason}, so that the losses run in numpy, many times slower; "
        "compile them with python -m caffe_losses.kernels",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def names():
    """The losses that are compiled, in the order of their numbers."""
    return ctypes.string_at(library().names).decode().lower().split()


def level():
    """The best instruction set that this machine has and the library was compiled for: v4, v3 or base; or numpy.

    The environment variable CAFFE_LOSSES_KERNELS sets a lower one: v3, base or numpy.
    """
    highest = os.environ.get("CAFFE_LOSSES_KERNELS", "v4")
    if highest not in ("v4", "v3", "base", "numpy"):
        raise ValueError(f"CAFFE_LOSSES_KERNELS: expected v4, v3, base or numpy, got {highest!r}; unset it")
    if highest == "numpy" or library() is None:
        return "numpy"
    for name in ("v4", "v3"):
        if highest >= name and getattr(library(), "has_" + name)() and hasattr(library(), "forward_float_" + name):
            return name
    return "base"


# An array's memory as an argument, cheaper than array.ctypes; writeable arrays only.
memory_of = (ctypes.c_char * 0).from_buffer


def address(array):
    if array is None:
        return None
    return memory_of(array) if array.flags.writeable else array.ctypes.data


def rows_at_once(classes, index):
    """How many neighbouring rows are handled side by side in forward, and in backward.

    All their classes, or labels made of indices, should stay in a second-level cache. In backward, what is
    written for a class should have left the processor's store buffer when the next class is read, whose address may
    have the same last 12 bits.
    """
    if classes <= 256:
        return 256, 1024
    return LANES, LANES if index else 128


class Kernel:
    """One loss, by its name in C, on arrays of one shape and type. Arrays have to be contiguous, and of that type.

    name     as in losses.h
    dtype    float32 or float64
    options  of the struct Options; what is left out is 0
    fields   of the struct Problem; class_weight and pos_weight are arrays, or None
    numbers  how many are kept from forward to backward
    scratch  how many numbers more are needed
    sums     how many of float64 are
    """

    def __init__(self, name, dtype, options, fields, *, numbers, scratch, sums=0):
        variant = f"_{'float' if dtype == np.float32 else 'double'}_{level()}"
        self._forward, self._backward = (getattr(library(), step + variant) for step in ("forward", "backward"))
        pointer = ctypes.c_void_p
        self._forward.argtypes, self._forward.restype = (pointer,) * 5, None
        self._backward.argtypes, self._backward.restype = (pointer,) * 4 + (ctypes.c_double, pointer), None
        arrays = {name: fields.get(name) for name in ("class_weight", "pos_weight")}
        arrays.update(row=np.zeros(numbers, dtype), scratch=np.zeros(scratch, dtype), sums=np.zeros(sums))
        addresses = {name: None if array is None else array.ctypes.data for name, array in arrays.items()}
        self.kept = arrays
        self.problem = Problem(**dict(fields, loss=names().index(name), options=Options(**options), **addresses))
        self.result = Result()
        self._problem_address, self._result_address = ctypes.addressof(self.problem), ctypes.addressof(self.result)

    def forward(self, scores, labels, weights):
        """(the summed loss, what is not ignored, whether a label or a score is out of its domain)"""
        self._forward(self._problem_address, address(scores), address(labels), address(weights), self._result_address)
        result = self.result
        return result.loss, result.valid, result.bad_label or result.bad_score

    def backward(self, scores, labels, weights, scale, out):
        """Write scale times the gradient of the last forward's loss into `out`."""
        self._backward(self._problem_address, address(scores), address(labels), address(weights), scale, address(out))
