"""Worker processes that decode batches ahead of need, into memory that they share with us.

Threads would not do: the `caffe` program and pycaffe hold Python's global lock while a net computes. A worker is a
program of its own, not a fork, so that nothing of Caffe is in it. It ends when the pipe with its requests ends. The
pipe ends with the process that writes to it, however that process ends.
"""

import itertools
import mmap
import os
import pickle
import subprocess
import sys
import tempfile
import weakref
from collections import deque, namedtuple
from contextlib import suppress
from importlib.util import find_spec

import numpy as np

MODULE = "caffe_losses.data.worker"

# What goes into a batch. images: their numbers in the list. positions: in the stream of all images, for the random
# choices. paths: of the files
Job = namedtuple("Job", "images positions paths")
# What a worker is told first. fd, shape: of the shared memory
Task = namedtuple("Task", "fd shape transform skip seed owner")
# What a worker is told for each batch. slot: of the shared memory
Request = namedtuple("Request", "slot positions paths")
# What a worker answers. error: text, or None. replaced: a Replacement for each image that could not be read
Result = namedtuple("Result", "replaced error")
# Places in a batch: of the image that could not be read, and of the image that was copied there
Replacement = namedtuple("Replacement", "broken other")
# What a worker is at work on, and the images of that batch
Pending = namedtuple("Pending", "worker slot images")


class Feed:
    """Batches of images in the order of `jobs`. At any time, `prefetch` of them are decoded or being decoded.

    jobs       an endless iterator of Jobs
    transform  a Transform. Seed and position decide what is random in it
    shape      of a batch: (batch_size, channels, height, width)
    workers    number of processes. None: one for each core, but at most 4
    skip       what to do with an image that cannot be read. False: ValueError. True: name it on stderr, and take
               another image of its batch
    owner      who reads, for messages
    """

    def __init__(self, jobs, transform, *, shape, prefetch, workers, skip, seed, owner):
        if find_spec("cv2") is None:  # not imported: Caffe may have an OpenCV of its own
            raise ModuleNotFoundError("No module named 'cv2'", name="cv2")
        self.jobs, self.owner = jobs, owner
        shape = (prefetch, *shape)
        self.file = shared_file(int(np.prod(shape, dtype=np.int64)) * 4)
        self.slots = shared_array(self.file.fileno(), shape)
        task = Task(self.file.fileno(), shape, transform, skip, seed, owner)
        self.workers = [Worker(task) for _ in range(min(workers or default_workers(), prefetch))]
        self.close = weakref.finalize(self, stop, self.workers, self.file)
        self.turns, self.pending = itertools.cycle(self.workers), deque()
        for slot in range(prefetch):
            self.request(slot)

    def request(self, slot):
        """Have a worker decode the next batch."""
        job, worker = next(self.jobs), next(self.turns)
        worker.send(Request(slot, job.positions, job.paths))
        self.pending.append(Pending(worker, slot, job.images))

    def next(self, data):
        """Fill `data` with the next batch. Returns the numbers of its images.

        ValueError for an image that cannot be read. RuntimeError if the worker process has died.
        """
        worker, slot, images = self.pending.popleft()
        try:
            result = worker.result()
        except EOFError:
            status = worker.process.wait()
            self.close()
            raise RuntimeError(
                f"{self.owner}: a worker process ended with status {status}; see above, and the memory left"
            ) from None
        if result.error is not None:
            self.close()
            raise ValueError(f"{self.owner}: {result.error}")
        data[...] = self.slots[slot]
        for broken, other in result.replaced:
            images[broken] = images[other]
        self.request(slot)
        return images


class Worker:
    """A worker process and the pipes to it."""

    def __init__(self, task):
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
        # In a session of its own, Ctrl-C reaches Caffe alone, which then makes its snapshot.
        self.process = subprocess.Popen(
            [python(), "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            pass_fds=[task.fd], start_new_session=True,
        )  # fmt: skip
        self.send(task)

    def send(self, record):
        """Send the Task or a Request."""
        with suppress(BrokenPipeError):  # `result` tells of a worker that has ended
            pickle.dump(record, self.process.stdin, pickle.HIGHEST_PROTOCOL)
            self.process.stdin.flush()

    def result(self):
        """The Result of the oldest Request. EOFError if the worker has ended."""
        return pickle.load(self.process.stdout)


def stop(workers, file):
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.wait()
        worker.process.stdout.close()
        with suppress(BrokenPipeError):  # of a request that it did not read
            worker.process.stdin.close()
    file.close()


def default_workers():
    return min(4, len(os.sched_getaffinity(0)))


def python():
    """The Python interpreter. `sys.executable` may be the program that Python is embedded in."""
    if os.path.basename(sys.executable or "").startswith("python"):
        return sys.executable
    return os.path.join(sys.exec_prefix, "bin", "python{}.{}".format(*sys.version_info))


def shared_file(size):
    """Memory with a file descriptor. Not in /dev/shm, which is small in containers."""
    memory = hasattr(os, "memfd_create")  # from Python 3.8 on
    file = os.fdopen(os.memfd_create("caffe_losses"), "r+b") if memory else tempfile.TemporaryFile()  # noqa: SIM115
    file.truncate(size)
    return file


def shared_array(descriptor, shape):
    return np.frombuffer(mmap.mmap(descriptor, 0), np.float32).reshape(shape)
