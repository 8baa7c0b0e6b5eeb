"""The losses in C, for speed. They are not needed: without them the formulas in `caffe_losses.losses` run in numpy."""

from .binding import LANES, Kernel, level, rows_at_once

__all__ = ["LANES", "Kernel", "level", "rows_at_once"]
