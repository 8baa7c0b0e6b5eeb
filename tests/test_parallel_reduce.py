"""How gradients are packed to be averaged."""

from caffe_losses.parallel import reduce


def test_buckets_hold_neighbours_or_one_large_blob():
    assert reduce.buckets([3, 3, 3, 20, 1, 9, 1], limit=10) == [[0, 1, 2], [3], [4, 5], [6]]
    assert reduce.buckets([], limit=10) == []
