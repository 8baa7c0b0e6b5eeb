"""The losses in C, for speed. They are not needed: without them the formulas in `caffe_losses.losses` run in numpy."""

from .binding import Kernel, level

__all__ = ["Kernel", "level"]
