"""Worker processes that decode batches ahead of need, into memory that they share with us.

Threads would not do: the `caffe` program and pycaffe hold Python's global lock while a net computes. A worker is a
program of its own, not a fork, so that nothing of Caffe is in it. It ends when the pipe with its requests ends. The
pipe ends with the process that writes to it, however that process ends.
"""

import itertools
import mmap
import os
import subprocess
import sys
import weakref
from collections import deque, namedtuple
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing.connection import Connection

import numpy as np

from .. import files

MODULE = "caffe_losses.data.worker"
STALL = 60  # seconds without an answer, after which a worker is named
STATES = {
    "T": "it is stopped, and goes on after kill -CONT {}",
    "t": "it is stopped by a debugger",
    "D": "it waits for a disk or a network folder",
}

# What goes into a batch. images: their numbers in the list. positions: in the stream of all images, for the random
# choices. paths: of the files
Job = namedtuple("Job", "images positions paths")
# What a worker is told first. fd, shape: of the shared memory
Task = namedtuple("Task", "fd shape transform skip seed owner")
# What a worker is told for each batch. slot: of the shared memory
Request = namedtuple("Request", "slot positions paths")
# What a worker answers. error: text, or None. replaced: a Replacement for each image that could not be read. empty:
# whether there is none that could be read
Result = namedtuple("Result", "replaced error empty")
# Places in a batch: of the image that could not be read, and of the image that was copied there
Replacement = namedtuple("Replacement", "broken other")
# What a worker is at work on, and the images of that batch
Pending = namedtuple("Pending", "worker slot images")
# A batch that came: the numbers of its images, and how many batches of the order it took, with those skipped before it
Arrival = namedtuple("Arrival", "images batches")


class Feed:
    """Batches of images in the order of `jobs`. At any time, `prefetch` of them are decoded or being decoded.

    jobs       an endless iterator of Jobs
    transform  a Transform. Seed and position decide what is random in it
    shape      of a batch: (batch_size, channels, height, width)
    workers    number of processes. None: one for each core, but at most 4
    skip       what to do with an image that cannot be read. False: ValueError. True: name it on stderr, and take
               another image of its batch, or the next batch if none of its images can be read
    epoch      number of batches in which each image is
    owner      who reads, for messages
    """

    def __init__(self, jobs, transform, *, shape, prefetch, workers, skip, seed, epoch, owner):
        if find_spec("cv2") is None:  # not imported: Caffe may have an OpenCV of its own
            raise ModuleNotFoundError("No module named 'cv2'", name="cv2")
        self.jobs, self.owner, self.epoch = jobs, owner, epoch
        shape = (prefetch, *shape)
        self.file = files.memory(bytes_of(shape, owner))
        self.slots = shared_array(self.file.fileno(), shape)
        task = Task(self.file.fileno(), shape, transform, skip, seed, owner)
        self.workers = [Worker(task) for _ in range(min(workers or default_workers(), prefetch))]
        self.close = weakref.finalize(self, stop, self.workers, self.file)
        FEEDS.add(self)
        self.turns, self.pending = itertools.cycle(self.workers), deque()
        for slot in range(prefetch):
            self.request(slot)

    def request(self, slot):
        """Have a worker decode the next batch."""
        job, worker = next(self.jobs), next(self.turns)
        worker.send(Request(slot, job.positions, job.paths))
        self.pending.append(Pending(worker, slot, job.images))

    def next(self, data):
        """Fill `data` with the next batch. Returns its Arrival.

        ValueError for an image that cannot be read. RuntimeError if the worker process has died.
        """
        for batches in range(1, self.epoch + 2):
            worker, slot, images = self.pending.popleft()
            result = self.result(worker)
            if result.error is not None:
                self.close()
                raise ValueError(f"{self.owner}: {result.error}")
            if not result.empty:
                data[...] = self.slots[slot]
                for broken, other in result.replaced:
                    images[broken] = images[other]
            self.request(slot)
            if not result.empty:
                return Arrival(images, batches)
        self.close()
        raise ValueError(f"{self.owner}: no image of the list can be read; see the lines above")

    def result(self, worker):
        """The worker's next Result. A worker that does not answer is named, and waited for."""
        seconds = 0
        try:
            while not worker.results.poll(STALL):
                seconds += STALL
                text = f"no batch from the worker process {worker.process.pid} for {seconds} seconds"
                print(f"{self.owner}: {text}; {state(worker.process.pid)}", file=sys.stderr, flush=True)
            return worker.results.recv()
        except (EOFError, OSError):
            status = worker.process.wait()
            self.close()
            raise RuntimeError(
                f"{self.owner}: a worker process ended with status {status}; see above, and the memory left"
            ) from None


FEEDS = weakref.WeakSet()  # type: weakref.WeakSet


def close_workers():
    """End the worker processes of all readers in this process, such as those of a net that is not used any more.

    A Caffe other than this project's frees no Python layer, so that its workers stay as long as the process. A reader
    that is used again starts new workers, and goes on with the next image.
    """
    for feed in list(FEEDS):
        feed.close()


class Worker:
    """A worker process and the pipes to it."""

    def __init__(self, task):
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
        # In a session of its own, Ctrl-C reaches Caffe alone, which then makes its snapshot.
        self.process = subprocess.Popen(
            [python(), "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0,
            pass_fds=[task.fd], start_new_session=True,
        )  # fmt: skip
        self.requests = connection(self.process.stdin, readable=False)
        self.results = connection(self.process.stdout, writable=False)
        self.send(task)

    def send(self, record):
        """Send the Task or a Request."""
        with suppress(BrokenPipeError):  # Feed.result tells of a worker that has ended
            self.requests.send(record)


def connection(pipe, **direction):
    """A Connection in the place of a pipe: it can wait for a limited time."""
    with pipe:
        return Connection(os.dup(pipe.fileno()), **direction)


def state(pid):
    """What a process that does not answer does, in words."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            letter = file.read().rpartition(")")[2].split()[0]
    except OSError:
        letter = ""
    return STATES.get(letter, "it is still at work").format(pid)


def stop(workers, file):
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.wait()
        worker.results.close()
        worker.requests.close()
    file.close()


def bytes_of(shape, owner):
    """The size of the batches that are ahead. ValueError if the machine has not as much memory."""
    size = int(np.prod(shape, dtype=np.float64)) * 4
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        numbers = " x ".join(map(str, shape[1:]))
        raise ValueError(
            f"{owner}: {shape[0]} batches ahead of {numbers} numbers take {size / 2**30:.1f} GiB, and the machine has "
            f"{memory / 2**30:.1f}; give a smaller prefetch, batch_size or image"
        )
    return size


def default_workers():
    return min(4, len(os.sched_getaffinity(0)))


def python():
    """The Python interpreter. `sys.executable` may be the program that Python is embedded in."""
    if os.path.basename(sys.executable or "").startswith("python"):
        return sys.executable
    return os.path.join(sys.exec_prefix, "bin", "python{}.{}".format(*sys.version_info))


def shared_array(descriptor, shape):
    return np.frombuffer(mmap.mmap(descriptor, 0), np.float32).reshape(shape)
