"""A worker process of a Feed: takes orders on stdin and tells results on stdout, both pickled, until stdin ends."""

import os
import pickle
import sys
from random import Random

from .feed import shared_array


def main():
    orders = sys.stdin.buffer
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the results
    try:
        import cv2

        cv2.setNumThreads(0)
        task = pickle.load(orders)
        slots = shared_array(task["fd"], task["shape"])
        while True:
            slot, positions, paths = pickle.load(orders)
            pickle.dump(fill(slots[slot], positions, paths, task), results)
            results.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)  # there is no one to tell


def fill(batch, positions, paths, task):
    """Decode a batch; [(place of a broken image, place of the one taken for it)], or text of what is wrong."""
    transform, broken = task["transform"], []
    for k, (position, path) in enumerate(zip(positions, paths)):
        random = Random((task["seed"] << 64) + int(position))  # a RandomState takes longer to make than a small image
        try:
            transform(path, random, out=batch[k])
        except (ValueError, OSError) as error:
            if not task["skip"]:
                return f"{error}; mend the list, or give broken SKIP"
            print("{}: {}; skipped".format(task["owner"], error), file=sys.stderr, flush=True)
            broken.append(k)
    return replace(batch, broken)


def replace(batch, broken):
    """Put the next image that can be read in the place of each broken one."""
    good = [k for k in range(len(batch)) if k not in set(broken)]
    if not good:
        return "no image of a batch can be read; see the lines above"
    replaced = [(k, next((other for other in good if other > k), good[0])) for k in broken]
    for k, other in replaced:
        batch[k] = batch[other]
    return replaced


if __name__ == "__main__":
    main()
