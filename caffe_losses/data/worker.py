"""A worker process of a Feed. It reads Requests from stdin and writes Results to stdout, pickled, until stdin ends."""

import os
import sys
from multiprocessing.connection import Connection
from queue import Queue
from random import Random
from threading import Thread

from .feed import Replacement, Result, shared_array


def main():
    requests, results = Connection(0, writable=False), Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # what a library prints must not get between the results
    queue = Queue()
    Thread(target=receive, args=(requests, queue), daemon=True).start()
    import cv2

    cv2.setNumThreads(0)
    task = queue.get()
    slots = shared_array(task.fd, task.shape)
    while True:
        request = queue.get()
        try:
            results.send(fill(slots[request.slot], request, task))
        except BrokenPipeError:
            os._exit(0)  # there is no one to tell


def receive(requests, queue):
    """Take what comes, whatever the worker is at: the Feed must never wait in `send` while the worker waits for it."""
    try:
        while True:
            queue.put(requests.recv())
    except (EOFError, OSError):
        os._exit(0)


def fill(batch, request, task):
    """Decode the images of a Request into the batch. Returns the Result."""
    broken = []
    for k, (position, path) in enumerate(zip(request.positions, request.paths)):
        random = Random((task.seed << 64) + int(position))  # a RandomState takes longer to make than a small image
        try:
            task.transform(path, random, out=batch[k])
        except (ValueError, OSError) as error:
            if not task.skip:
                return Result([], f"{error}; mend the list, or give broken SKIP", False)
            print(f"{task.owner}: {error}; skipped", file=sys.stderr, flush=True)
            broken.append(k)
    return replace(batch, broken)


def replace(batch, broken):
    """Copy another image to the place of each broken one: the next one that could be read. Returns the Result."""
    good = [k for k in range(len(batch)) if k not in set(broken)]
    if not good:
        return Result([], None, True)
    replaced = [Replacement(k, next((other for other in good if other > k), good[0])) for k in broken]
    for k, other in replaced:
        batch[k] = batch[other]
    return Result(replaced, None, False)


if __name__ == "__main__":
    main()
