"""Labels with their probabilities for picture files."""

from collections import namedtuple

import numpy as np

from ..data import MIDDLE
from ..net import weights
from ..net.sources import class_names, transform_for_testing
from ..net.testing import phases_of
from ..net.view import NO_STAGES, data_tops
from ..predict import predict_labels
from ..wiring import check_statistics, deploy
from .decision import decision, log_odds
from .deployed import BATCH, read_model
from .views import Average

Label = namedtuple("Label", "name index probability")
Picture = namedtuple("Picture", "values error")  # an array of views x channels x height x width, or why there is none


class Prediction(namedtuple("Prediction", "path probabilities scores error")):
    """What a picture file is given.

    path           of the file
    probabilities  one for each class, a float32 array; None if there is an error
    scores         by which labels are ranked, as many probabilities are 1 or 0 alike in float32: log p of a softmax,
                   log p - log(1 - p) of a sigmoid; the probabilities, if the net has no scores
    error          why the picture cannot be read, a line; None if all is well
    """

    __slots__ = ()


class Predictor:
    """The net for inference of a train_val, with its weights, and what its data layer does to a picture.

        predictor = Predictor("train_val.prototxt", "net.caffemodel")
        for prediction in predictor.predict(["cat.jpg", "dog.jpg"]):
            print(prediction.path, prediction.error or predictor.labels(prediction))

    Args:
        model: prototxt of the train_val, or of a deploy net with its JSON beside it, as `caffe-losses deploy` writes
            them.
        caffemodel: its weights.
        head: the name of a loss, Accuracy or MultiLabelMetrics that tells the scores; None: the loss of TEST with the
            largest loss_weight or, if it has none, what is measured there.
        stages: the stages that the solver adds in TRAIN, and those in TEST.
        classes: a file with one class name a line; None: the data layer's or the JSON's, or numbers.
        resize: (height, width) before all else; None: as the data layer says.
        views: of each picture, as the function `views` gives them: their probabilities are averaged; or None.

    Raises:
        ValueError: the net, the weights or an argument is wrong. The weights are read with the first picture.
        OSError: a file cannot be read.
    """

    def __init__(self, model, caffemodel, *, head=None, stages=NO_STAGES, classes=None, resize=None, views=None):
        self.caffemodel, self.classes = caffemodel, classes
        self.chosen = {"heads": [head] if head else None, "stages": stages}
        with read_model(model, resize=resize) as source:
            self.train_val, _, self.known_names, self.thresholds = source
            phases = phases_of(self.train_val, stages, model)
            self.head = phases.head(self.chosen["heads"])
            kept = phases.test.needed([self.head.made_by(phases.test, self.head.scores)])
            phases.check_data(kept)
            check_statistics(kept)
            tops = data_tops(kept, [self.head.scores])
            if len(tops) != 1:
                raise ValueError(f"{model}: expected one input, got {', '.join(top for _, top in tops)}")
            self.source, self.top = tops[0]
            transform = transform_for_testing(self.source, resize)
        self.transforms = [transform.seen(view) for view in views or [MIDDLE]]
        self.net = None

    def predict(self, paths):
        """A Prediction for each picture file, in their order."""
        for start in range(0, len(paths), BATCH):
            pictures = [self.picture(path) for path in paths[start : start + BATCH]]
            arrays = [picture.values for picture in pictures if picture.error is None]
            rows = zip(*self.forward(np.stack(arrays))) if arrays else iter(())
            for path, picture in zip(paths[start : start + BATCH], pictures):
                probabilities, scores = next(rows) if picture.error is None else (None, None)
                yield Prediction(path, probabilities, scores, picture.error)

    def picture(self, path):
        """The Picture that the net takes; with an error also for one of another size than the net was loaded for."""
        try:
            values = np.stack([transform(path) for transform in self.transforms])
        except (ValueError, OSError) as error:
            return Picture(None, str(error))
        if self.net is None:
            self.load(values.shape[1:])
        if values.shape[1:] != self.shape:
            shapes = [" x ".join(map(str, shape)) for shape in (values.shape[1:], self.shape)]
            return Picture(None, f"{path} is {shapes[0]} and others are {shapes[1]}; give --resize H,W")
        return Picture(values, None)

    def load(self, shape):
        inference = deploy(self.train_val, shapes={self.top: [BATCH, *shape]}, **self.chosen)
        self.shape, self.output = shape, inference.outputs[0].blob
        last = inference.net.layer[-1]
        makes = last.type in ("Softmax", "Sigmoid") and last.top[0] == self.output != last.bottom[0]
        self.scores, self.makes = (last.bottom[0], last.type) if makes else (self.output, None)
        self.net = weights.load(inference.net, self.caffemodel)
        output = self.net.blobs[self.output].data.shape
        if np.prod(output) != BATCH * output[1]:
            raise ValueError(f"expected one row of scores an image, got {self.output} {output}")
        names = self.known_names if self.classes is None else None
        self.names = names or class_names(self.source, self.classes, output[1])
        if len(self.names) != output[1]:
            raise ValueError(f"the JSON has {len(names)} classes, and {self.output} {output[1]}; give one name a class")

    def forward(self, pictures):
        """(the means of the probabilities of all views; the scores of these means), a row for each picture."""
        average, probabilities = Average(self.makes), []
        for k in range(len(self.transforms)):
            output, scores = self.run(pictures[:, k])
            probabilities.append(output)
            average.add(scores)
        return np.mean(probabilities, axis=0), average.scores().astype(np.float32)

    def run(self, pictures):
        blob = self.net.blobs[self.top]
        blob.reshape(*pictures.shape)
        blob.data[...] = pictures
        self.net.forward()
        return tuple(self.net.blobs[name].data.reshape(len(pictures), -1).copy() for name in (self.output, self.scores))

    def labels(self, prediction, *, threshold=None, top_k=None):
        """The labels that a picture is given, the most probable first, one at least.

        Args:
            prediction: a Prediction.
            threshold: only labels of at least this probability, or of those of each class.
            top_k: only so many labels. If both are None, the thresholds of a deploy net's JSON or, without them, 0.5
                for a sigmoid loss, else the 5 best.

        Returns:
            A list of Label(name, index, probability).
        """
        _, probabilities, scores, _ = prediction
        if threshold is None and top_k is None:
            threshold = self.thresholds
        rule = decision(self.head.activation, threshold, top_k)
        is_label = predict_labels(scores[None], top_k=rule.get("top_k", len(scores)))[0]
        if "threshold" in rule:
            cut = log_odds(rule["threshold"], self.makes) if self.makes else rule["threshold"]
            is_label &= predict_labels(scores[None], cut, at_least_one=False)[0]
        order = np.argsort(-scores, kind="mergesort")
        is_label[order[0]] = True
        return [Label(self.names[c], int(c), float(probabilities[c])) for c in order if is_label[c]]
