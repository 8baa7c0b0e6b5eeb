"""Runs a train_val's TEST phase over its test set, and tells what the scores are worth, class by class."""

import json
import math

from ..metrics import MultiLabelMetrics
from ..wiring.deploy import add_probabilities
from ..wiring.net import image_options, read
from . import nets
from .report import Report
from .sources import check_source, count

TOP_K, PROBABILITY = 5, 0.5  # the default decisions


def add_evaluate(commands):
    parser = commands.add_parser(
        "evaluate",
        help="metrics of a trained net on its test set, overall and for each class",
        description="Run the TEST phase of a net over its test set once, and print metrics. Scores and labels are "
        "those of the loss with the largest loss_weight. Exit 2: the net, the weights or an argument is wrong.",
    )
    nets.add_net(parser)
    parser.add_argument("--iterations", metavar="N", type=int, help="batches to run (the test set once)")
    parser.add_argument("--images", metavar="N", type=int, help="only the first N images (all)")
    parser.add_argument("--scores", metavar="BLOB", help="other scores than the loss's, such as probabilities")
    parser.add_argument("--labels", metavar="BLOB", help="other labels than the loss's")
    parser.add_argument("--classes", metavar="FILE", help="one class name a line (the data layer's, or numbers)")
    parser.add_argument(
        "--metrics",
        metavar="NAME",
        nargs="+",
        help="mAP, hit@K, precision@K, ranking_loss, micro_f1, macro_f1 (all, with K of 1 and 5)",
    )
    parser.add_argument(
        "--top-k",
        metavar="K",
        type=int,
        help=f"for precision, recall and F1: each image is given its K best labels ({TOP_K}, if not a sigmoid's)",
    )
    parser.add_argument(
        "--threshold",
        metavar="X",
        type=float,
        help="for the same: it is given those of at least this probability or, with --scores, score, and always "
        f"its best ({PROBABILITY}, of a sigmoid's)",
    )
    parser.add_argument("--json", metavar="OUT", help="write all figures of all classes")
    parser.add_argument("--png", metavar="OUT", help="draw precision and recall, and average precision by frequency")
    parser.set_defaults(run=run_evaluate)


def run_evaluate(options):
    for name in ("iterations", "images", "top_k"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')}: expected a number >= 1, got {getattr(options, name)}")
    nets.quiet()
    test = TestSet(read(options.model)[0], options)
    loaded = nets.load(test.net, options.weights)
    shape = loaded.blobs[test.scores].data.shape
    if len(shape) < 2:
        raise ValueError(f"expected scores of N x C, got {test.scores} {shape}")
    names = nets.given_names(options.classes, test.image_data, shape[1])
    metrics = test.metrics(shape[1])
    iterations, images = test.size(shape[0])
    measure(loaded, test, metrics, iterations, images)
    report = Report(metrics, names, options.metrics or metrics.metrics)
    print("\n".join(report.lines(test.decision)))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(
                dict(report.all(), model=options.model, weights=options.weights, decision=test.decision), file, indent=1
            )
    if options.png:
        from . import curves

        curves.draw(options.png, metrics, names, f"{options.weights}: {metrics.images} images, {len(names)} classes")
    return 0


def measure(net, test, metrics, iterations, images):
    """Run the net, and add what it gives, without the images that come a second time."""
    left = images
    for _ in progress(range(iterations)):
        net.forward()
        scores, labels = net.blobs[test.scores].data, net.blobs[test.labels].data
        metrics.add(scores[:left], labels[:left])
        left -= min(left, len(scores))


def progress(batches):
    """With a bar on a terminal, if tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return batches
    return tqdm(batches, unit="batch", disable=None)


class TestSet:
    """What is measured, as the train_val and the arguments of the command have it.

    net, scores, labels  the net up to the blobs with scores and labels
    image_data           its layer that reads images with several labels, or None
    decision             {"threshold": x} or {"top_k": k} or both, in the scores' own unit
    """

    __test__ = False  # for pytest, which takes classes of such a name for tests

    def __init__(self, net, given):
        self.given = given
        view = nets.test_view(net, given.model)
        head = None if given.scores and given.labels else nets.main_head(view, given.model)
        self.scores, self.labels = given.scores or head.scores, given.labels or head.labels
        self.head = None if given.scores else head
        wanted = [
            (None if given.scores else head.layer, self.scores),
            (None if given.labels else head.layer, self.labels),
        ]
        self.net = nets.cut(net, view, wanted)
        if self.head and self.head.activation == "Softmax" and not self.head.probabilities:
            # scores of a softmax have no scale that images share
            add_probabilities(self.net, view, self.head.layer, True, [])
            self.scores, self.head.probabilities = self.net.layer[-1].top[0], True
        self.label_options = nets.options_of_labels(view, self.labels) if given.labels else head.options
        self.sources = [layer for layer in self.net.layer if not layer.bottom]
        for layer in self.sources:
            check_source(layer)
        self.decision = self.decided()
        self.image_data = next((layer for layer in self.sources if image_options(layer) is not None), None)

    def metrics(self, classes):
        """MultiLabelMetrics of those asked for, and those that the table needs."""
        cuts = [f"{name}@{k}" for name, k in (("hit", 1), ("hit", 5), ("precision", 5)) if k <= classes]
        names = list(self.given.metrics or ["mAP", *cuts, "ranking_loss", "micro_f1", "macro_f1"])
        names += [name for name in ("mAP", "micro_f1") if name not in names]
        return MultiLabelMetrics(metrics=names, **self.decision, **self.label_options)

    def decided(self):
        top_k, threshold = self.given.top_k, self.given.threshold
        activation = self.head.activation if self.head else None
        if top_k is None and threshold is None:
            if activation != "Sigmoid":
                return {"top_k": TOP_K}
            threshold = PROBABILITY
        if threshold is not None and self.head and not self.head.probabilities:
            threshold = self.of_scores(threshold, activation)
        return {name: value for name, value in (("threshold", threshold), ("top_k", top_k)) if value is not None}

    def of_scores(self, probability, activation):
        """The score that has this probability."""
        if activation is None:
            return probability
        if not 0 < probability < 1:
            raise ValueError(f"--threshold: expected a probability in (0, 1), got {probability:g}")
        return math.log(probability / (1 - probability))

    def size(self, batch):
        """(batches to run, images that count)."""
        known, reason = self.known_images()
        images, iterations = self.given.images or known, self.given.iterations
        if images is None and iterations is None:
            raise ValueError(f"how many images to run is not known: {reason}; give --iterations")
        if known is not None and images > known:
            raise ValueError(f"--images: got {images}, and the test set has {known}")
        if iterations is None or (known is not None and iterations * batch > images):
            iterations = -(-images // batch)
        if self.given.images and iterations * batch < images:
            raise ValueError(f"--iterations {iterations} of batches of {batch} are less than --images {images}")
        return iterations, iterations * batch if images is None else min(images, iterations * batch)

    def known_images(self):
        """(images in the test set or None, the reason if None)."""
        try:
            counts = {layer.name: count(layer) for layer in self.sources}
        except (ValueError, ImportError) as error:
            return None, str(error)
        if len(set(counts.values())) > 1:
            text = ", ".join(f"{name} {images}" for name, images in counts.items())
            raise ValueError(f"the data layers have different numbers of images ({text}); give them the same")
        return next(iter(counts.values())), None
