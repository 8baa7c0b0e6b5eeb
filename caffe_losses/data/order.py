"""Which image comes when: shuffled by epochs, dealt out to solvers, rare labels more often."""

import numpy as np


class Order:
    """The order of the images in one solver.

    All solvers follow one endless stream of positions, which counts through epochs; solver `rank` of
    `ranks` has the positions rank, rank + ranks, ... So the solvers have different images at any time, have
    all images together, and a batch of B in each of R solvers has the images of a batch of B R in one.

    count    number of images
    shuffle  a permutation each epoch, which `seed` and the epoch decide
    factors  how often each image is in an epoch, on average (`repeat_factors`); None: once
    """

    def __init__(self, count, shuffle=False, seed=0, rank=0, ranks=1, factors=None):
        self.count, self.shuffle, self.seed = count, shuffle, seed
        self.rank, self.ranks, self.taken = rank, ranks, 0
        self.factors = None if factors is None else factors * (np.round(factors.sum()) / factors.sum())
        self.length = count if factors is None else int(np.round(factors.sum()))
        self.epochs = {}

    def take(self, n):
        """(positions, images) of the next n."""
        positions = (self.taken + np.arange(n)) * self.ranks + self.rank
        self.taken += n
        epochs, within = np.divmod(positions, self.length)
        images = np.empty(n, np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            at = epochs == epoch
            images[at] = self.epoch(epoch)[within[at]]
        self.epochs = {epoch: self.epochs[epoch] for epoch in self.epochs if epoch >= epochs[-1]}
        return positions, images

    def epoch(self, epoch):
        """The images of an epoch, in their order."""
        if epoch not in self.epochs:
            self.epochs[epoch] = self.drawn(np.random.RandomState([self.seed, epoch]))
        return self.epochs[epoch]

    def drawn(self, random):
        images = np.arange(self.count)
        if self.factors is not None:
            images = np.repeat(images, systematic(self.factors, random.rand()))
        return images[random.permutation(images.size)] if self.shuffle else images


def systematic(factors, start):
    """Whole numbers with these means, over a start that is uniform in [0, 1); their sum is the factors', rounded."""
    ends = np.cumsum(factors)
    ends[-1] = np.round(ends[-1])
    return np.diff(np.floor(np.append(0, ends) + start)).astype(np.int64)


def repeat_factors(images):
    """How often each image of an ImageList is to be seen, so that a label's frequency becomes its square root.

    A label in f images has the factor r = max(1, sqrt(t / f)), t the frequency of the most common one, and an
    image the largest of its labels' (Mahajan et al., 2018, with t as reference); one without labels has 1.
    """
    frequencies = images.frequencies()
    factors = np.sqrt(frequencies.max() / np.maximum(frequencies, 1.0)) if frequencies.size else np.ones(0)
    repeats = np.ones(len(images))
    positive = images.values > 0
    rows = np.repeat(np.arange(len(images)), np.diff(images.starts))
    np.maximum.at(repeats, rows[positive], factors[images.index[positive]])
    return repeats
