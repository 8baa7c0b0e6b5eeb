"""The caffe-losses command."""

import argparse
import sys

from . import evaluation, gradcheck, templates, wiring
from .commands import resample, split, train


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="caffe-losses", description="Multi-label training in Caffe.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    add_gradcheck(commands)
    templates.add_template(commands)
    wiring.add_wire(commands)
    wiring.add_deploy(commands)
    split.add_parser(commands)
    resample.add_parser(commands)
    evaluation.add_evaluate(commands)
    evaluation.add_predict(commands)
    evaluation.add_plot(commands)
    train.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"caffe-losses: {error}", file=sys.stderr)
        return 2


def add_gradcheck(commands):
    parser = commands.add_parser(
        "gradcheck",
        help="check a net's gradients, layer by layer",
        description="Compare each layer's gradient with central differences in real Caffe. Exit 0: all right; "
        "1: one is wrong; 2: the net or an argument is.",
    )
    parser.add_argument("net", help="prototxt of the net; Input blobs are filled at random")
    parser.add_argument("--layer", metavar="NAME", help="only this layer")
    parser.add_argument("--bottom", metavar="K", type=int, help="only the bottom K of each layer, from 0")
    parser.add_argument("--elements", metavar="N", type=int, default=100, help="at most N of a blob (100)")
    parser.add_argument("--phase", choices=["TRAIN", "TEST"], default="TRAIN")
    parser.set_defaults(run=run_gradcheck)


def run_gradcheck(options):
    found = gradcheck.check_net(options.net, options.layer, options.bottom, options.elements, phase=options.phase)
    if not found:
        raise ValueError(f"{options.net} has no layer to check")
    for layer, elements in found.items():
        print("\n".join(gradcheck.report(layer, elements)))
    return int(not all(element.right for elements in found.values() for element in elements))


if __name__ == "__main__":
    sys.exit(main())
