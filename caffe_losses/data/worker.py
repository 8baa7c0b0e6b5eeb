"""A worker process of a Feed. It reads Requests from stdin and writes Results to stdout, pickled, until stdin ends."""

import os
import pickle
import sys
from random import Random

from .feed import Replacement, Result, shared_array


def main():
    requests = sys.stdin.buffer
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the results
    try:
        import cv2

        cv2.setNumThreads(0)
        task = pickle.load(requests)
        slots = shared_array(task.fd, task.shape)
        while True:
            request = pickle.load(requests)
            pickle.dump(fill(slots[request.slot], request, task), results)
            results.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)  # there is no one to tell


def fill(batch, request, task):
    """Decode the images of a Request into the batch. Returns the Result."""
    broken = []
    for k, (position, path) in enumerate(zip(request.positions, request.paths)):
        random = Random((task.seed << 64) + int(position))  # a RandomState takes longer to make than a small image
        try:
            task.transform(path, random, out=batch[k])
        except (ValueError, OSError) as error:
            if not task.skip:
                return Result([], f"{error}; mend the list, or give broken SKIP")
            print(f"{task.owner}: {error}; skipped", file=sys.stderr, flush=True)
            broken.append(k)
    return replace(batch, broken)


def replace(batch, broken):
    """Copy another image to the place of each broken one: the next one that could be read. Returns the Result."""
    good = [k for k in range(len(batch)) if k not in set(broken)]
    if not good:
        return Result([], "no image of a batch can be read; see the lines above")
    replaced = [Replacement(k, next((other for other in good if other > k), good[0])) for k in broken]
    for k, other in replaced:
        batch[k] = batch[other]
    return Result(replaced, None)


if __name__ == "__main__":
    main()
