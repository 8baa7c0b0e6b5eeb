"""The losses in C, for speed. Not needed to run: without them the formulas of `caffe_losses.losses` do the work in numpy."""

from .binding import LANES, Kernel, level, rows_at_once

__all__ = ["LANES", "Kernel", "level", "rows_at_once"]
