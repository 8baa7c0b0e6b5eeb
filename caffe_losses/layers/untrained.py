"""Scores of a TEST phase that are nan or infinite: handed on as nan, as Caffe's own losses do, and said.

By default, Caffe tests before the first iteration. The stored statistics of BatchNorm are 0 then, so that each such
layer multiplies by up to 316. A net with 20 of them gives inf and nan, and nothing is amiss with its training.
"""

import warnings
from typing import Set

import numpy as np

from . import clock

EXPECTED = (
    "Before the first iteration of a training, this is to be expected of a deep net, as the statistics of BatchNorm "
    "are 0 until then; it is gone in the next test. From trained weights, it is a fault"
)
FAULT = "This process has trained. If it was this net, this is a fault: lower base_lr, or look at the layers below"
said: Set[str] = set()


def hand_on(error, top=()):
    """Fill the tops with nan. Say once before the first iteration, and once after it, what was not finite."""
    text = FAULT if clock.iterations else EXPECTED
    if text not in said:
        said.add(text)
        warnings.warn(f"in TEST, {str(error).split(';')[0]}; handed on as nan. {text}", RuntimeWarning, stacklevel=3)
    for k in range(len(top)):
        top[k].data[...] = np.nan
