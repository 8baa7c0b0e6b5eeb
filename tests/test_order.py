import numpy as np
import pytest

from caffe_losses.data.order import Order, systematic


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_solvers_share_an_epoch_disjoint_and_complete(shuffle, ranks):
    orders = [Order(10, shuffle=shuffle, seed=1, rank=rank, ranks=ranks) for rank in range(ranks)]
    seen = {}
    for _ in range(8):
        for order in orders:
            positions, images = order.take(5)
            assert not set(positions) & set(seen)
            seen.update(zip(positions, images))
    for epoch in range(len(seen) // 10):
        assert sorted(seen[epoch * 10 + k] for k in range(10)) == list(range(10))


def test_solvers_together_have_the_batch_of_one():
    alone = Order(10, shuffle=True, seed=3)
    shared = [Order(10, shuffle=True, seed=3, rank=rank, ranks=2) for rank in range(2)]
    for _ in range(5):
        together = np.stack([order.take(4).images for order in shared], axis=1).ravel()
        np.testing.assert_array_equal(together, alone.take(8).images)


def test_each_epoch_and_seed_has_its_own_permutation():
    order, other = Order(50, shuffle=True, seed=1), Order(50, shuffle=True, seed=2)
    first, second = order.take(50).images, order.take(50).images
    assert (first != second).any()
    for epoch in other.take(50).images, other.take(50).images:
        assert (first != epoch).any()
        assert (second != epoch).any()  # seed 1's second epoch is not seed 2's first
    np.testing.assert_array_equal(Order(50, shuffle=True, seed=1).take(50).images, first)


def test_without_shuffling_the_order_is_the_list_s():
    assert Order(3).take(7).images.tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_factors_hold_on_average_and_each_epoch_is_equally_long():
    factors = np.array([1, 1.25, 2.5, 1])
    order = Order(4, shuffle=True, seed=1, factors=factors)
    assert order.length == 6
    epochs = [np.bincount(order.take(6).images, minlength=4) for _ in range(2000)]
    assert all(((epoch == np.floor(expected)) | (epoch == np.ceil(expected))).all()
               for epoch in epochs for expected in [factors * 6 / 5.75])  # fmt: skip
    np.testing.assert_allclose(np.mean(epochs, axis=0), factors * 6 / 5.75, atol=0.05)  # 4.5 standard errors of 0.011


@pytest.mark.parametrize("start", [0, 0.3, 0.999999])
def test_rounding_keeps_the_sum(start):
    for seed in range(20):  # some sums of floats end just below 1500
        factors = np.random.RandomState(seed).rand(1000) + 1
        factors *= 1500 / factors.sum()
        assert systematic(factors, start).sum() == 1500
