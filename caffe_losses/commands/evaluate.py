"""caffe-losses evaluate: the metrics of a trained net on its test set."""

import json
from importlib import import_module

from ..evaluation import PROBABILITY, TOP_K, evaluate
from ..net import prototxt
from .arguments import add_force, add_gpu, add_trained_net, outputs, positive, use_gpu


def add_parser(commands):
    parser = commands.add_parser(
        "evaluate",
        help="metrics of a trained net on its test set, overall and for each class",
        description="Run the TEST phase of a net over its test set once, and print metrics. Scores and labels are "
        "those of the loss with the largest loss_weight. Exit 2: the net, the weights or an argument is wrong.",
    )
    add_trained_net(parser)
    parser.add_argument("--iterations", metavar="N", type=positive, help="batches to run (the test set once)")
    parser.add_argument("--images", metavar="N", type=positive, help="only the first N images (all)")
    parser.add_argument("--scores", metavar="BLOB", help="other scores than the loss's, such as probabilities")
    parser.add_argument("--labels", metavar="BLOB", help="other labels than the loss's")
    parser.add_argument(
        "--metrics",
        metavar="NAME",
        nargs="+",
        help="mAP, hit@K, precision@K, ranking_loss, micro_f1, macro_f1 (all, with K of 1 and 5)",
    )
    parser.add_argument(
        "--top-k",
        metavar="K",
        type=positive,
        help=f"for precision, recall and F1: each image is given its K best labels ({TOP_K}, if not a sigmoid's)",
    )
    parser.add_argument(
        "--threshold",
        metavar="X",
        type=float,
        help=f"for the same: it is given those of at least this probability or, with --scores, score, and always "
        f"its best ({PROBABILITY}, of a sigmoid's)",
    )
    parser.add_argument("--json", metavar="OUT", help="write all figures of all classes")
    parser.add_argument("--png", metavar="OUT", help="draw precision and recall, and average precision by frequency")
    add_gpu(parser)
    add_force(parser)
    parser.set_defaults(run=run)


def run(options):
    if options.png:
        import_module("matplotlib")  # if it is missing, that is told before the work
    prototxt.quiet()
    output = outputs(options, filter(None, [options.json, options.png]), prototxt.read(options.model).net)
    use_gpu(options)
    report = evaluate(
        options.model,
        options.weights,
        iterations=options.iterations,
        images=options.images,
        scores=options.scores,
        labels=options.labels,
        classes=options.classes,
        metrics=options.metrics,
        top_k=options.top_k,
        threshold=options.threshold,
    )
    print("\n".join(report.lines()))
    contents = []
    if options.json:
        figures = dict(report.all(), model=options.model, weights=options.weights, decision=report.decision)
        contents.append(json.dumps(figures, indent=1))
    if options.png:
        contents.append(lambda file: report.draw(file, options.weights))
    output.write(contents)
    return 0
