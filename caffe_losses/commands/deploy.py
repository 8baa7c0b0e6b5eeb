"""caffe-losses deploy: the net for inference of a train_val, its weights, and what a program has to know of it."""

import json
import os
import sys

from ..evaluation import thresholds
from ..net import prototxt, trial, weights
from ..wiring import check_contract, check_inference, deploy, describe
from .arguments import add_rewriting, finish, input_file, stages_of


def add_parser(commands):
    parser = commands.add_parser(
        "deploy",
        help="make the net for inference of a train_val",
        description="Input layers for data, a Softmax or Sigmoid for the loss, and only the layers between, so that "
        "other programs than Caffe can run it. Each change is printed. Beside the net, a JSON file of the same name "
        "tells how to make its input of a picture, and what its output means. Exit 2, and nothing written: the net is "
        "not understood, it has layers that only Caffe can run, or an argument is wrong.",
    )
    parser.add_argument("net", type=input_file, help="prototxt of the net for training")
    parser.add_argument(
        "--head",
        metavar="NAME",
        action="append",
        help="the loss, also of TRAIN alone, or the Accuracy or MultiLabelMetrics of TEST, whose scores to keep (the "
        "loss of TEST with the largest loss_weight or, if it has none, what is measured there); may be repeated",
    )
    parser.add_argument("--weights", metavar="W", type=input_file, help="the net's .caffemodel or .caffemodel.h5")
    parser.add_argument(
        "--output-weights", metavar="OUT", help=".caffemodel to write, with what of --weights is needed"
    )
    parser.add_argument(
        "--classes", metavar="FILE", type=input_file, help="one class name a line (the data layer's), for the JSON"
    )
    parser.add_argument(
        "--thresholds",
        metavar="FILE",
        type=input_file,
        help="JSON with the probability from which on a picture has each class, for the JSON",
    )
    add_rewriting(parser)
    parser.set_defaults(run=run)


def run(options):
    if bool(options.weights) != bool(options.output_weights):
        raise ValueError("expected --weights and --output-weights, got only one; give both or none")
    prototxt.quiet()
    file, foreign = prototxt.read_foreign(options.net)
    inference = deploy(
        file.net,
        heads=options.head,
        shapes=dict(options.shape),
        stages=stages_of(options),
        foreign=foreign,
    )
    check_contract(inference.net)
    more = {}
    if options.weights:
        loaded = weights.load(inference.net, options.weights)
        shapes = {name: list(blob.data.shape) for name, blob in loaded.blobs.items()}
        more[options.output_weights] = lambda out: out.write(
            weights.with_weights(inference.net, loaded).SerializeToString()
        )
    else:
        shapes = trial.shapes(inference.net, "TEST", sys.path)
    description, unknown = describe(inference, shapes, options.classes)
    if options.thresholds:
        if "classes" not in description:
            raise ValueError(
                f"--thresholds {options.thresholds}: the names of the classes are not known; give --classes"
            )
        description["thresholds"] = thresholds.read(options.thresholds, description["classes"])
    else:
        unknown.append("thresholds (give --thresholds)")
    path = os.path.splitext(options.output)[0] + ".json"
    more[path] = json_text(dict(places(options, path), **description))
    inference.lines.extend([f"{path}: left out, as not known: {'; '.join(unknown)}"] if unknown else [])
    return finish(file, inference, options, check_inference, more)


def places(options, path):
    """Where net and weights are, from the folder of the JSON on."""
    files = {"net": options.output, "weights": options.output_weights}
    folder = os.path.dirname(os.path.abspath(path))
    return {name: os.path.relpath(file, folder) for name, file in files.items() if file}


def json_text(description):
    """A key on each line."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in description.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"
