"""Worker processes that decode batches ahead of need, into memory shared with them.

Threads would not do: the `caffe` program and pycaffe hold Python's global lock while a net computes. A
worker is a program of its own, not a fork, so that nothing of Caffe's is in it, and lives as long as the
pipe of its orders: however the process that gives them ends, the pipe ends with it, and the worker too.
"""

import itertools
import mmap
import os
import pickle
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from contextlib import suppress
from importlib.util import find_spec

import numpy as np

MODULE = "caffe_losses.data.worker"


class Feed:
    """Batches of images in the order of `jobs`, with `prefetch` of them decoded or being decoded at any time.

    jobs       yields (images, positions, paths) of a batch, without end
    transform  a Transform; what is random in it is decided by seed and position
    skip       names an image that cannot be read on stderr and takes another of its batch; else ValueError
    """

    def __init__(self, jobs, transform, shape, batch_size, prefetch, workers, skip, seed, owner):
        if find_spec("cv2") is None:  # not imported: Caffe may have an OpenCV of its own
            raise ModuleNotFoundError("No module named 'cv2'", name="cv2")
        self.jobs, self.owner = jobs, owner
        shape = (prefetch, batch_size, *shape)
        self.file = shared_file(int(np.prod(shape, dtype=np.int64)) * 4)
        self.slots = shared_array(self.file.fileno(), shape)
        task = {"fd": self.file.fileno(), "shape": shape, "transform": transform, "skip": skip, "seed": seed,
                "owner": owner}  # fmt: skip
        self.workers = [Worker(task) for _ in range(min(workers or default_workers(), prefetch))]
        self.close = weakref.finalize(self, stop, self.workers, self.file)
        self.turns, self.ordered = itertools.cycle(self.workers), deque()
        for slot in range(prefetch):
            self.order(slot)

    def order(self, slot):
        images, positions, paths = next(self.jobs)
        worker = next(self.turns)
        worker.order((slot, positions, paths))
        self.ordered.append((worker, slot, images))

    def next(self, data):
        """Fill data with the next batch; returns its images' numbers."""
        worker, slot, images = self.ordered.popleft()
        try:
            replaced = worker.result()
        except EOFError:
            status = worker.process.wait()
            self.close()
            raise RuntimeError(
                f"{self.owner}: a worker process ended with status {status}; see above, and the memory left"
            ) from None
        if isinstance(replaced, str):
            self.close()
            raise ValueError(f"{self.owner}: {replaced}")
        data[...] = self.slots[slot]
        for broken, other in replaced:
            images[broken] = images[other]
        self.order(slot)
        return images


class Worker:
    """A worker process and the pipes to it."""

    def __init__(self, task):
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
        # In a session of its own, Ctrl-C reaches Caffe alone, which then makes its snapshot.
        self.process = subprocess.Popen(
            [python(), "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            pass_fds=[task["fd"]], start_new_session=True,
        )  # fmt: skip
        self.order(task)

    def order(self, job):
        with suppress(BrokenPipeError):  # `result` tells of a worker that has ended
            pickle.dump(job, self.process.stdin, pickle.HIGHEST_PROTOCOL)
            self.process.stdin.flush()

    def result(self):
        return pickle.load(self.process.stdout)


def stop(workers, file):
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.wait()
        worker.process.stdout.close()
        with suppress(BrokenPipeError):  # of an order that it did not read
            worker.process.stdin.close()
    file.close()


def default_workers():
    return min(4, len(os.sched_getaffinity(0)))


def python():
    """The interpreter: `sys.executable`, unless that is the program that Python is embedded in."""
    if os.path.basename(sys.executable or "").startswith("python"):
        return sys.executable
    return os.path.join(sys.exec_prefix, "bin", "python{}.{}".format(*sys.version_info))


def shared_file(size):
    """Memory with a file descriptor; not of /dev/shm, which is small in containers."""
    memory = hasattr(os, "memfd_create")  # from Python 3.8 on
    file = os.fdopen(os.memfd_create("caffe_losses"), "r+b") if memory else tempfile.TemporaryFile()  # noqa: SIM115
    file.truncate(size)
    return file


def shared_array(descriptor, shape):
    return np.frombuffer(mmap.mmap(descriptor, 0), np.float32).reshape(shape)
