"""Batches of images and labels from a list, decoded ahead of need."""

import os
from collections import namedtuple

import numpy as np

from ..losses.options import LABEL_FORMAT
from ..options import FILE, FLAG, FOLDER, REQUIRED, Domain, Option, at_least, checked, nullable, one_of, whole
from . import lists
from . import transform as transforms
from .feed import Feed, Job
from .order import Order, repeat_factors
from .transform import Transform

Batch = namedtuple("Batch", "data labels weights")
COUNT = at_least(1)


def classes(value):
    return (FILE if isinstance(value, str) else COUNT).convert(value)


def seed(value):
    if not 0 <= whole(value) < 2**32:
        raise ValueError
    return int(value)


OPTIONS = (
    Option("source", REQUIRED, FILE, "The list of images: a .txt, .csv or .jsonl file."),
    Option("batch_size", REQUIRED, COUNT, "Number of images in a batch."),
    Option(
        "classes",
        REQUIRED,
        Domain("a file's name, or a whole number >= 1", classes),
        "A file with one class name in each line. If the labels are indices: the number of classes.",
    ),
    Option(
        "root_folder",
        None,
        nullable(FOLDER),
        "The folder where the paths of the list start. null: the folder of the list.",
    ),
    LABEL_FORMAT,
    Option(
        "max_labels",
        None,
        nullable(COUNT),
        "K, the number of columns of INDEX labels. null: the largest number of labels that an image has.",
    ),
    Option("shuffle", False, FLAG, "Gives each epoch a new order."),
    Option("seed", 0, Domain("a whole number in [0, 2^32)", seed), "Decides all that is random."),
    Option("resample", False, FLAG, "Repeats images with rare labels (square-root resampling)."),
    Option(
        "broken",
        "REFUSE",
        one_of("REFUSE", "SKIP"),
        "If an image cannot be read. REFUSE: ends with an error. SKIP: names it, and takes another image of the batch, "
        "or the next batch.",
    ),
    Option("prefetch", 4, COUNT, "Number of batches that are decoded ahead."),
    Option(
        "workers", None, nullable(COUNT), "Number of processes that decode. null: one for each core, but at most 4."
    ),
    *transforms.OPTIONS,
)


class Batches:
    """Endless batches of the images of a list.

        batches = Batches(train=True, source="train.csv", classes="classes.txt", batch_size=32, crop_size=224)
        data, labels, weights = batches.next()      # 32 x 3 x 224 x 224, 32 x C, 32

    train    whether it is for training: then crops are random, and images augmented
    rank     which solver of `ranks` this is. Each solver has other images (see `order.Order`)
    options  OPTIONS, those of the layer MultiLabelImageData. Its docstring says what comes out

    `position` is the number of images that came so far, with those that were skipped. Set it before the first `next`,
    or after `close`, and the reader goes on from there, as another one of the same options did.

    ValueError or OSError, in one line, for an option or a list that is wrong.
    """

    owner = "MultiLabelImageData"

    def __init__(self, train, *, rank=0, ranks=1, **options):
        values = checked(self.owner, OPTIONS, options)
        vars(self).update(values)
        self.names = lists.read_classes(self.classes) if isinstance(self.classes, str) else None
        self.images = lists.read(self.source, self.names or self.classes)
        self.num_classes = self.images.num_classes()
        self.width = self.label_width()
        self.transform = Transform(train, **{option.name: values[option.name] for option in transforms.OPTIONS})
        if self.root_folder is None:
            self.root_folder = os.path.dirname(os.path.abspath(self.source))
        self.shape = self.transform.shape() or self.first_shape()
        factors = repeat_factors(self.images) if self.resample else None
        self.order = Order(
            len(self.images), shuffle=self.shuffle, seed=self.seed, rank=rank, ranks=ranks, factors=factors
        )
        self.feed, self.position = None, 0

    def refuse(self, text, *values):
        raise ValueError(f"{self.owner}: {self.source} " + text.format(*values))

    def label_width(self):
        """The number of columns of the labels."""
        if self.label_format == "DENSE":
            return self.num_classes
        if (self.images.values != 1).any():
            self.refuse("has label values other than 0 and 1, which INDEX cannot give; use label_format DENSE")
        most = self.images.most_labels()
        if self.max_labels is not None and self.max_labels < most:
            self.refuse("has an image with {} labels; give max_labels as many, or none", most)
        return self.max_labels or max(1, most)

    def first_shape(self):
        """The shape of the first image that can be read. For options that do not say it."""
        for path in self.images.paths:
            try:
                return self.transform(os.path.join(self.root_folder, path)).shape
            except (ValueError, OSError) as error:
                if self.broken == "REFUSE":
                    raise ValueError(f"{self.owner}: {error}; or give broken SKIP") from None
        self.refuse("has no image that can be read")

    def next(self, data=None, labels=None, weights=None):
        """The next Batch. It is written into the arrays, if there are some, else into new ones.

        data     (batch_size, channels, height, width), float32
        labels   DENSE (batch_size, C) or INDEX (batch_size, K), float32
        weights  (batch_size,), float32: 1 if the list has none

        ValueError for an image that cannot be read. RuntimeError if a worker process has died.
        """
        if self.feed is None or not self.feed.close.alive:
            self.order.taken = self.position
            self.feed = self.new_feed()
        data = np.empty((self.batch_size, *self.shape), np.float32) if data is None else data
        images, batches = self.feed.next(data)
        self.position += batches * self.batch_size
        if self.label_format == "DENSE":
            labels = self.images.dense(images, self.width, labels)
        else:
            labels = self.images.indices(images, self.width, labels)
        weights = np.empty(self.batch_size, np.float32) if weights is None else weights
        weights[...] = 1 if self.images.weights is None else self.images.weights[images]
        return Batch(data, labels, weights)

    def start_at(self, image):
        """Go on at an image, counted over all epochs and solvers. Returns its epoch, and its place there."""
        self.close()
        self.position = image // self.order.ranks
        return divmod(image, self.order.length)

    def start_in(self, view):
        """Start at the first image again, with all images in a View, and nothing random but the order."""
        self.close()
        self.transform, self.position = self.transform.seen(view), 0

    def new_feed(self):
        return Feed(
            endless(self.order, self.batch_size, self.root_folder, self.images.paths),
            self.transform,
            shape=(self.batch_size, *self.shape),
            prefetch=self.prefetch,
            workers=self.workers,
            skip=self.broken == "SKIP",
            seed=self.seed,
            epoch=-(-self.order.length // self.batch_size),
            owner=self.owner,
        )

    def close(self):
        """End the worker processes. `next` starts new ones, and goes on with the next image."""
        if self.feed is not None:
            self.feed.close()
            self.feed = None


def endless(order, batch_size, folder, paths):
    """A Job for each batch. It is no method, so that nothing in the Feed holds the Batches that hold the Feed."""
    while True:
        share = order.take(batch_size)
        yield Job(share.images, share.positions, [os.path.join(folder, paths[i]) for i in share.images])
