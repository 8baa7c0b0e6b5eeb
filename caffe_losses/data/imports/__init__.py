"""Readers of the layouts that known data sets have, for `caffe-losses import`.

coco.py        an instances file of COCO
voc.py         a folder of Pascal VOC
attributes.py  a table with a column for each attribute, as CelebA's
dataset.py     what a reader gives
"""

from .attributes import attributes
from .coco import coco
from .dataset import DIFFICULT, listed
from .voc import voc

__all__ = ["DIFFICULT", "attributes", "coco", "listed", "voc"]
