"""The caffe-losses command."""

import os
import sys

from . import __version__, extras
from .commands import (
    deploy,
    evaluate,
    gradcheck,
    imports,
    plot,
    predict,
    resample,
    split,
    template,
    train,
    weights,
    wire,
)
from .commands.arguments import Parser


def main(arguments=None):
    """Run a command; its exit code. What is wrong with its arguments or files is told in a line, with exit code 2."""
    keep_standard_files()
    try:
        options = parser().parse_args(arguments)
        return options.run(options)
    except (ValueError, OSError) as error:
        text = str(error)
    except ImportError as error:
        text = extras.explained(error)
    except KeyboardInterrupt:
        return 130
    print(f"caffe-losses: {text}", file=sys.stderr)
    return 2


def keep_standard_files():
    """Open what a caller has closed of stdin, stdout and stderr: else a file of ours gets its number, and lines."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest number that is free


def parser():
    root = Parser(prog="caffe-losses", description="Multi-label training in Caffe.")
    root.add_argument("--version", action="version", version=f"caffe-losses {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    for command in (
        gradcheck,
        template,
        wire,
        deploy,
        imports,
        split,
        resample,
        weights,
        evaluate,
        predict,
        plot,
        train,
    ):
        command.add_parser(commands)
    return root


if __name__ == "__main__":
    sys.exit(main())
