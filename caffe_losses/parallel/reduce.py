"""Gradients are averaged over the ranks, and weights are sent to them.

The gradient of a rank is the mean over its batch of B. So the mean of the gradients is the mean over a batch of N B.
A few large Allreduce calls are faster than many small ones. So small blobs are packed into a float32 buffer, in
buckets. A large blob is a bucket of its own, and is averaged where it is.
"""

import numpy as np

BUCKET = 1 << 22  # floats: 16 MB, of which latency is no part worth speaking of, and which a cache may hold


def learned_blobs(net):
    """The parameters of a net. A parameter that several layers share has one memory, and is there once."""
    blobs = {}
    for layer in net.layers:
        for blob in layer.blobs:
            blobs.setdefault(blob.diff.__array_interface__["data"][0], blob)
    return list(blobs.values())


def buckets(counts, limit=BUCKET):
    """Lists of the indices of neighbouring blobs: at most `limit` floats in a list, or one blob that has more."""
    lists, room = [], 0
    for k, count in enumerate(counts):
        if count > room or not lists:
            lists.append([])
            room = limit
        lists[-1].append(k)
        room -= count
    return lists


class GradientMean:
    """Replaces gradients by their mean over the ranks. The solver calls it when the gradients of a rank are ready.

    blobs  the parameters, from `learned_blobs`
    """

    def __init__(self, comm, blobs):
        self.comm = comm
        counts = [blob.count for blob in blobs]
        self.buckets = [[blobs[k] for k in bucket] for bucket in buckets(counts)]
        packed = [sum(blob.count for blob in bucket) for bucket in self.buckets if len(bucket) > 1]
        self.buffer = np.empty(max(packed + [0]), np.float32)
        self.bytes = 4 * sum(counts)

    def __call__(self):
        for bucket in self.buckets:
            diffs = [blob.diff.reshape(-1) for blob in bucket]
            if len(diffs) == 1:
                self.average(diffs[0])
            else:
                flat = self.buffer[: sum(diff.size for diff in diffs)]
                parts = split(flat, diffs)
                for part, diff in zip(parts, diffs):
                    part[...] = diff
                self.average(flat)
                for part, diff in zip(parts, diffs):
                    diff[...] = part

    def average(self, array):
        self.comm.sum(array)
        array *= np.float32(1 / self.comm.size)


def split(flat, arrays):
    """Views of a flat array, with the sizes of the arrays."""
    ends = np.cumsum([array.size for array in arrays])
    return [flat[end - array.size : end] for end, array in zip(ends, arrays)]


def broadcast_weights(comm, blobs):
    """Give all ranks the weights of rank 0."""
    for blob in blobs:
        comm.broadcast(blob.data)
