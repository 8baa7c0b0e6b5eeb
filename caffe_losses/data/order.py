"""Which image comes when: shuffled in each epoch, shared out among solvers, rare labels more often."""

from collections import namedtuple

import numpy as np

# The next images of a solver: their positions in the stream of all solvers, and their numbers in the list
Share = namedtuple("Share", "positions images")


class Order:
    """The order of the images in one solver.

    All solvers follow one endless stream of positions, which goes through epoch after epoch. Solver `rank` of
    `ranks` has the positions rank, rank + ranks, ... So the solvers never have the same image at a time, and
    together they have all images. A batch of B in each of R solvers has the images of a batch of B R in one.

    count    number of images
    shuffle  whether each epoch has its own permutation. `seed` and the epoch decide it
    factors  how often each image is in an epoch, on average (`repeat_factors`). None: once
    """

    def __init__(self, count, *, shuffle=False, seed=0, rank=0, ranks=1, factors=None):
        self.count, self.shuffle, self.seed = count, shuffle, seed
        self.rank, self.ranks, self.taken = rank, ranks, 0
        self.factors = None if factors is None else with_whole_sum(factors)
        self.length = count if factors is None else int(np.round(factors.sum()))
        self.epochs = {}

    def take(self, n):
        """The Share of the next n images."""
        positions = (self.taken + np.arange(n)) * self.ranks + self.rank
        self.taken += n
        epochs, within = np.divmod(positions, self.length)
        images = np.empty(n, np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            at = epochs == epoch
            images[at] = self.epoch(epoch)[within[at]]
        self.epochs = {epoch: self.epochs[epoch] for epoch in self.epochs if epoch >= epochs[-1]}
        return Share(positions, images)

    def epoch(self, epoch):
        """The images of an epoch, in their order."""
        if epoch not in self.epochs:
            self.epochs[epoch] = self.permutation(np.random.RandomState([self.seed, epoch]))
        return self.epochs[epoch]

    def permutation(self, random):
        images = np.arange(self.count)
        if self.factors is not None:
            images = np.repeat(images, systematic(self.factors, random.rand()))
        return images[random.permutation(images.size)] if self.shuffle else images


def with_whole_sum(factors):
    """The factors, scaled so that their sum is a whole number."""
    return factors * (np.round(factors.sum()) / factors.sum())


def systematic(factors, start):
    """Whole numbers whose means are the factors, if `start` is uniform in [0, 1). Their sum is that of the factors."""
    ends = np.cumsum(factors)
    ends[-1] = np.round(ends[-1])
    return np.diff(np.floor(np.append(0, ends) + start)).astype(np.int64)


def repeat_factors(images):
    """How often an epoch has each image of an ImageList, for square-root resampling (Mahajan et al., 2018).

    A label of f images has the factor max(1, sqrt(t / f)), where t is the frequency of the most common label. An
    image has the largest factor of its labels. An image without labels has 1.
    """
    frequencies = images.frequencies()
    factors = np.sqrt(frequencies.max() / np.maximum(frequencies, 1.0)) if frequencies.size else np.ones(0)
    repeats = np.ones(len(images))
    positive = images.values > 0
    rows = np.repeat(np.arange(len(images)), np.diff(images.starts))
    np.maximum.at(repeats, rows[positive], factors[images.index[positive]])
    return repeats


def resampled(images, seed):
    """How often each image of an ImageList is in one epoch of square-root resampling: whole numbers."""
    return systematic(with_whole_sum(repeat_factors(images)), np.random.RandomState(seed).rand())
