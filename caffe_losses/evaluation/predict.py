"""Labels with their probabilities for picture files."""

import json
import sys

import numpy as np

from ..predict import predict_labels
from ..wiring import deploy
from ..wiring.net import image_options, read
from . import nets
from .evaluate import PROBABILITY, TOP_K
from .sources import transform_of

BATCH = 16


def add_predict(commands):
    parser = commands.add_parser(
        "predict",
        help="labels of picture files, with probabilities",
        description="Make the net for inference of a train_val, give it pictures as its data layer of the TEST phase "
        "would, and print the labels it gives each, always one at least. Exit 1: a picture cannot be read, "
        "all others are done; 2: the net, the weights or an argument is wrong.",
    )
    nets.add_net(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a picture file")
    parser.add_argument("--classes", metavar="FILE", help="one class name a line (the data layer's, or numbers)")
    parser.add_argument(
        "--top-k", metavar="K", type=int, help=f"at most the K best labels ({TOP_K}, of a softmax loss)"
    )
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=float,
        help=f"only labels of at least this probability, and the best ({PROBABILITY}, of a sigmoid loss)",
    )
    parser.add_argument(
        "--resize", metavar="H,W", help="first, as convert_imageset did it for an LMDB; the net then crops"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, a line a picture")
    parser.set_defaults(run=run_predict)


def run_predict(options):
    if options.top_k is not None and options.top_k < 1:
        raise ValueError(f"--top-k: expected a number >= 1, got {options.top_k}")
    nets.quiet()
    predictor = Predictor(options.model, options.weights, options.classes, given_size(options.resize))
    rule = predictor.rule(options.threshold, options.top_k)
    broken = 0
    for path, probabilities in predictor.predict(options.images):
        if isinstance(probabilities, Exception):
            print(f"caffe-losses: {probabilities}", file=sys.stderr)
            broken = 1
        else:
            print(text_of(path, predictor.labels(probabilities, rule), options.json), flush=True)
    return broken


def given_size(text):
    """(height, width) from "256,256"."""
    if text is None:
        return None
    words = text.split(",")
    if len(words) != 2 or not all(word.isdigit() and int(word) for word in words):
        raise ValueError(f"--resize: expected H,W, got {text}")
    return int(words[0]), int(words[1])


def text_of(path, labels, as_json):
    if as_json:
        keys = "label", "index", "probability"
        return json.dumps({"path": path, "labels": [dict(zip(keys, label)) for label in labels]})
    return f"{path}  " + "  ".join(f"{name} {probability:.3f}" for name, _, probability in labels)


class Predictor:
    """The net for inference of a train_val, with its weights, and what its data layer does to a picture.

        predictor = Predictor("train_val.prototxt", "net.caffemodel")
        for path, probabilities in predictor.predict(["cat.jpg"]): ...

    classes  a file with one class name a line; None: the data layer's, or numbers
    resize   (height, width) before all else; None: as the data layer says
    """

    def __init__(self, model, weights, classes=None, resize=None):
        self.given, _ = read(model)
        self.weights, self.classes_file = weights, classes
        view = nets.test_view(self.given, model)
        self.head = nets.main_head(view, model)
        needed = nets.cut(self.given, view, [(self.head.layer, self.head.scores)]).layer
        taken = {blob for layer in needed for blob in layer.bottom}
        sources = [(layer, top) for layer in needed if not layer.bottom for top in layer.top if top in taken]
        if len(sources) != 1:
            raise ValueError(f"{model}: expected one input, got {', '.join(top for _, top in sources)}")
        self.source, self.top = sources[0]
        self.transform = transform_of(self.source, resize)
        self.net = None

    def predict(self, paths):
        """(path, probabilities of the classes, or the error that the picture raised) of each, in their order."""
        for start in range(0, len(paths), BATCH):
            pictures = [self.picture(path) for path in paths[start : start + BATCH]]
            good = [picture for picture in pictures if isinstance(picture, np.ndarray)]
            found = iter(self.forward(np.stack(good)) if good else ())
            for path, picture in zip(paths[start : start + BATCH], pictures):
                yield path, next(found) if isinstance(picture, np.ndarray) else picture

    def picture(self, path):
        """What the net takes; or an error, also for a picture of another size than the net was loaded for."""
        try:
            picture = self.transform(path)
        except (ValueError, OSError) as error:
            return error
        if self.net is None:
            self.load(picture.shape)
        if picture.shape != self.shape:
            shapes = [" x ".join(map(str, shape)) for shape in (picture.shape, self.shape)]
            return ValueError(f"{path} is {shapes[0]} and others are {shapes[1]}; give --resize H,W")
        return picture

    def load(self, shape):
        small, _ = deploy(self.given, shapes={self.top: [BATCH, *shape]})
        added = not self.head.probabilities and self.head.activation is not None
        self.shape, self.output = shape, small.layer[-1].top[0] if added else self.head.scores
        self.net = nets.load(small, self.weights)
        found = self.net.blobs[self.output].data.shape
        if np.prod(found) != BATCH * found[1]:
            raise ValueError(f"expected one row of scores an image, got {self.output} {found}")
        layer = self.source if image_options(self.source) is not None else None
        self.names = nets.given_names(self.classes_file, layer, found[1])

    def forward(self, pictures):
        blob = self.net.blobs[self.top]
        blob.reshape(*pictures.shape)
        blob.data[...] = pictures
        self.net.forward()
        return self.net.blobs[self.output].data.reshape(len(pictures), -1).copy()

    def rule(self, threshold, top_k):
        """How labels are given: as asked for, or as the loss suggests."""
        if threshold is None and top_k is None:
            return {"threshold": PROBABILITY} if self.head.activation == "Sigmoid" else {"top_k": TOP_K}
        return {"threshold": threshold, "top_k": top_k}

    def labels(self, probabilities, rule):
        """(name, index, probability) of the labels given, the most probable first."""
        order = np.argsort(-probabilities, kind="mergesort")
        given = predict_labels(probabilities[None], **rule)[0]
        return [(self.names[c], int(c), float(probabilities[c])) for c in order if given[c]]
