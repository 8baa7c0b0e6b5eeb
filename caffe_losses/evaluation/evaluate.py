"""Runs a train_val's TEST phase over its test set, and tells what the scores are worth, class by class."""

import json
from collections import namedtuple

import numpy as np

from .. import extras
from ..metrics import NAME, NAMES, PAPERS, MultiLabelMetrics
from ..net import weights
from ..net.conditions import check_beside, is_reader
from ..net.contents import count, missing_files
from ..net.kinds import image_options, kind, title
from ..net.sources import class_names
from ..net.testing import phases_of
from ..net.view import NO_STAGES, cut
from ..wiring import check_statistics
from . import field
from .decision import decision, log_odds
from .deployed import read_model
from .report import Report
from .thresholds import inside, read
from .views import batches_of_views

Size = namedtuple("Size", "batches images")  # batches to run, and how many of their images count
Count = namedtuple("Count", "images reason")  # images in the test set; if that is None, why it is not known


def evaluate(
    model, caffemodel, *, image_list=None, iterations=None, images=None, scores=None, labels=None, head=None,
    stages=NO_STAGES, classes=None, metrics=None, top_k=None, threshold=None, thresholds=None, views=None
):  # fmt: skip
    """Run the TEST phase of a net over its test set, once.

    Args:
        model: prototxt of the train_val, with data and labels for TEST; or of a deploy net with its JSON beside it, as
            `caffe-losses deploy` writes them, if there is an image_list.
        caffemodel: its weights.
        image_list: a list that MultiLabelImageData is to read in place of its own.
        iterations: batches to run; None: the test set once.
        images: only the first so many images; None: all.
        scores: a blob to measure; None: that of the loss with the largest loss_weight or, if TEST has no loss, what
            Accuracy or MultiLabelMetrics measure there.
        labels: the blob with the labels; None: that loss's.
        head: the name of another loss, Accuracy or MultiLabelMetrics that tells the scores and labels.
        stages: the stages that the solver adds in TRAIN, and those in TEST.
        classes: a file with one class name a line; None: the data layer's, or numbers.
        metrics: names for MultiLabelMetrics, and of field.METRICS; ["all"]: each; None: those of a paper's table.
        top_k: for precision, recall and F1, an image is given its k best labels.
        threshold: for the same, it is given those of at least this probability or, with `scores`, score; and always
            its best. If both are None, 0.5 for a sigmoid's and the 5 best for others.
        thresholds: a file with a probability for each class, as `thresholds.text` makes it, instead of threshold.
        views: of each image, as the function `views` gives them: their probabilities are averaged; or None.

    Images are compared by the scores that a Softmax or Sigmoid layer makes probabilities of, or their logarithm: in
    float32, many probabilities are 1 or 0 alike.

    Returns:
        A Report.

    Raises:
        ValueError: the net, the weights or an argument is wrong.
        OSError: a file cannot be read.
    """
    if threshold is not None and thresholds is not None:
        raise ValueError("--thresholds and --threshold: expected one of them, got both; leave one out")
    with read_model(model, classes=classes) as source:
        if source.json and image_list is None:
            raise ValueError(f"{model} is a net for inference, which names no test pictures; give --image-list LIST")
        if source.json and not (source.classes or classes):
            raise ValueError(f"{source.json} does not say classes; write them there, or give --classes FILE")
        test = TestSet(source.net, model, scores, labels, image_list, head, stages)
        if (threshold, thresholds, top_k) == (None, None, None):
            threshold = source.thresholds and list(map(inside, source.thresholds))
        decided = test.decision(threshold, top_k)  # refused before the work
        net = weights.load(test.net, caffemodel)
        shape = net.blobs[test.scores].data.shape
        if len(shape) < 2:
            raise ValueError(f"expected scores of N x C, got {test.scores} {shape}")
        names = class_names(test.image_data, classes, shape[1])
        if thresholds is not None:
            decided = test.decision(list(map(inside, read(thresholds, names))), top_k)
        wanted = metric_names(metrics, shape[1])
        measured = metrics_of(wanted, decided, dict(test.label_options, softmax=test.makes == "Softmax"))
        measure(net, test, measured, test.size(shape[0], iterations, images), views)
        return Report(measured, names, wanted, decided, test.makes)


def metric_names(names, classes):
    """What the user asks for, or what is told without that."""
    cuts = [f"{name}@{k}" for name, k in (("hit", 1), ("hit", 5), ("precision", 5)) if k <= classes]
    usual = ["mAP", "mAP_interval", "CF1", "OF1", *cuts, "ranking_loss", "micro_f1", "macro_f1"]
    if names != ["all"]:
        return list(names or usual)
    others = ["mAP_voc2007", *PAPERS, *(f"{name}@3" for name in PAPERS if classes >= 3)]
    others += ["subset_accuracy", "hamming_loss", *field.METRICS]
    return usual + [name for name in others if name not in usual]


def metrics_of(names, decided, options):
    """MultiLabelMetrics of these names, and of those that the report needs."""
    if len(set(names)) < len(names):
        raise ValueError(f"--metrics: expected each name once, got {' '.join(names)}")
    names = [name for name in names if name not in field.METRICS]
    unknown = [name for name in names if not NAME.fullmatch(name)]
    if unknown:
        known = f"{NAMES}, {', '.join(field.METRICS)}, or all alone"
        raise ValueError(f"--metrics: expected names of {known}, got {unknown[0]}")
    names += [name for name in ("mAP", "micro_f1") if name not in names]
    return MultiLabelMetrics(metrics=names, **decided, **options)


def measure(net, test, metrics, size, views=None):
    """Run the net, and add what it gives, without the images that come a second time."""

    def batches():
        return run(net, test, size)

    for scores, labels in batches_of_views(net, test, views, batches) if views else batches():
        metrics.add(scores, labels)


def run(net, test, size):
    """(scores, labels) of each batch, without the images that come a second time: valid until the next."""
    left = size.images
    for _ in progress(range(size.batches)):
        net.forward()
        scores, labels = net.blobs[test.scores].data, net.blobs[test.labels].data
        yield scores[:left], labels[:left]
        left -= min(left, len(scores))


def progress(batches):
    """With a bar on a terminal, if tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return batches
    return tqdm(batches, unit="batch", disable=None)


class TestSet:
    """The part of a train_val that is run: its TEST phase up to scores and labels.

    net             NetParameter
    scores, labels  the blobs
    makes           "Softmax" or "Sigmoid", which makes probabilities of these scores; None if it is not known. Then a
                    threshold is one of scores
    label_options   label_format and ignore_label of the labels
    image_data      the layer that reads images, MultiLabelImageData, or None
    """

    __test__ = False  # for pytest, which takes classes of such a name for tests

    def __init__(self, net, path, scores=None, labels=None, image_list=None, head=None, stages=NO_STAGES):
        phases = phases_of(net, stages, path)
        view = phases.test
        head = None if scores and labels else phases.head([head] if head else None)
        self.head = None if scores else head
        self.scores, self.labels = scores or head.scores, labels or head.labels
        if self.labels is None:
            raise ValueError(f"layer {title(head.layer)} ({kind(head.layer)}) takes no labels; give --labels BLOB")
        self.label_options = phases.label_options(labels) if labels else head.label_options
        makers = [
            view.last_maker(scores) if scores else head.made_by(view, head.scores),
            view.last_maker(labels) if labels else head.made_by(view, head.labels),
        ]
        kept = view.needed(makers)
        phases.check_data(kept)
        check_statistics(kept)
        self.net = cut(net, view, makers)
        self.sources = [layer for layer in self.net.layer if not layer.bottom]
        self.image_data = next((layer for layer in self.sources if image_options(layer) is not None), None)
        if image_list is not None:
            read_list(self.image_data, image_list, path)
        for layer in self.sources:
            check_source(layer)
        readers = list(filter(is_reader, self.sources))
        for other in readers[1:]:
            check_beside(readers[0], other)
        self.makes = None if scores or head.probabilities else head.activation
        if self.makes is None and makes_probabilities(makers[0]):
            self.makes, self.scores = makers[0].type, makers[0].bottom[0]

    def decision(self, threshold, top_k):
        """What MultiLabelMetrics is told: a threshold is a probability of a softmax, or else a score."""
        decided = decision(self.head and self.head.activation, threshold, top_k)
        if "threshold" in decided and self.makes == "Sigmoid":
            wrong = [p for p in np.ravel(decided["threshold"]) if not 0 < p < 1]
            if wrong:
                raise ValueError(f"--threshold: expected a probability in (0, 1), got {wrong[0]:g}")
            decided["threshold"] = log_odds(decided["threshold"], self.makes).tolist()
        return decided

    def size(self, batch, iterations=None, images=None):
        """The Size of a run with batches of `batch`, from what the user says and what the data layers tell."""
        known, reason = self.known_images()
        wanted = images or known
        if wanted is None and iterations is None:
            raise ValueError(f"how many images to run is not known: {reason}; give --iterations")
        if known is not None and wanted > known:
            raise ValueError(f"--images: got {wanted}, and the test set has {known}")
        if iterations is None or (known is not None and iterations * batch > wanted):
            iterations = -(-wanted // batch)
        if images and iterations * batch < images:
            raise ValueError(f"--iterations {iterations} of batches of {batch} are less than --images {images}")
        return Size(iterations, iterations * batch if wanted is None else min(wanted, iterations * batch))

    def known_images(self):
        """The Count of the test set."""
        try:
            counts = [count(layer) for layer in self.sources]
        except ImportError as error:
            return Count(None, extras.explained(error))
        except ValueError as error:
            return Count(None, str(error))
        return Count(counts[0], None)


def makes_probabilities(layer):
    """Whether a layer makes probabilities of scores, and leaves these as they are."""
    in_place = list(layer.bottom) == list(layer.top)
    return not in_place and (layer.type == "Sigmoid" or (layer.type == "Softmax" and layer.softmax_param.axis == 1))


def read_list(layer, image_list, path):
    """Have the data layer of the net at `path` read another list. The classes have to stay those of its own."""
    options = image_options(layer) if layer is not None else {}
    if not options.get("classes"):
        why = "one that has no classes" if options else "none"
        raise ValueError(f"--image-list: expected a MultiLabelImageData with classes in {path}, got {why}")
    layer.python_param.param_str = json.dumps(dict(options, source=image_list))


def check_source(layer):
    """Refuse a layer that has no data of its own, and one whose file is not there."""
    if layer.type in ("Input", "MemoryData"):
        raise ValueError(
            f"layer {title(layer)} ({layer.type}) has no test set; give a train_val whose TEST phase reads one"
        )
    absent = missing_files(layer)
    if absent:
        raise ValueError(f"layer {title(layer)} ({kind(layer)}): {absent[0]} does not exist")
