"""What the JSON of a deploy net says of pictures: by it, a picture becomes what the data layer made of it."""

import cv2
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from rewiring import DATA, FC, LOSS, layer, parsed

from caffe_losses import wiring
from caffe_losses.net.sources import transform_for_testing

IMAGE_DATA = 'image_data_param {{ source: "list.txt" new_height: 9 new_width: 8 }} transform_param {{ {} }}'


def described(text, shapes=None, **options):
    inference = wiring.deploy(parsed(text), shapes=shapes)
    sizes = {top.name: list(top.input_param.shape[0].dim) for top in inference.net.layer if top.type == "Input"}
    return (*wiring.describe(inference, dict(sizes, prob=[1, 5]), **options), inference)


def source(kind, more):
    return layer("data", kind, "", "data label", more)


@pytest.fixture
def mean_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = np.random.RandomState(0).uniform(90, 130, (3, 9, 8)).astype(np.float32)
    blob = caffe_pb2.BlobProto(channels=3, height=9, width=8, data=image.ravel())
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    return image


@pytest.mark.parametrize("transform", [
    "",
    "mirror: true scale: 0.017",
    "crop_size: 6 mean_value: 104 mean_value: 117.5 mean_value: 123",
    "crop_size: 6 mean_value: 100",
    'crop_size: 6 mean_file: "mean.binaryproto" scale: 0.5',
    'mean_file: "mean.binaryproto"',
])  # fmt: skip
def test_a_picture_becomes_what_the_data_layer_makes_of_it(mean_image, tmp_path, transform):
    """Only from the JSON, in numpy, and by Caffe's transformer with the same parameters."""
    text = source("ImageData", IMAGE_DATA.format(transform)) + FC + LOSS
    description, unknown, inference = described(text)
    picture = np.random.RandomState(1).randint(0, 256, (12, 11, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    image = cv2.resize(picture, tuple(description["resize"][::-1]))
    channels, height, width = description["inputs"]["data"][1:]
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    image = image[top : top + height, left : left + width]
    values = (image - np.float32(description["mean"])) * np.float32(description["scale"])
    expected = transform_for_testing(inference.sources["data"])(str(tmp_path / "a.png"))
    np.testing.assert_allclose(values.transpose(2, 0, 1), expected, rtol=1e-6, atol=1e-5)
    assert description["color"] == "BGR" and channels == 3
    assert [reason.split()[0] for reason in unknown] == ["classes"]


@pytest.mark.parametrize("text, shapes, keys, reasons", [
    (DATA, {None: [1, 4]}, ["inputs", "outputs"],
     ["color, background, resize, mean, scale (layer data (HDF5Data) reads no pictures)"]),
    (source("Data", "transform_param { crop_size: 6 force_gray: true }"), None,
     ["inputs", "outputs", "color", "background", "mean", "scale"], ["resize (the pictures' size in the LMDB)"]),
    (source("ImageData", IMAGE_DATA.format('mean_file: "gone.npy"')), None,
     ["inputs", "outputs", "color", "background", "resize", "scale"], ["mean (gone.npy is not there)"]),
    ('layer { name: "data" type: "Python" top: "data" top: "label" python_param { module: "caffe_losses.layers" '
     'layer: "MultiLabelImageData" param_str: \'{"source": "x.txt", "batch_size": 1, "classes": 5, "crop_size": 6, '
     '"crop_scale": [0.5, 1]}\' } }', None,
     ["inputs", "outputs", "color", "background", "mean", "scale"],
     ["resize (crop_scale cuts out the largest window of the shape of crop_size, and resizes it)"]),
])  # fmt: skip
def test_what_is_not_known_is_left_out_and_named(text, shapes, keys, reasons):
    description, unknown, _ = described(text + FC + LOSS, shapes)
    assert list(description) == keys
    assert unknown == [*reasons, "classes (layer data has no names; give --classes)"]


def test_the_shape_tells_a_gray_net():
    description, _, _ = described(source("Data", "") + FC + LOSS, {None: [1, 1, 28, 28]})
    assert (description["color"], description["mean"]) == ("GRAY", [0.0])


def test_several_heads_have_no_classes():
    other = FC.replace('"fc"', '"other"') + LOSS.replace('"fc"', '"other"').replace('"loss"', '"second"')
    description, unknown, _ = described(DATA + FC + LOSS + other, {None: [1, 4]})
    assert description == {"inputs": {"data": [1, 4]}, "outputs": {"loss/prob": "Softmax", "second/prob": "Softmax"}}
    assert unknown == ["all but inputs and outputs (there are several)"]


def test_classes(tmp_path):
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    text = source("ImageData", IMAGE_DATA.format("")) + FC + LOSS
    description, unknown, _ = described(text, classes=str(tmp_path / "names.txt"))
    assert description["classes"] == list("abcde")
    assert not unknown
