"""caffe-losses train: trains a solver, under mpirun on several processes."""

import math

from .. import recipe
from ..parallel import launch
from .arguments import positive


def add_parser(commands):
    parser = commands.add_parser(
        "train",
        help="train a solver; under mpirun, on as many processes",
        description="Train as `caffe train` does, with any solver; under mpirun -n N, on N processes, whose gradients "
        "are averaged. Exit 0: trained; 2: an argument or a file is wrong; 130, 143: stopped by SIGINT or SIGTERM, "
        "after a snapshot.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        help="that `caffe-losses template` wrote: warms up, trains, tests; goes on where it was stopped; writes "
        "train.log and best.caffemodel there",
    )
    what.add_argument("--solver", metavar="FILE", help="any solver prototxt")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--weights", metavar="FILES", help="start from these .caffemodel files, separated by commas")
    start.add_argument("--snapshot", metavar="FILE", help="go on from this .solverstate")
    parser.add_argument("--gpu", metavar="LIST", help="device numbers, e.g. 0,1,2,3: a process for each")
    parser.add_argument("--scale-lr", action="store_true", help="multiply base_lr by the number of processes")
    parser.add_argument("--warmup", metavar="N", type=whole, help="iterations of linear warm-up (0)")
    parser.add_argument("--warmup-lr", metavar="RATE", type=rate, help="base_lr that it starts from (a tenth)")
    parser.add_argument(
        "--keep",
        metavar="N",
        type=positive,
        help="keep N snapshots of this training, the last among them (all; of a FOLDER 2, the last and the best)",
    )
    parser.add_argument(
        "--best", metavar="OUTPUT", help="with --keep: besides the last, those with the best values of this test output"
    )
    parser.add_argument(
        "--stall-timeout", metavar="SECONDS", type=seconds, help="end the job if a process stands still for so long"
    )
    parser.add_argument("--force", action="store_true", help="train a FOLDER anew, over what was trained there")
    parser.set_defaults(run=run)


def whole(text):
    if int(text) < 0:
        raise ValueError
    return int(text)


def rate(text):
    if not 0 <= float(text) < math.inf:
        raise ValueError
    return float(text)


def seconds(text):
    if not 0 < float(text) < math.inf:
        raise ValueError
    return float(text)


def run(options):
    if options.folder:
        return train_folder(options)
    if options.force:
        raise ValueError("--force: expected a FOLDER, got --solver; leave it out")
    return launch.train(
        solver=options.solver,
        weights=options.weights,
        snapshot=options.snapshot,
        gpu=options.gpu,
        scale_lr=options.scale_lr,
        warmup=options.warmup or 0,
        warmup_lr=options.warmup_lr,
        keep=options.keep,
        best=options.best,
        stall_timeout=options.stall_timeout,
    )


def train_folder(options):
    for name in ("snapshot", "warmup", "warmup_lr", "best"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')}: a FOLDER tells it; leave it out, or give --solver")
    return recipe.train(
        options.folder,
        keep=options.keep,
        force=options.force,
        weights=options.weights,
        gpu=options.gpu,
        scale_lr=options.scale_lr,
        stall_timeout=options.stall_timeout,
    )
