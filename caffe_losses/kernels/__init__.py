"""The losses in C, for speed. Not needed to run: without them the formulas of `caffe_losses.losses` do the work in numpy."""

from .binding import LANES, SMALL, WIDE, Kernel, level

__all__ = ["LANES", "SMALL", "WIDE", "Kernel", "level"]
