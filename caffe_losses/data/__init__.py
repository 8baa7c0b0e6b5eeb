"""Images with several labels, from a list to batches.

lists.py      reads and writes lists of images with their labels
imports/      lists of known layouts: COCO, VOC, tables of attributes
findings.py   what is odd about a list and its images
split.py      a part to train with and one to test with
order.py      which image comes when
decode.py     from an image file to its pixels
augment.py    changes of the pixels at random, for training
transform.py  and to the array that a net takes
feed.py       decodes batches ahead, in worker processes (worker.py)
batches.py    all of it together, as the data layer uses it

Decoding needs OpenCV (`pip install caffe_losses[data]`). Lists do not.
"""

from . import lists
from .augment import LEVELS, with_level
from .batches import OPTIONS, Batches
from .feed import close_workers
from .transform import CORNERS, MIDDLE, Transform
from .transform import OPTIONS as TRANSFORM_OPTIONS

__all__ = [
    "CORNERS",
    "LEVELS",
    "MIDDLE",
    "OPTIONS",
    "TRANSFORM_OPTIONS",
    "Batches",
    "Transform",
    "close_workers",
    "lists",
    "with_level",
]
