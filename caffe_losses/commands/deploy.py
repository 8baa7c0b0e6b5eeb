"""caffe-losses deploy: the net for inference of a train_val."""

from ..net import prototxt
from ..wiring import deploy
from .arguments import add_rewriting, finish, input_file, stages_of


def add_parser(commands):
    parser = commands.add_parser(
        "deploy",
        help="make the net for inference of a train_val",
        description="Input layers for data, a Softmax or Sigmoid for the loss, and only the layers between. Each "
        "change is printed.",
    )
    parser.add_argument("net", type=input_file, help="prototxt of the net for training")
    parser.add_argument(
        "--head",
        metavar="NAME",
        action="append",
        help="the loss whose scores to keep (that of the largest loss_weight)",
    )
    add_rewriting(parser)
    parser.set_defaults(run=run)


def run(options):
    file, foreign = prototxt.read_foreign(options.net)
    rewritten = deploy(
        file.net,
        heads=options.head,
        shapes=dict(options.shape),
        stages=stages_of(options),
        foreign=foreign,
    )
    return finish(file, rewritten, options)
