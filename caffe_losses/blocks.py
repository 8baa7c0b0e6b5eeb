"""Row blocks: the pieces of a blob that stay in a core's cache while all steps of a loss run on them.

Scores are seen as (outer, classes, inner): the axes before the class axis, the class axis, and those
after it. One row is one (outer, inner) position with all its classes, whole in one block.
"""

from collections import namedtuple

BYTES = 1024 * 1024  # a second-level cache of today; smaller blocks cost more in calls than they save in misses

# view: where the block is in an array of (outer, classes, inner); shape: (b, classes, j);
# rows: where its rows are in an array of (outer, inner); start, stop: its place in a flat buffer
# that holds block after block.
Block = namedtuple("Block", "view rows shape start stop")


def row_blocks(shape, itemsize):
    """The blocks that cover an array of shape (outer, classes, inner), in the order of its rows."""
    outer, classes, inner = shape
    row = max(1, classes) * itemsize
    b = max(1, BYTES // (row * max(1, inner)))
    j = inner if row * inner <= BYTES else min(inner, -(-BYTES // row // 16) * 16)
    blocks, start = [], 0
    for o in range(0, outer, b):
        for i in range(0, inner, max(1, j)):
            here = (min(b, outer - o), classes, min(j, inner - i))
            stop = start + here[0] * here[1] * here[2]
            rows = (slice(o, o + here[0]), slice(i, i + here[2]))
            blocks.append(Block((rows[0], slice(None), rows[1]), rows, here, start, stop))
            start = stop
    return blocks
