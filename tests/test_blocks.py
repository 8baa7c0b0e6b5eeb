import numpy as np
import pytest

from caffe_losses import blocks


@pytest.mark.parametrize("shape", [(1, 1, 1), (256, 17000, 1), (2, 21, 147456), (300, 3, 7), (5, 100000, 1), (0, 4, 1),
                                   (3, 4, 0), (2, 3, 17)])  # fmt: skip
@pytest.mark.parametrize("size", [1, 1000, blocks.BYTES])
def test_blocks_cover_every_row_once_and_in_order(shape, size, monkeypatch):
    monkeypatch.setattr(blocks, "BYTES", max(size, 4 * shape[1] * shape[2] // 50))
    seen = np.zeros((shape[0], shape[2]), int)
    stop = 0
    for block in blocks.row_blocks(shape, 4):
        seen[block.rows] += 1
        assert np.broadcast_to(0, shape)[block.view].shape == block.shape
        assert block.start == stop
        stop = block.stop
        assert stop - block.start == np.prod(block.shape)
    assert (seen == 1).all()
    assert stop == np.prod(shape)


def test_blocks_are_as_large_as_the_cache_wants():
    for shape in [(256, 17000, 1), (64, 1000, 1), (2, 21, 147456), (10000, 2, 3)]:
        sizes = [4 * np.prod(block.shape) for block in blocks.row_blocks(shape, 4)]
        assert max(sizes) <= 1.1 * blocks.BYTES
        assert len(sizes) == 1 or np.median(sizes) > 0.6 * blocks.BYTES
