"""The compiled library, called by ctypes: it needs no Python.h, and one build serves every Python and numpy.

The library says of itself which losses it has, which options they read, and what its structures look like.
"""

import ctypes
import os
import warnings

import numpy as np

from . import build

TYPES = {
    "int64_t": ctypes.c_int64, "int32_t": ctypes.c_int32, "double": ctypes.c_double, "address": ctypes.c_void_p
}  # fmt: skip
POINTER, c_double = ctypes.c_void_p, ctypes.c_double


class Library:
    """The functions of a loaded library, and what it says of itself.

    losses           {name: names of the options that it reads}, in the order of their numbers
    options          all of these options
    Problem, Result  the structures, whose fields are those of problem.h
    """

    def __init__(self, path):
        if not build.is_ours(path):
            raise OSError("were compiled from other sources, or are damaged")
        self.loaded = ctypes.CDLL(path)
        self.losses = {name: reads for name, *reads in map(str.split, self.text("losses").splitlines())}
        self.Problem, self.Result = self.structure("problem"), self.structure("result")
        self.options = {option for reads in self.losses.values() for option in reads}
        unknown = self.options - set(names(self.Problem))
        if unknown:
            raise OSError(
                f"have losses that read {', '.join(sorted(unknown))}, which OPTIONS in losses.h does not have"
            )

    def text(self, name):
        return ctypes.string_at(getattr(self.loaded, name)).decode()

    def structure(self, name):
        fields = [line.split() for line in self.text(name).splitlines()]
        made = type(name, (ctypes.Structure,), {"_fields_": [(field, TYPES[kind]) for kind, field in fields]})
        size = ctypes.c_int64.in_dll(self.loaded, name + "_size").value
        if ctypes.sizeof(made) != size:
            raise OSError(f"have a structure {name} of {size} bytes, where Python makes one of {ctypes.sizeof(made)}")
        return made

    def levels(self):
        """The instruction sets that this machine has and the library was compiled for, the best first."""
        known = [name for name in ("v4", "v3") if getattr(self.loaded, "has_" + name)()]
        return [name for name in (*known, "base") if hasattr(self.loaded, "forward_float_" + name)]

    def function(self, name, variant, result):
        """One that takes ctypes' own objects and None: without argtypes, a call costs a third less."""
        function = getattr(self.loaded, name + variant)
        function.restype = result
        return function


def names(structure):
    return [name for name, _ in structure._fields_]


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
        try:
            return Library(build.LIBRARY)
        except (OSError, AttributeError, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0]
            if not reason.startswith(("were ", "have ")):
                reason = f"cannot be loaded ({reason})"
    warnings.warn(
        f"caffe_losses: the kernels {reason}, so that the losses run in numpy, many times slower; "
        "compile them with python -m caffe_losses.kernels",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def level():
    """The best instruction set that this machine has and the library was compiled for: v4, v3 or base; or numpy.

    The environment variable CAFFE_LOSSES_KERNELS sets a lower one: v3, base or numpy.
    """
    highest = os.environ.get("CAFFE_LOSSES_KERNELS", "v4")
    if highest not in ("v4", "v3", "base", "numpy"):
        raise ValueError(f"CAFFE_LOSSES_KERNELS: expected v4, v3, base or numpy, got {highest!r}; unset it")
    if highest == "numpy" or library() is None:
        return "numpy"
    return next(name for name in library().levels() if name == "base" or name <= highest)


memory_of = (ctypes.c_char * 0).from_buffer  # of an array that can be written to; cheaper than array.ctypes


def address(array):
    """An array's memory, as an argument."""
    return memory_of(array) if array.flags.writeable else POINTER(array.ctypes.data)


def exactly(what, expected, got):
    """Refuse names that are not the expected ones: ctypes would take them without a word."""
    if set(expected) != set(got):
        missing, unknown = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
        parts = [f"{word} {', '.join(names)}" for word, names in (("without", missing), ("with", unknown)) if names]
        raise ValueError(f"caffe_losses: {what} {' and '.join(parts)}; it reads {', '.join(expected) or 'none'}")


class Kernel:
    """One loss, by its name in losses.h, on arrays of one shape and type. Arrays have to be contiguous, of that type.

    dtype    float32 or float64
    options  {name: number}, all that the loss reads
    fields   of the structure Problem, but for the loss and the memory; class_weight and pos_weight are arrays, or None
    """

    def __init__(self, name, dtype, options, fields):
        of = library()
        if name not in of.losses:
            raise ValueError(f"caffe_losses: no kernel is called {name!r}; losses.h has {', '.join(of.losses)}")
        exactly(f"kernel {name} has options", of.losses[name], options)
        all_fields = dict(fields, loss=list(of.losses).index(name), memory=None)
        exactly("a problem has fields", [field for field in names(of.Problem) if field not in of.options], all_fields)
        arrays = {field: all_fields[field] for field in ("class_weight", "pos_weight")}
        all_fields.update((field, None if a is None else a.ctypes.data) for field, a in arrays.items())
        self.problem, self.result = of.Problem(**all_fields, **options), of.Result()
        self._problem, self._result = ctypes.byref(self.problem), ctypes.byref(self.result)
        self._scale = c_double()
        variant = f"_{'float' if dtype == np.float32 else 'double'}_{level()}"
        self._forward, self._backward = (of.function(step, variant, None) for step in ("forward", "backward"))
        memory = np.zeros(of.function("memory_of", variant, ctypes.c_int64)(self._problem), dtype)
        self.problem.memory = memory.ctypes.data
        self.kept = arrays, memory

    def forward(self, scores, labels, weights, losses=None):
        """(the summed loss, what is not ignored, whether a label or a score is out of its domain)

        losses  filled with the loss of each row or, of independent labels, of each score; or None
        """
        try:
            scores, labels = memory_of(scores), memory_of(labels)
        except TypeError:
            scores, labels = address(scores), address(labels)
        weights = weights if weights is None else address(weights)
        losses = losses if losses is None else memory_of(losses)
        self._arrays = scores, labels, weights
        self._forward(self._problem, scores, labels, weights, losses, self._result)
        result = self.result
        return result.loss, result.valid, result.wrong

    def backward(self, scale, out):
        """Write scale times the gradient of the last forward's loss into `out`; its arrays have to be there still."""
        scores, labels, weights = self._arrays
        self._scale.value = scale
        self._backward(self._problem, scores, labels, weights, self._scale, memory_of(out))
