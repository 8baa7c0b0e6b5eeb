"""caffe-losses predict: labels of picture files."""

import json
import sys

from ..evaluation import PROBABILITY, TOP_K, Predictor, thresholds_of
from ..net import prototxt
from .arguments import add_gpu, add_trained_net, add_views, input_file, positive, size, stages_of, use_gpu, views_of


def add_parser(commands):
    parser = commands.add_parser(
        "predict",
        help="labels of picture files, with probabilities",
        description="Make the net for inference of a train_val, give it pictures as its data layer of the TEST phase "
        "would, and print the labels it gives each, always one at least. Exit 1: a picture cannot be read, "
        "all others are done; 2: the net, the weights or an argument is wrong.",
    )
    add_trained_net(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a picture file")
    parser.add_argument(
        "--top-k", metavar="K", type=positive, help=f"at most the K best labels ({TOP_K}, of a softmax loss)"
    )
    parser.add_argument(
        "--threshold",
        metavar="P",
        type=float,
        help=f"only labels of at least this probability, and the best ({PROBABILITY}, of a sigmoid loss)",
    )
    parser.add_argument(
        "--thresholds",
        metavar="FILE",
        type=input_file,
        help="a threshold for each class, of evaluate --tune-thresholds",
    )
    parser.add_argument(
        "--resize", metavar="H,W", type=size, help="first, as convert_imageset did it for an LMDB; the net then crops"
    )
    add_views(parser)
    add_gpu(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, a line a picture")
    parser.set_defaults(run=run)


def run(options):
    prototxt.quiet()
    if options.thresholds and options.threshold is not None:
        raise ValueError("--thresholds and --threshold: expected one of them, got both; leave one out")
    use_gpu(options)
    predictor = Predictor(
        options.model,
        options.weights,
        head=options.head,
        stages=stages_of(options),
        classes=options.classes,
        resize=options.resize,
        views=views_of(options),
    )
    code, threshold = 0, options.threshold
    for prediction in predictor.predict(options.images):
        if prediction.error is None:
            if options.thresholds and threshold is None:  # the names are known from the first picture on
                threshold = thresholds_of(options.thresholds, predictor.names)
            labels = predictor.labels(prediction, threshold=threshold, top_k=options.top_k)
            print((json_of if options.json else text_of)(prediction.path, labels), flush=True)
        else:
            print(f"caffe-losses: {prediction.error}", file=sys.stderr)
            code = 1
    return code


def text_of(path, labels):
    return f"{path}  " + "  ".join(f"{label.name} {label.probability:.3f}" for label in labels)


def json_of(path, labels):
    objects = [{"label": label.name, "index": label.index, "probability": label.probability} for label in labels]
    return json.dumps({"path": path, "labels": objects})
