"""The losses, numpy in and numpy out: each a class whose instances are called as loss(scores, labels).

BinaryLoss, DistributionLoss and LogSumExpLoss are what a loss of your own is derived from. A class with a `summary` in
a file of this folder is a loss of the package: it needs no line here.
"""

from importlib import import_module
from pkgutil import iter_modules

from . import log_sum_exp, sigmoid, softmax
from .log_sum_exp import LogSumExpLoss
from .sigmoid import BinaryLoss
from .softmax import DistributionLoss

FAMILIES = {"softmax family": DistributionLoss, "sigmoid family": BinaryLoss, "ranking family": LogSumExpLoss}


def of_module(module):
    """{name: class} of the losses that are defined there."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and vars(value).get("summary")
    }


modules = softmax, sigmoid, log_sum_exp, *(import_module("." + m.name, __name__) for m in iter_modules(__path__))
classes = {name: loss for module in modules for name, loss in of_module(module).items()}
globals().update(classes)
__all__ = list(classes)
