"""Training on one process, on several, and on several machines: also of Python layers, unlike `caffe train --gpu 0,1`.

    caffe-losses train --solver solver.prototxt
    mpirun -n 4 caffe-losses train --solver solver.prototxt --snapshot net_iter_1000.solverstate

Data-parallel and synchronous (Goyal et al., 2017, arXiv 1706.02677): each rank computes the gradient of its own
batch, the ranks average them, and all make the same update. N ranks with a batch of B are one process with a batch of
N B.

Normalizers: FULL, BATCH_SIZE and NONE count the same on every rank, so that the mean over the ranks is that of the
whole batch (NONE: the sum divided by N). What VALID counts differs by rank where labels are ignored: there each of
our losses divides by the mean count over the ranks, which one Allreduce of a number tells, so that the loss is again
that of the whole batch. Caffe's own losses divide by their rank's count: then images of a rank with few valid labels
weigh more.
"""

import math

from . import comm as communication
from . import devices, faults


def add_train(commands):
    parser = commands.add_parser(
        "train",
        help="train a solver; under mpirun, on as many processes",
        description="Train as `caffe train` does, with any solver; under mpirun -n N, on N processes, whose gradients "
        "are averaged. Exit 0: trained; 2: an argument or a file is wrong; 130, 143: stopped by SIGINT or SIGTERM, "
        "after a snapshot.",
    )
    parser.add_argument("--solver", metavar="FILE", required=True, help="solver prototxt")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--weights", metavar="FILES", help="start from these .caffemodel files, separated by commas")
    start.add_argument("--snapshot", metavar="FILE", help="go on from this .solverstate")
    parser.add_argument("--gpu", metavar="LIST", help="device numbers, e.g. 0,1,2,3: a process for each")
    parser.add_argument("--scale-lr", action="store_true", help="multiply base_lr by the number of processes")
    parser.add_argument("--warmup", metavar="N", type=whole, default=0, help="iterations of linear warm-up (0)")
    parser.add_argument("--warmup-lr", metavar="RATE", type=rate, help="base_lr that it starts from (a tenth)")
    parser.set_defaults(run=run_train)


def whole(text):
    if int(text) < 0:
        raise ValueError
    return int(text)


def rate(text):
    if not 0 <= float(text) < math.inf:
        raise ValueError
    return float(text)


def run_train(options):
    gpus = devices.gpu_list(options.gpu) if options.gpu else []
    if len(gpus) > 1 and communication.launched_size() == 1:
        devices.start_processes(options.gpu, arguments(options))
    try:
        comm = communication.connect()
    except ValueError:
        if communication.launched_rank() == 0:
            raise
        return 2
    return run(options, comm)


def arguments(options):
    """The command's words that give these options."""
    words = []
    for name, value in vars(options).items():
        if name not in ("command", "run") and value not in (None, False):
            words.append("--" + name.replace("_", "-"))
            words += [] if value is True else [str(value)]
    return words


def run(options, comm):
    """Train as one rank; of what all ranks find wrong, rank 0 tells."""
    from . import trainer

    faults.log_to_stderr(comm)
    if comm.size == 1:
        return trainer.Trainer(options, comm).run()
    if comm.rank == 0:
        faults.watch_signals(comm)
    try:
        return trainer.Trainer(options, comm).run()
    except trainer.Refused:
        if comm.rank == 0:
            raise
        return 2
    except Exception as error:
        return faults.end_all(comm, error)
