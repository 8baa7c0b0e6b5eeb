"""Images and their labels, in flat arrays."""

from collections import namedtuple

import numpy as np

# The labels of some images, in flat arrays. rows: which image. index: the place in ImageList.index.
# columns: which label of its image
Places = namedtuple("Places", "rows index columns")


class ImageList:
    """Images and their labels.

    paths    as in the list
    starts   the labels of image i are index[starts[i]:starts[i + 1]], with the same part of `values`
    index    the classes of all labels, in the order of the images
    values   their values
    weights  one for each image, or None
    classes  the names, or the number of classes, or None if the labels are indices and nobody said how many
    lines    the line of each image in the file
    layout   how the file was read, in words
    """

    def __init__(self, paths, *, starts, index, values, weights, classes, lines, layout):
        self.paths, self.weights, self.classes = paths, weights, classes
        self.starts, self.index, self.values = starts, index, values
        self.lines, self.layout = lines, layout

    def __len__(self):
        return len(self.paths)

    def num_classes(self):
        if self.classes is None:
            return int(self.index.max()) + 1 if self.index.size else 0
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    def name(self, label):
        return str(label) if self.classes is None or isinstance(self.classes, int) else self.classes[label]

    def names(self, image):
        """The names of the labels of one image."""
        return [self.name(label) for label in self.index[self.starts[image] : self.starts[image + 1]]]

    def same_as(self, other):
        """Whether the other list has the same images, with the same labels and weights."""
        weights = [np.ones(len(images)) if images.weights is None else images.weights for images in (self, other)]
        return (
            self.paths == other.paths
            and np.array_equal(self.starts, other.starts)
            and np.array_equal(self.values, other.values)
            and np.array_equal(*weights)
            and all(self.name(a) == other.name(b) for a, b in zip(self.index, other.index))
        )

    def places(self, images):
        """The Places of all labels of these images."""
        counts = self.starts[images + 1] - self.starts[images]
        rows = np.repeat(np.arange(len(images)), counts)
        columns = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return Places(rows, self.starts[images][rows] + columns, columns)

    def dense(self, images, num_classes, out=None):
        """Labels of these images, float32 of shape (images, classes): 0 for a class that the image does not have."""
        images = np.asarray(images)
        out = np.empty((len(images), num_classes), np.float32) if out is None else out
        places = self.places(images)
        out[...] = 0
        out[places.rows, self.index[places.index]] = self.values[places.index]
        return out

    def indices(self, images, width, out=None):
        """Class indices of these images, float32 of shape (images, width), padded with -1."""
        images = np.asarray(images)
        out = np.empty((len(images), width), np.float32) if out is None else out
        places = self.places(images)
        out[...] = -1
        out[places.rows, places.columns] = self.index[places.index]
        return out

    def most_labels(self):
        """The largest number of labels that an image has."""
        return int(np.diff(self.starts).max())

    def frequencies(self):
        """How many images have each class."""
        return np.bincount(self.index[self.values > 0], minlength=self.num_classes())

    def subset(self, images):
        """The list of these images, in this order. An image may be in it several times."""
        images = np.asarray(images)
        places = self.places(images)
        return ImageList(
            [self.paths[i] for i in images],
            starts=np.append(0, np.cumsum(np.bincount(places.rows, minlength=len(images)))),
            index=self.index[places.index],
            values=self.values[places.index],
            weights=None if self.weights is None else self.weights[images],
            classes=self.classes,
            lines=self.lines[images],
            layout=self.layout,
        )
