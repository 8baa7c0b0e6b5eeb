"""The processes of one training: which of them this one is, and what they say to one another.

Under mpirun they use mpi4py. A process that MPI did not start is rank 0 of 1, and imports no MPI.
"""

import os

import numpy as np

from .lines import place
from .stalls import Stalls

SIZES = "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE"  # Open MPI; MVAPICH; MPICH, Intel MPI, srun
RANKS = "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"
LOCAL_SIZES = "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"


def number_in(names):
    """The number in the first of these environment variables that has one, or None."""
    values = [os.environ[name] for name in names if os.environ.get(name, "").isdigit()]
    return int(values[0]) if values else None


def launched_rank():
    return number_in(RANKS) or 0


def launched_size():
    """How many processes the launcher started. 1 without a launcher."""
    size = number_in(SIZES)
    if size is None and "PMIX_RANK" in os.environ:
        size = number_in(["SLURM_NTASKS"])
    return size or 1


def share_cores():
    """Give OpenBLAS the rank's share of the cores. It would take all of them. Call it before Caffe is imported."""
    cores = max(1, (os.cpu_count() or 1) // (number_in(LOCAL_SIZES) or 1))
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(cores))


def connect(stall_timeout=None):
    """The communicator of the processes that were started together: Alone or Ranks. ValueError without mpi4py.

    stall_timeout  seconds after which a rank that stands still ends all. None: it is only named
    """
    size = launched_size()
    if size == 1:
        return Alone()
    share_cores()
    return Ranks(size, stall_timeout)


class Alone:
    """One process: the part of `Ranks` that needs no other process."""

    rank, size, local_rank = 0, 1, 0

    def all_of(self, value):
        return [value]

    def broadcast_bytes(self, data):
        return data

    def mean(self, number):
        return number

    def meet(self):
        pass

    def at_work(self):
        pass


class Ranks:
    """All processes of an mpirun. No call of it waits for a rank without a word: see `stalls`.

    launched       their number, as the launcher says
    stall_timeout  as of `connect`
    """

    def __init__(self, launched, stall_timeout=None):
        try:
            import mpi4py

            mpi4py.rc.thread_level = "multiple"  # for the thread of Stalls
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            raise ValueError(
                f"{launched} processes were started by MPI, but mpi4py cannot be imported "
                f"({str(error).splitlines()[0]}); pip install mpi4py, and Open MPI (Debian: openmpi-bin)"
            ) from None
        self.mpi = MPI
        self.world = MPI.COMM_WORLD
        self.rank, self.size = self.world.rank, self.world.size
        if self.size != launched:
            raise ValueError(
                f"{launched} processes were started, but MPI sees {self.size}: mpi4py uses another MPI "
                f"({MPI.Get_library_version().split(',')[0].strip()}); start them with the mpirun of that one"
            )
        self.local_rank = self.world.Split_type(MPI.COMM_TYPE_SHARED).rank
        places = self.world.allgather(place(self.rank))
        self.stalls = Stalls(self.world.Dup(), places, stall_timeout, self.abort)

    def meet(self):
        """Wait for all ranks."""
        with self.stalls:
            self.world.Barrier()

    def at_work(self):
        """Say that this rank, for which the others wait, is at work."""
        self.stalls.at_work()

    def all_of(self, value):
        """The values of all ranks, in a list."""
        with self.stalls:
            return self.world.allgather(value)

    def broadcast(self, array):
        """Overwrite the array with the array of rank 0, of the same shape."""
        with self.stalls:
            self.world.Bcast(array, root=0)

    def broadcast_bytes(self, data):
        """The bytes of rank 0, on every rank."""
        with self.stalls:
            length = self.world.bcast(None if data is None else len(data), root=0)
        array = np.empty(length, np.uint8) if data is None else np.frombuffer(data, np.uint8).copy()
        self.broadcast(array)
        return array.tobytes()

    def sum(self, array):
        """Replace the array by the sum of the arrays of all ranks."""
        with self.stalls:
            self.world.Allreduce(self.mpi.IN_PLACE, array, op=self.mpi.SUM)

    def mean(self, number):
        """The mean of the numbers of all ranks."""
        with self.stalls:
            return self.world.allreduce(number) / self.size

    def abort(self, code):
        """End all ranks."""
        self.world.Abort(code)
