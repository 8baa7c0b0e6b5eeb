"""caffe-losses plot: training logs as a picture."""

from ..evaluation import plot
from .arguments import add_force, input_file, outputs


def add_parser(commands):
    parser = commands.add_parser(
        "plot",
        help="draw loss, learning rate and metrics of training logs",
        description="Draw the logs of `caffe train`, or of trainers that print as it does, in one picture. Each log "
        "has a colour; the log of a restored run, appended to the first, continues it. Exit 2: a file is no log.",
    )
    parser.add_argument(
        "logs", metavar="LOG", type=input_file, nargs="+", help="what `caffe train` printed (2> train.log)"
    )
    parser.add_argument("-o", "--output", metavar="OUT", default="training.png", help="the PNG to write (training.png)")
    add_force(parser)
    parser.set_defaults(run=run)


def run(options):
    output = outputs(options, [options.output])
    output.write([lambda file: plot(options.logs, file)])
    print(options.output)
    return 0
