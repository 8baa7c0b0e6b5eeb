"""Starts a training on the processes that there are: this one, those of mpirun, or one for each GPU."""

from . import comm as communication
from . import devices, faults, trainer


def train(*, solver, weights=None, snapshot=None, gpu=None, scale_lr=False, warmup=0, warmup_lr=None):
    """Train a solver to its end, as `caffe train` does. Under mpirun, each process calls this.

    solver     the solver prototxt
    weights    .caffemodel files to start from, separated by commas
    snapshot   a .solverstate to go on from
    gpu        device numbers, such as "0,1,2,3": one process for each. None: as the solver says
    scale_lr   multiply base_lr by the number of processes
    warmup     iterations in which base_lr rises linearly to its value
    warmup_lr  the base_lr that this begins with. None: a tenth

    Returns the exit code of the process: 0 after the last iteration; 130 or 143 after a signal, which one process
    answers with a snapshot; 2 on the ranks other than 0 if all refuse. ValueError or OSError for an argument or a
    file that is wrong. With several processes, any other error ends all of them.
    """
    job = trainer.Job(solver, weights, snapshot, gpu, scale_lr, warmup, warmup_lr)
    gpus = devices.gpu_list(gpu) if gpu else []
    if len(gpus) > 1 and communication.launched_size() == 1:
        devices.start_processes(gpu, arguments(job))
    try:
        comm = communication.connect()
    except ValueError:
        if communication.launched_rank() == 0:
            raise
        return 2
    return run(job, comm)


def arguments(job):
    """The words after `caffe-losses train` that give this Job."""
    words = []
    for name, value in job._asdict().items():
        if value not in (None, False):
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
