"""caffe-losses evaluate: the metrics of a trained net on its test set."""

import json
from importlib import import_module

from ..evaluation import OBJECTIVES, PROBABILITY, TOP_K, evaluate, json_of
from ..net import prototxt
from .arguments import (
    add_force,
    add_gpu,
    add_trained_net,
    add_views,
    input_file,
    outputs,
    positive,
    stages_of,
    use_gpu,
    views_of,
)  # fmt: skip


def add_parser(commands):
    parser = commands.add_parser(
        "evaluate",
        help="metrics of a trained net on its test set, overall and for each class",
        description="Run the TEST phase of a net over its test set once, and print metrics. Scores and labels are "
        "those of the loss with the largest loss_weight or, if TEST has none, of Accuracy or MultiLabelMetrics. "
        "Exit 2: the net, the weights or an argument is wrong.",
    )
    add_trained_net(parser)
    parser.add_argument(
        "--image-list", metavar="LIST", type=input_file, help="images and labels to test with (those of the net)"
    )
    parser.add_argument("--iterations", metavar="N", type=positive, help="batches to run (the test set once)")
    parser.add_argument("--images", metavar="N", type=positive, help="only the first N images (all)")
    parser.add_argument("--scores", metavar="BLOB", help="other scores than the loss's, such as probabilities")
    parser.add_argument("--labels", metavar="BLOB", help="other labels than the loss's")
    parser.add_argument(
        "--metrics",
        metavar="NAME",
        nargs="+",
        help="names of docs/metrics-and-evaluation.md, such as mAP hit@1 CF1 OF1 CF1@3 LRAP, or all; without it, mAP "
        "with its interval, CF1, OF1, hit@1, hit@5, precision@5, ranking_loss, micro_f1, macro_f1",
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
    parser.add_argument(
        "--thresholds", metavar="FILE", type=input_file, help="for the same: a threshold for each class, of a file"
    )
    parser.add_argument(
        "--tune-thresholds", metavar="OUT", help="write the thresholds that are best for these images and --objective"
    )
    parser.add_argument("--objective", choices=OBJECTIVES, help="of --tune-thresholds (macro_f1)")
    add_views(parser)
    parser.add_argument("--json", metavar="OUT", help="write all figures of all classes")
    parser.add_argument("--png", metavar="OUT", help="draw precision and recall, and average precision by frequency")
    add_gpu(parser)
    add_force(parser)
    parser.set_defaults(run=run)


def run(options):
    if options.png:
        import_module("matplotlib")  # if it is missing, that is told before the work
    prototxt.quiet()
    if options.objective and not options.tune_thresholds:
        raise ValueError("--objective: it is of --tune-thresholds; leave it out, or give both")
    written = filter(None, [options.tune_thresholds, options.json, options.png])
    net = prototxt.read(options.model).net
    output = outputs(options, written, net, more=filter(None, [json_of(options.model, net)]))
    chosen = views_of(options)
    use_gpu(options)
    report = evaluate(
        options.model,
        options.weights,
        image_list=options.image_list,
        iterations=options.iterations,
        images=options.images,
        scores=options.scores,
        labels=options.labels,
        head=options.head,
        stages=stages_of(options),
        classes=options.classes,
        metrics=options.metrics,
        top_k=options.top_k,
        threshold=options.threshold,
        thresholds=options.thresholds,
        views=chosen,
    )
    print("\n".join(report.lines()))
    if chosen:
        print(f"probabilities are means over {len(chosen)} views of each image")
    contents = []
    if options.tune_thresholds:
        objective = options.objective or OBJECTIVES[0]
        contents.append(report.tuned(objective))
        print(f"{options.tune_thresholds}: thresholds for {objective}, tuned on these images")
    if options.json:
        figures = dict(report.all(), model=options.model, weights=options.weights, decision=report.decision)
        figures.update(image_list=options.image_list, crops=options.crops, mirror=options.mirror)
        contents.append(json.dumps(figures, indent=1))
    if options.png:
        contents.append(lambda file: report.draw(file, options.weights))
    output.write(contents)
    return 0
