"""Images with several labels: lists of them, their transformation, and batches decoded ahead of need.

Decoding needs OpenCV (`pip install caffe_losses[data]`); lists do not.
"""

from . import lists
from .batches import OPTIONS, Batches
from .transform import OPTIONS as TRANSFORM_OPTIONS
from .transform import Transform

__all__ = ["OPTIONS", "TRANSFORM_OPTIONS", "Batches", "Transform", "lists"]
