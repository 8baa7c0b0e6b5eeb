"""Starts a training on the processes that there are: this one, those of mpirun, or one for each GPU."""

import signal

from . import comm as communication
from . import devices, faults, trainer


def train(
    *, solver, weights=None, snapshot=None, gpu=None, scale_lr=False, warmup=0, warmup_lr=None, keep=None, best=None,
    stall_timeout=None, folder=None
):  # fmt: skip
    """Train a solver to its end, as `caffe train` does. Under mpirun, each process calls this.

    solver         the solver prototxt
    weights        .caffemodel files to start from, separated by commas
    snapshot       a .solverstate to go on from
    gpu            device numbers, such as "0,1,2,3": one process for each. None: as the solver says
    scale_lr       multiply base_lr by the number of processes
    warmup         iterations in which base_lr rises linearly to its value
    warmup_lr      the base_lr that this begins with. None: a tenth
    keep           how many of the snapshots of this training are kept, the last among them. None: all
    best           an output of the test net: those before the last are those with its best values. None: the latest
    stall_timeout  seconds after which a process that stands still ends all. None: it is only named, after a minute
    folder         a `recipe.Folder`, which says where to go on, takes the log and publishes the best weights; or None

    Returns the exit code of the process: 0 after the last iteration; 130 or 143 after a signal, which one process
    answers with a snapshot; 2 on the ranks other than 0 if all refuse. ValueError or OSError for an argument or a
    file that is wrong. With several processes, any other error ends all of them.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the training can write a snapshot
    check_files_and_keep(weights, snapshot, keep, best)
    job = trainer.Job(solver, weights, snapshot, gpu, scale_lr, warmup, warmup_lr, keep, best, stall_timeout, folder)
    gpus = devices.gpu_list(gpu) if gpu else []
    if len(gpus) > 1 and communication.launched_size() == 1:
        devices.start_processes(gpu, arguments(job))
    try:
        comm = communication.connect(stall_timeout)
    except ValueError:
        if communication.launched_rank() == 0:
            raise
        return 2
    return run(job, comm)


def check_files_and_keep(weights, snapshot, keep, best):
    """ValueError for an empty name, as of a shell variable that is not set, and for --best where none is kept."""
    for option, name, ending in (("--weights", weights, ".caffemodel"), ("--snapshot", snapshot, ".solverstate")):
        if name is not None and not name.strip():
            raise ValueError(f"{option}: expected a {ending} file, got an empty name; give one, or leave {option} out")
    if best is not None and (keep or 0) < 2:
        raise ValueError(f"--best {best}: expected --keep 2 or more, the last snapshot and the best; got --keep {keep}")


def arguments(job):
    """The words after `caffe-losses train` that give this Job."""
    words, folder = [], job.folder
    if folder:
        job = job._replace(folder=None, solver=None, warmup=0, warmup_lr=None, best=None)
        words += [".", *["--force"] * folder.force]
    for name, value in job._asdict().items():
        if value not in (None, False, 0):
            words.append("--" + name.replace("_", "-"))
            words += [] if value is True else [str(value)]
    return words


def run(job, comm):
    """Train as one rank. If all ranks find the same thing wrong, rank 0 says it."""
    faults.log_to_stderr(comm)
    if comm.size == 1:
        return trainer.Trainer(job, comm).run()
    if comm.rank == 0:
        faults.watch_signals(comm)
    try:
        return trainer.Trainer(job, comm).run()
    except trainer.Refused:
        if comm.rank == 0:
            raise
        return 2
    except Exception as error:
        return faults.end_all(comm, error)
