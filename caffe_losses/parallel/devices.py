"""Where a rank computes, and how its gradients get to the others: through MPI, or on GPUs through NCCL."""

import os
import shutil
import sys

from . import reduce


def gpu_list(text):
    """'0,2' -> [0, 2]."""
    try:
        gpus = [int(word) for word in text.split(",")]
    except ValueError:
        gpus = []
    if not gpus or min(gpus) < 0 or len(set(gpus)) < len(gpus):
        raise ValueError(f"--gpu: expected device numbers such as 0 or 0,1,2,3, each once, got {text}")
    return gpus


def device(text, param, comm):
    """The GPU of this rank, or None: of --gpu, each of a machine's ranks takes one; or of the solver, as `caffe train` does."""
    import caffe

    if text:
        gpus = gpu_list(text)
    elif param.HasField("solver_mode") and param.solver_mode == param.GPU:
        gpus = [param.device_id]
    else:
        return None
    if not hasattr(caffe._caffe.Blob, "_gpu_diff_ptr"):
        asked = f"--gpu {text}" if text else "solver_mode: GPU"
        remedy = "leave it out" if text else "write solver_mode: CPU"
        raise ValueError(f"{asked}: this Caffe is built for the CPU only; {remedy}, or build Caffe with CUDA")
    if comm.local_rank >= len(gpus):
        raise ValueError(f"--gpu: {len(gpus)} for more processes on this machine; start one for each, e.g. -n {len(gpus)}")
    return gpus[comm.local_rank]


def use(gpu):
    import caffe

    if gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(gpu)
        caffe.set_mode_gpu()


def gradient_mean(gpu, comm, solver, blobs):
    """The solver callbacks (on_start, on_gradients_ready) that average gradients: (NCCL,) is both."""
    import caffe

    if gpu is not None and caffe.has_nccl():
        nccl = caffe.NCCL(solver, comm.broadcast_bytes(caffe.NCCL.new_uid() if comm.rank == 0 else None))
        return (nccl,)
    return (lambda: None), reduce.GradientMean(comm, blobs)


def start_processes(gpus, arguments):
    """Several GPUs without MPI's mpirun: replace this process by an mpirun with one process for each."""
    import caffe

    if not caffe.has_nccl():
        raise ValueError(f"--gpu {','.join(map(str, gpus))}: this Caffe is built without NCCL")
    if shutil.which("mpirun") is None:
        raise ValueError("several GPUs are trained by as many processes, and mpirun is not found; apt-get install openmpi-bin")
    command = ["mpirun", "-n", str(len(gpus)), "--bind-to", "none", sys.executable, "-m", "caffe_losses", "train"]
    os.execvp(command[0], command + arguments)
