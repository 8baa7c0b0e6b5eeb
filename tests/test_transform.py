from collections import Counter
from random import Random

import cv2
import numpy as np
import pytest
from pictures import picture

from caffe_losses.data import Transform
from caffe_losses.data.transform import View


@pytest.fixture
def path(tmp_path):
    """A picture of 12 x 16, and its file."""
    cv2.imwrite(str(tmp_path / "0.png"), picture(0))
    return str(tmp_path / "0.png")


def chw(image):
    return image.transpose(2, 0, 1).astype(np.float32)


def test_as_it_is(path):
    image = Transform()(path)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, chw(picture(0)))


def test_colors(path):
    np.testing.assert_array_equal(Transform(color="RGB")(path), chw(picture(0)[:, :, ::-1]))
    gray = Transform(color="GRAY")(path)
    assert gray.shape == (1, 12, 16)
    weighted = picture(0) @ [0.114, 0.587, 0.299]  # ITU-R BT.601, blue first
    np.testing.assert_allclose(gray[0], weighted, atol=1)


def test_a_gray_file_gives_three_equal_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "gray.png"), picture(0, channels=1))
    image = Transform()(str(tmp_path / "gray.png"))
    assert image.shape == (3, 12, 16)
    np.testing.assert_array_equal(image[0], image[2])


def test_jpeg_is_near(tmp_path):
    smooth = cv2.GaussianBlur(picture(0, 48, 64), (0, 0), 8)
    cv2.imwrite(str(tmp_path / "0.jpg"), smooth)
    assert np.abs(Transform()(str(tmp_path / "0.jpg")) - chw(smooth)).mean() < 2


def test_mean_then_scale(path):
    image = Transform(mean_value=[104, 117, 123], scale=0.5)(path)
    np.testing.assert_array_equal(image, (chw(picture(0)) - np.float32([[[104]], [[117]], [[123]]])) * 0.5)
    np.testing.assert_array_equal(Transform(mean_value=7)(path), chw(picture(0)) - 7)


@pytest.mark.parametrize("ending", ["npy", "binaryproto"])
def test_mean_file_is_cropped_with_the_image(path, tmp_path, ending):
    mean = np.random.RandomState(1).rand(3, 12, 16).astype(np.float32)
    name = str(tmp_path / f"mean.{ending}")
    if ending == "npy":
        np.save(name, mean)
    else:
        import caffe

        with open(name, "wb") as file:
            file.write(caffe.io.array_to_blobproto(mean[None]).SerializeToString())
    transform = Transform(train=True, mean_file=name, crop_size=8, mirror=True)
    whole = chw(picture(0)) - mean
    windows = [whole[:, y : y + 8, x : x + 8] for y in range(5) for x in range(9)]
    for seed in range(10):
        image = transform(path, Random(seed))
        assert any(np.array_equal(image, w) or np.array_equal(image, w[:, :, ::-1]) for w in windows)


def test_a_mean_file_of_the_size_of_the_crop(path, tmp_path):
    mean, name = np.random.RandomState(1).rand(3, 8, 10).astype(np.float32), str(tmp_path / "mean.npy")
    np.save(name, mean)
    transform = Transform(mean_file=name, crop_size=[8, 10])
    np.testing.assert_array_equal(transform(path), chw(picture(0))[:, 2:10, 3:13] - mean)
    mirrored = transform.seen(View(1, 1, True))(path)
    np.testing.assert_array_equal(mirrored, transform(path)[:, :, ::-1])
    with pytest.raises(ValueError, match="a mean image of the size of the crop, which does not tell that of corners"):
        transform.seen(View(0, 2, False))


def test_resize_is_bilinear(path):
    image = Transform(new_height=6, new_width=8)(path)
    pairs = chw(picture(0)).reshape(3, 6, 2, 8, 2).mean(axis=(2, 4))  # to a half, it averages four
    np.testing.assert_allclose(image, pairs, atol=0.5 + 1e-6)  # and rounds


def test_the_crop_is_central_in_test_and_anywhere_in_train(path):
    middle = chw(picture(0))[:, 2:10, 4:12]
    np.testing.assert_array_equal(Transform(crop_size=8)(path, Random(0)), middle)
    train = Transform(train=True, crop_size=8)
    random = Random(0)
    crops = Counter(train(path, random).tobytes() for _ in range(2000))
    assert len(crops) == 5 * 9
    counts = np.array(list(crops.values()))
    expected = 2000 / 45
    assert ((counts - expected) ** 2 / expected).sum() < 87  # chi-squared of 44 degrees, one in 10,000


def test_half_of_the_images_are_mirrored(path):
    transform, random = Transform(mirror=True), Random(0)
    plain = chw(picture(0))
    images = [transform(path, random) for _ in range(1000)]
    mirrored = sum(np.array_equal(image, plain[:, :, ::-1]) for image in images)
    assert mirrored + sum(np.array_equal(image, plain) for image in images) == 1000
    assert abs(mirrored - 500) < 64  # four standard deviations


@pytest.mark.parametrize("options, message", [
    ({"new_height": 5}, "new_height 5 and new_width 0; give both or none"),
    ({"mean_value": [1, 2]}, "2 mean_values for BGR; give 1 or 3"),
    ({"mean_value": [1, 2, 3], "color": "GRAY"}, "3 mean_values for GRAY; give 1 or 1"),
    ({"mean_value": 1, "mean_file": "mean.npy"}, "both mean_file and mean_value"),
    ({"crop_size": -1}, r"crop_size must be a whole number >= 0, or \[height, width\], got -1"),
    ({"mirror": 1}, "mirror must be true or false, got 1"),
    ({"croop_size": 1}, "did you mean crop_size?"),
])  # fmt: skip
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Transform(**options)


def test_images_that_do_not_fit_are_refused(path, tmp_path):
    with pytest.raises(ValueError, match="is 12 x 16, smaller than crop_size 13"):
        Transform(crop_size=13)(path)
    np.save(str(tmp_path / "mean.npy"), np.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match="is 12 x 16 and mean_file is 8 x 8"):
        Transform(mean_file=str(tmp_path / "mean.npy"))(path)
    with pytest.raises(ValueError, match="a mean_file of 3 channels for GRAY"):
        Transform(mean_file=str(tmp_path / "mean.npy"), color="GRAY")
    with pytest.raises(ValueError, match="3 x 12 x 16 and others are 3 x 8 x 8"):
        Transform()(path, out=np.empty((3, 8, 8), np.float32))


@pytest.mark.parametrize("form", ["jpg", "png"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.98])
def test_files_that_are_cut_off_are_refused(tmp_path, form, share):
    encoded = cv2.imencode(f".{form}", picture(0, 120, 160))[1].tobytes()
    cut = tmp_path / f"cut.{form}"
    cut.write_bytes(encoded[: int(share * len(encoded))])
    with pytest.raises(ValueError, match="is no image that can be decoded"):
        Transform()(str(cut))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    with pytest.raises(ValueError, match=r"text\.jpg is no image"):
        Transform()(str(tmp_path / "text.jpg"))
    with pytest.raises(OSError, match=r"missing\.jpg"):
        Transform()(str(tmp_path / "missing.jpg"))
