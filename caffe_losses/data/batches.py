"""Batches of images and labels from a list, decoded ahead of need."""

import os

import numpy as np

from .. import params
from ..params import FLAG, LABEL_FORMAT, Option, nullable, one_of
from . import lists
from . import transform as transforms
from .feed import Feed
from .order import Order, repeat_factors
from .transform import NAME, Transform


def classes(value):
    return COUNT[1](value) if not isinstance(value, str) else transforms.name(value)


def seed(value):
    if not 0 <= params.whole(value) < 2**32:
        raise ValueError
    return int(value)


COUNT = params.at_least(1)
OPTIONS = (
    Option("source", None, *NAME, meaning="the list of images: .txt, .csv or .jsonl"),
    Option("batch_size", None, *COUNT, meaning="images in a batch"),
    Option(
        "classes", None, "a file's name, or a whole number >= 1", classes,
        meaning="the file with one class name a line, or how many classes there are, if labels are indices"
    ),
    Option(
        "root_folder", None, *nullable(("a folder's name", transforms.name)),
        meaning="where the paths of the list start; null: the list's folder"
    ),
    LABEL_FORMAT,
    Option(
        "max_labels", None, *nullable(COUNT),
        meaning="K, the columns of INDEX labels; null: as many as the image with most labels has"
    ),
    Option("shuffle", False, *FLAG, meaning="a new order each epoch"),
    Option("seed", 0, "a whole number in [0, 2^32)", seed, meaning="decides order, crops and mirrors"),
    Option(
        "resample", False, *FLAG, meaning="repeats images with rare labels: square-root resampling"
    ),
    Option(
        "broken", "REFUSE", *one_of("REFUSE", "SKIP"),
        meaning="at an image that cannot be read, ends; or names it and takes another of the batch"
    ),
    Option("prefetch", 4, *COUNT, meaning="batches to be ready ahead of need"),
    Option("workers", None, *nullable(COUNT), meaning="processes that decode; null: one a core, at most 4"),
    *transforms.OPTIONS,
)  # fmt: skip
REQUIRED = "source", "batch_size", "classes"


class Batches:
    """Endless batches of a list's images.

        batches = Batches(train=True, source="train.csv", classes="classes.txt", batch_size=32, crop_size=224)
        data, labels, weights = batches.next()      # 32 x 3 x 224 x 224, 32 x C, 32

    train        the phase: random crops, and sharding
    rank, ranks  the solver's; each has other images (see `order.Order`)
    The options are those of the layer MultiLabelImageData, whose docstring says what comes out.
    """

    owner = "MultiLabelImageData"

    def __init__(self, train, rank=0, ranks=1, **options):
        for name in REQUIRED:
            if options.get(name) is None:
                raise ValueError(f"{self.owner}: expected a {name}, got none; add it to param_str")
        given = params.checked(self.owner, OPTIONS, options)
        for name, value in given.items():
            setattr(self, name, value)
        self.names = lists.read_classes(self.classes) if isinstance(self.classes, str) else None
        self.images = lists.read(self.source, self.names or self.classes)
        self.num_classes = self.images.num_classes()
        self.width = self.label_width()
        self.transform = Transform(train, **{option.name: given[option.name] for option in transforms.OPTIONS})
        if self.root_folder is None:
            self.root_folder = os.path.dirname(os.path.abspath(self.source))
        self.shape = self.transform.shape() or self.first_shape()
        factors = repeat_factors(self.images) if self.resample else None
        self.order = Order(len(self.images), self.shuffle, self.seed, rank, ranks, factors)
        self.feed = None

    def refuse(self, text, *values):
        raise ValueError(f"{self.owner}: {self.source} " + text.format(*values))

    def label_width(self):
        """Columns of the labels."""
        if self.label_format == "DENSE":
            return self.num_classes
        if (self.images.values != 1).any():
            self.refuse("has label values other than 0 and 1, which INDEX cannot give; use label_format DENSE")
        most = self.images.most_labels()
        if self.max_labels is not None and self.max_labels < most:
            self.refuse("has an image with {} labels; give max_labels as many, or none", most)
        return self.max_labels or max(1, most)

    def first_shape(self):
        """Of the first image that can be read, where no option says it."""
        for path in self.images.paths:
            try:
                return self.transform(os.path.join(self.root_folder, path)).shape
            except (ValueError, OSError) as error:
                if self.broken == "REFUSE":
                    raise ValueError(f"{self.owner}: {error}; or give broken SKIP") from None
        self.refuse("has no image that can be read")

    def next(self, data=None, labels=None, weights=None):
        """The next (data, labels, weights), in the given arrays or in new ones."""
        if self.feed is None:
            jobs = endless(self.order, self.batch_size, self.root_folder, self.images.paths)
            self.feed = Feed(jobs, self.transform, self.shape, self.batch_size, self.prefetch, self.workers,
                             skip=self.broken == "SKIP", seed=self.seed, owner=self.owner)  # fmt: skip
        data = np.empty((self.batch_size, *self.shape), np.float32) if data is None else data
        images = self.feed.next(data)
        if self.label_format == "DENSE":
            labels = self.images.dense(images, self.width, labels)
        else:
            labels = self.images.indices(images, self.width, labels)
        weights = np.empty(self.batch_size, np.float32) if weights is None else weights
        weights[...] = 1 if self.images.weights is None else self.images.weights[images]
        return data, labels, weights

    def close(self):
        if self.feed is not None:
            self.feed.close()
            self.feed = None


def endless(order, batch_size, folder, paths):
    """What is in each batch, for a Feed; no method, so that nothing of the Feed holds the Batches that hold it."""
    while True:
        positions, images = order.take(batch_size)
        yield images, positions, [os.path.join(folder, paths[i]) for i in images]
