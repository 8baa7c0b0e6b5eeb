"""Augmentation, measured on thousands of pictures."""

import math
from random import Random

import cv2
import numpy as np
import pytest
from pictures import picture, write_list
from scipy.stats import kstest

from caffe_losses.data import LEVELS, Batches, Transform, augment, with_level

DRAWS = 4000
RARE = 1e-4  # how often one of these tests of chance may fail, before the seeds were fixed
ALL = {
    "crop_size": 8, "crop_scale": [0.3, 1], "rotation": 20, "brightness": 0.3, "contrast": 0.3, "saturation": 0.3,
    "hue": 0.1, "erasing": 0.5, "mirror": True,
}  # fmt: skip


def assert_uniform(values, low, high):
    assert low <= min(values) and max(values) <= high
    assert kstest(values, "uniform", (low, high - low)).pvalue > RARE


@pytest.fixture
def path(tmp_path):
    """A picture of 12 x 16, and its file."""
    cv2.imwrite(str(tmp_path / "0.png"), picture(0))
    return str(tmp_path / "0.png")


def test_without_augmentation_chance_is_that_of_crop_and_mirror_alone(path):
    transform = Transform(train=True, crop_size=8, mirror=True)
    values = picture(0).transpose(2, 0, 1)
    for seed in range(50):
        chance = Random(seed)
        top, left, mirror = chance.randrange(5), chance.randrange(9), chance.getrandbits(1)
        expected = values[:, top : top + 8, left : left + 8][:, :, :: -1 if mirror else 1]
        np.testing.assert_array_equal(transform(path, Random(seed)), expected)


# Windows


def windows(sides, scale, aspects, shape=1.0):
    """height, width, top and left of DRAWS windows, as columns."""
    chance = Random(1)
    drawn = [augment.window(chance, sides, scale, aspects, shape) for _ in range(DRAWS)]
    return np.array([[h.stop - h.start, w.stop - w.start, h.start, w.start] for h, w in drawn], float).T


def test_the_area_of_windows_is_uniform_and_so_is_the_logarithm_of_their_aspect():
    height, width, top, left = windows((2000, 2000), [0.1, 0.5], [0.75, 4 / 3])
    share, aspect = height * width / 2000**2, np.log(width / height)
    assert_uniform(share, 0.1 - 1e-3, 0.5 + 1e-3)
    assert_uniform(aspect, math.log(0.75) - 2e-3, math.log(4 / 3) + 2e-3)
    assert abs(np.corrcoef(share, aspect)[0, 1]) < 4 / math.sqrt(DRAWS)
    for place, side in ((top, height), (left, width)):
        assert_uniform(place / (2000 - side), 0, 1)


def test_the_aspect_is_counted_from_that_of_the_crop():
    height, width, _, _ = windows((2000, 4000), [0.1, 0.4], [0.8, 1.25], shape=2.0)
    assert_uniform(np.log(width / height / 2), math.log(0.8) - 3e-3, math.log(1.25) + 3e-3)


def test_a_window_that_never_fits_is_the_largest_in_the_middle():
    assert augment.window(Random(0), (10, 1000), [1, 1], [1, 1]) is None
    image = np.arange(10 * 1000, dtype=np.uint8).reshape(10, 1000, 1)
    cut = augment.resized_crop(image, Random(0), (10, 10), [1, 1], [1, 1])
    np.testing.assert_array_equal(cut, image[:, 495:505])


@pytest.mark.parametrize("sides, crop, expected", [
    ((12, 16), (8, 8), (slice(0, 12), slice(2, 14))),
    ((12, 16), (8, 16), (slice(2, 10), slice(0, 16))),
    ((12, 16), (16, 8), (slice(0, 12), slice(5, 11))),
    ((1, 1), (8, 16), (slice(0, 1), slice(0, 1))),
])  # fmt: skip
def test_the_largest_window_of_a_shape(sides, crop, expected):
    assert augment.middle(sides, crop[1] / crop[0]) == expected


def test_a_window_is_a_part_of_the_picture_resized(tmp_path):
    slope = np.add.outer(np.arange(100), np.arange(100))[:, :, None].repeat(3, 2).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "slope.png"), slope)
    transform = Transform(train=True, crop_size=[20, 30], crop_scale=[0.1, 0.9])
    steps = []
    for seed in range(100):
        image = transform(str(tmp_path / "slope.png"), Random(seed))
        assert image.shape == (3, 20, 30)
        down, right = (image[0, -2, 0] - image[0, 1, 0]) / 17, (image[0, 0, -2] - image[0, 0, 1]) / 27
        steps.append((20 * down * 30 * right / 100**2, right * 30 / (down * 20)))
    shares, aspects = np.array(steps).T
    assert 0.08 < shares.min() < 0.2 and 0.7 < shares.max() < 0.95
    assert 1.5 * 0.7 < aspects.min() < 1.3 and 1.7 < aspects.max() < 1.5 * 1.45


# Rotation


@pytest.mark.parametrize("turned", [
    lambda spot, chance: augment.rotated(spot, chance, 30),
    lambda spot, chance: augment.resized_crop(spot, chance, (51, 51), [1, 1], [1, 1], 30),
], ids=["alone", "with a window"])  # fmt: skip
def test_angles_are_uniform(turned):
    """Of a spot beside the middle."""
    y, x = np.mgrid[-50:51, -50:51]
    spot = (255 * np.exp(-((x - 25) ** 2 + y**2) / 18)).astype(np.uint8)[:, :, None]
    chance, angles = Random(0), []
    for _ in range(DRAWS):
        image = turned(spot, chance)[:, :, 0].astype(float)
        y, x = np.mgrid[: len(image), : len(image)] - (len(image) - 1) / 2
        angles.append(math.degrees(math.atan2((image * y).sum(), (image * x).sum())))
    assert_uniform(angles, -30.4, 30.4)


def test_a_window_is_the_same_with_hardly_a_turn():
    smooth = cv2.GaussianBlur(picture(0, 90, 120), (0, 0), 4)
    for seed in range(20):
        plain = augment.resized_crop(smooth, Random(seed), (30, 40), [0.1, 0.9], [0.75, 4 / 3])
        turned = augment.resized_crop(smooth, Random(seed), (30, 40), [0.1, 0.9], [0.75, 4 / 3], 1e-6)
        assert np.abs(plain.astype(int) - turned).max() <= 3


def test_what_comes_in_at_the_border_is_of_the_picture():
    flat = np.full((20, 30, 3), 77, np.uint8)
    assert (augment.rotated(flat, Random(0), 180) == 77).all()


# Colors


def jittered(image, name, value):
    """The image with other colors, DRAWS times."""
    others = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0)
    chance = Random(2)
    for _ in range(DRAWS):
        yield augment.recolored(image, chance, **dict(others, **{name: value})).astype(float)


def yiq(image):
    return np.asarray(image, float) @ augment.BGR_TO_YIQ.T


COLORED = np.full((4, 4, 3), (60, 120, 190), np.uint8)
TWO_GRAYS = np.repeat([[[60], [190]]], 3, 2).astype(np.uint8)


def test_brightness_is_a_factor():
    assert_uniform([image.mean() / 100 for image in jittered(np.full((9, 9, 1), 100, np.uint8), "brightness", 0.4)],
                   0.595, 1.405)  # fmt: skip


def test_contrast_is_a_factor_of_the_differences_from_the_mean():
    images = list(jittered(TWO_GRAYS, "contrast", 0.4))
    assert_uniform([(image[0, 1] - image[0, 0]).mean() / 130 for image in images], 0.59, 1.41)
    assert max(abs(image.mean() - 125) for image in images) <= 0.5


def test_saturation_is_a_factor_of_the_differences_from_gray():
    images = list(jittered(COLORED, "saturation", 0.4))
    gray = yiq(COLORED[0, 0])[0]
    assert_uniform([(image[0, 0, 2] - image[0, 0, 0]) / 130 for image in images], 0.59, 1.41)
    assert max(abs(yiq(image[0, 0])[0] - gray) for image in images) < 0.8


def test_hue_is_an_angle():
    start = math.atan2(*yiq(COLORED[0, 0])[:0:-1])
    turns = []
    for image in jittered(COLORED, "hue", 0.2):
        _, i, q = yiq(image[0, 0])
        turns.append((math.atan2(q, i) - start + math.pi) % (2 * math.pi) - math.pi)
    assert_uniform(np.array(turns) / (2 * math.pi), -0.203, 0.203)


@pytest.mark.parametrize("name, most", [("hue", 0.5), ("saturation", 1)])
def test_grays_keep_their_value(name, most):
    grays = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    assert all((image == grays).all() for image in jittered(grays, name, most))


def test_the_four_changes_are_the_same_in_any_order():
    """In float64, where nothing is rounded."""
    image = np.random.RandomState(0).uniform(60, 190, (8, 8, 3))
    names = ("brightness", "contrast", "saturation", "hue")
    once = augment.recolored(image, Random(5), 0.3, 0.3, 0.3, 0.2)
    chance = Random(5)
    draws = dict(zip(names, [chance.uniform(-most, most) for most in (0.3, 0.3, 0.3, 0.2)]))

    class Fixed:
        def __init__(self, value):
            self.value = value

        def uniform(self, low, high):
            return self.value

    for order in (names, names[::-1], ("hue", "contrast", "saturation", "brightness")):
        stepwise = image
        for name in order:
            values = dict(dict.fromkeys(names, 0), **{name: 1})
            stepwise = augment.recolored(stepwise, Fixed(draws[name]), **values)
        np.testing.assert_allclose(stepwise, once, atol=1e-9)


# Random erasing


def holes(probability, scale=(0.02, 0.4), sides=(100, 100)):
    """Which pixels are written over in each of DRAWS black pictures."""
    chance = Random(3)
    for _ in range(DRAWS):
        image = np.zeros((*sides, 3), np.uint8)
        augment.erase(image, chance, probability, scale)
        yield image


def test_the_share_of_pictures_and_the_area_that_is_erased():
    shares = np.array([image.any(2).mean() for image in holes(0.25, (0.05, 0.2))])
    erased = shares[shares > 0]
    assert abs(len(erased) - DRAWS / 4) < 4 * math.sqrt(DRAWS * 3 / 16)
    assert_uniform(erased, 0.045, 0.205)


@pytest.mark.slow
def test_what_is_erased_is_a_rectangle_of_random_values():
    values, aspects = [], []
    for image in holes(1, (0.05, 0.2)):
        rows, columns = (np.flatnonzero(image.any(2).any(axis)) for axis in (1, 0))
        hole = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (~hole.any(2)).sum() <= 2  # of 2,000 at most; one of 2^24 is black by chance
        aspects.append(math.log(len(columns) / len(rows)))
        values.append(hole.ravel()[:50])
    assert_uniform(aspects, -math.log(1 / 0.3) - 0.06, math.log(1 / 0.3) + 0.06)
    counts = np.bincount(np.concatenate(values), minlength=256)
    expected = counts.sum() / 256
    assert ((counts - expected) ** 2 / expected).sum() < 350  # chi-squared of 255 degrees, one in 20,000


# All together


def test_colors_may_be_in_any_order_of_channels(path):
    for seed in range(20):
        blue_first = Transform(train=True, **ALL)(path, Random(seed))
        np.testing.assert_array_equal(Transform(train=True, color="RGB", **ALL)(path, Random(seed)), blue_first[::-1])


def test_gray_pictures_have_all_but_colors(path):
    options = dict(ALL, saturation=0, hue=0, color="GRAY")
    images = [Transform(train=True, **options)(path, Random(seed)) for seed in range(20)]
    assert {image.shape for image in images} == {(1, 8, 8)}
    assert len({image.tobytes() for image in images}) == 20


@pytest.mark.parametrize("random", [None, Random(0)])
def test_testing_has_the_middle_and_no_chance(path, random):
    image = Transform(train=False, **dict(ALL, mirror=False))(path, random)
    expected = cv2.resize(picture(0)[:, 2:14], (8, 8)).transpose(2, 0, 1)
    np.testing.assert_array_equal(image, expected)


def read(source, batches=4, start=0, **options):
    reader = Batches(True, **dict({"source": source, "classes": 3, "batch_size": 4, "shuffle": True}, **options))
    reader.start_at(start)
    data = np.concatenate([reader.next().data for _ in range(batches)])
    reader.close()
    return reader, data


@pytest.mark.slow
def test_a_picture_is_the_same_for_any_number_of_workers_and_after_a_resumption(tmp_path):
    source = write_list(tmp_path, 6)
    reader, data = read(source, **ALL, workers=1, seed=7)
    names = [f"{tmp_path}/{reader.order.epoch(k // 6)[k % 6]}.png" for k in range(16)]
    here = [Transform(train=True, **ALL)(name, Random((7 << 64) + k)) for k, name in enumerate(names)]
    np.testing.assert_array_equal(data, here)
    assert len({image.tobytes() for image in data}) == 16
    for options in ({"workers": 4}, {"workers": 3, "prefetch": 1}, {"batch_size": 2, "batches": 8}):
        np.testing.assert_array_equal(read(source, **ALL, seed=7, **options)[1], data)
    np.testing.assert_array_equal(read(source, **ALL, seed=7, start=8, batches=2)[1], data[8:])
    assert (read(source, **ALL, seed=8)[1] != data).any()


@pytest.mark.parametrize("options, message", [
    ({"crop_scale": [0.5, 1]}, "got crop_scale without crop_size; give the size"),
    ({"crop_scale": [0.5, 1], "crop_size": 8, "new_height": 9, "new_width": 9}, "crop_scale and new_height, which it"),
    ({"crop_scale": [0.5, 1], "crop_size": 8, "mean_file": "mean.npy"}, "crop_scale and mean_file, which"),
    ({"crop_scale": [0, 1], "crop_size": 8}, r"crop_scale must be \[least, most\] in \(0, 1\], or null, got \[0, 1\]"),
    ({"crop_scale": [1, 0.5], "crop_size": 8}, r"crop_scale must be \[least, most\]"),
    ({"crop_scale": 0.5, "crop_size": 8}, r"crop_scale must be \[least, most\]"),
    ({"crop_aspect": [0.5, 2]}, "crop_aspect without crop_scale; give crop_scale too"),
    ({"crop_aspect": [0, 2]}, r"crop_aspect must be \[least, most\] > 0"),
    ({"erasing_scale": [0.1, 0.2]}, "erasing_scale without erasing"),
    ({"hue": 0.1, "color": "GRAY"}, "hue for GRAY, which has no colors"),
    ({"saturation": 0.1, "color": "GRAY"}, "saturation for GRAY"),
    ({"hue": 0.6}, r"hue must be a number in \[0, 0.5\], got 0.6"),
    ({"rotation": 181}, r"rotation must be a number in \[0, 180\]"),
    ({"brightness": -0.1}, r"brightness must be a number in \[0, 1\]"),
    ({"crop_size": [8]}, r"crop_size must be a whole number >= 0, or \[height, width\], got \[8\]"),
    ({"crop_size": [8, 0]}, r"crop_size must be a whole number >= 0, or \[height, width\], got \[8, 0\]"),
])  # fmt: skip
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Transform(**options)


# Levels


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("options, shape", [
    ({"new_height": 256, "new_width": 256, "crop_size": 224}, (3, 224, 224)),
    ({"new_height": 28, "new_width": 20, "color": "GRAY", "crop_size": 0}, (1, 28, 20)),
    ({"new_height": 28, "new_width": 20, "crop_size": [24, 16], "mean_value": 128}, (3, 24, 16)),
])  # fmt: skip
def test_a_level_goes_with_the_options_of_a_layer(path, level, options, shape):
    before = dict(options)
    transform = Transform(train=True, **with_level(options, level))
    assert options == before
    assert transform(path, Random(0)).shape == transform.shape() == shape
    assert (with_level(options, "none"), LEVELS["none"]) == (options, {})
