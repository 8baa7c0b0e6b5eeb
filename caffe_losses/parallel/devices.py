"""Where a rank computes, and how gradients are averaged: by MPI, or by NCCL on GPUs."""

import ctypes
import os
import shutil
import sys

from . import reduce


def gpu_list(text):
    """'0,2' -> [0, 2]. ValueError for anything else than different device numbers."""
    try:
        gpus = [int(word) for word in text.split(",")]
    except ValueError:
        gpus = []
    if not gpus or min(gpus) < 0 or len(set(gpus)) < len(gpus):
        raise ValueError(f"--gpu: expected device numbers such as 0 or 0,1,2,3, each once, got {text}")
    return gpus


def device(text, param, comm):
    """The GPU of this rank, or None for the CPU.

    text   of --gpu: each rank of a machine takes one of them. None: the solver says
    param  the SolverParameter
    """
    if text:
        gpus = gpu_list(text)
    elif param.HasField("solver_mode") and param.solver_mode == param.GPU:
        gpus = [param.device_id]
    else:
        return None
    check_built_for_gpus(f"--gpu {text}" if text else "solver_mode: GPU")
    if comm.local_rank >= len(gpus):
        raise ValueError(
            f"--gpu: {len(gpus)} for more processes on this machine; start one for each, e.g. -n {len(gpus)}"
        )
    return gpus[comm.local_rank]


def check_built_for_gpus(asked):
    import caffe

    if not hasattr(caffe._caffe.Blob, "_gpu_diff_ptr"):
        remedy = "leave it out" if asked.startswith("--gpu") else "write solver_mode: CPU"
        raise ValueError(f"{asked}: this Caffe is built for the CPU only; {remedy}, or build Caffe with CUDA")


def check_there(gpu):
    """ValueError if this machine has no GPU of that number: Caffe ends the process. CUDA is asked through pycaffe's."""
    import caffe

    count = ctypes.c_int()
    ctypes.CDLL(caffe._caffe.__file__).cudaGetDeviceCount(ctypes.byref(count))
    if gpu >= count.value:
        raise ValueError(
            f"--gpu {gpu}: CUDA sees {count.value} GPUs on this machine; give a number below that, or leave it out"
        )


def use(gpu):
    import caffe

    if gpu is None:
        caffe.set_mode_cpu()
    else:
        check_there(gpu)
        caffe.set_device(gpu)
        caffe.set_mode_gpu()


def gradient_mean(gpu, comm, *, solver, blobs):
    """The arguments of solver.add_callback that average gradients: on_start and on_gradients_ready, or NCCL as both."""
    import caffe

    if gpu is not None and caffe.has_nccl():
        nccl = caffe.NCCL(solver, comm.broadcast_bytes(caffe.NCCL.new_uid() if comm.rank == 0 else None))
        return (nccl,)
    return (lambda: None), reduce.GradientMean(comm, blobs)


def start_processes(text, arguments):
    """Replace this process by an mpirun, with one process for each GPU.

    text       of --gpu
    arguments  the words after `caffe-losses train`
    """
    check_built_for_gpus(f"--gpu {text}")
    if shutil.which("mpirun") is None:
        raise ValueError(
            f"--gpu {text}: each is trained by a process of mpirun, which is not found; apt-get install openmpi-bin"
        )
    ranks = ["mpirun", "-n", str(len(gpu_list(text))), "--bind-to", "none"]
    os.execvp(ranks[0], [*ranks, sys.executable, "-m", "caffe_losses", "train", *arguments])
