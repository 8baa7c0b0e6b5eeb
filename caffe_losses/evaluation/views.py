"""Several views of each image: the middle and the corners, and their mirror images; probabilities are averaged."""

import numpy as np

from ..data import CORNERS, MIDDLE
from ..net.kinds import title

CROPS = {1: (MIDDLE,), 5: (MIDDLE, *CORNERS)}


def views(crops=1, mirror=False):
    """The Views of an image to average over. None if that is the middle alone, as the data layer has it anyhow.

    crops   1: the middle. 5: the four corners, too
    mirror  each of them mirrored, too: 5 crops make the 10 views of Krizhevsky et al., 2012
    """
    plain = CROPS[crops]
    mirrored = tuple(view._replace(mirrored=True) for view in plain) if mirror else ()
    return None if crops == 1 and not mirror else plain + mirrored


class Average:
    """The mean of the probabilities of several views, as scores.

    makes  "Softmax" or "Sigmoid", which makes probabilities of scores with the classes on axis 1. None: the scores
           themselves are averaged

    It is computed with logarithms, so that no probability is rounded to 0 or 1. `scores` are those of which `makes`
    makes the mean: log p of a softmax, log p - log(1 - p) of a sigmoid.
    """

    def __init__(self, makes):
        self.makes, self.count, self.sum = makes, 0, None

    def add(self, scores):
        """Add the scores of a view. They stay as they are."""
        scores = np.asarray(scores, np.float64)
        if self.makes == "Softmax":
            scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        elif self.makes == "Sigmoid":
            scores = -np.logaddexp(0, [-scores, scores])  # log p and log(1 - p)
        plus = np.logaddexp if self.makes else np.add
        self.sum = scores if self.sum is None else plus(self.sum, scores)
        self.count += 1

    def scores(self):
        if self.makes == "Softmax":
            return self.sum - np.log(self.count)
        return self.sum[0] - self.sum[1] if self.makes == "Sigmoid" else self.sum / self.count


def batches_of_views(net, test, views, batches):
    """(scores, labels) of each batch, as the Average over all views. The test set is read once for each of them.

    net      the loaded net
    test     its TestSet
    batches  a function that runs the net over the test set, and gives (scores, labels) of each batch

    ValueError if another layer than one MultiLabelImageData reads data: it could not start again with each view.
    """
    if test.image_data is None or len(test.sources) > 1:
        names = ", ".join(f"{title(layer)} ({layer.type})" for layer in test.sources)
        raise ValueError(f"--crops and --mirror need MultiLabelImageData as the only data layer of TEST, got {names}")
    reader = next(layer.batches for layer in net.layers if hasattr(layer, "batches"))
    averages, all_labels = [], []
    for view in views:
        reader.start_in(view)
        for k, (scores, labels) in enumerate(batches()):
            if k == len(averages):
                averages.append(Average(test.makes))
                all_labels.append(labels.copy())
            averages[k].add(scores)
    return [(average.scores(), labels) for average, labels in zip(averages, all_labels)]
