"""Rewiring to lists of images, and to metrics."""

import json

import caffe
import pytest
from pictures import write_list

from caffe_losses.__main__ import main
from caffe_losses.net.prototxt import read

pytestmark = pytest.mark.slow

FC = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 10 } }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'
ACCURACY = 'layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" }\n'
IMAGES = """
layer {{ name: "data" type: "{0}" top: "data" top: "label" include {{ phase: TRAIN }} {1} }}
layer {{ name: "data" type: "{0}" top: "data" top: "label" include {{ phase: TEST }} {1} }}
"""
LMDB = "transform_param { crop_size: 8 mirror: true scale: 0.1 mean_value: 104 mean_value: 117 mean_value: 123 } "
LMDB += 'data_param { source: "lmdb" batch_size: 4 }'
FILES = "transform_param { crop_size: 8 mean_value: 7 } "
FILES += "image_data_param { source: 'list' batch_size: 4 new_height: 10 new_width: 9 is_color: false shuffle: true }"


@pytest.fixture
def image_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_list(tmp_path, 6, name="train.txt")
    write_list(tmp_path, 6, name="test.txt")
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    return ["--image-list", "train.txt", "test.txt", "--classes", "classes.txt"]


def wired_file(tmp_path, text, *options):
    """The command's net, read again."""
    (tmp_path / "old.prototxt").write_text(text)
    arguments = ["wire", "old.prototxt", "-o", "new.prototxt", "--loss", "MultiLabelSoftmaxLoss", "--check", *options]
    assert main(arguments) == 0
    return read("new.prototxt").net


@pytest.mark.parametrize("kind, said, expected", [
    ("Data", LMDB, {"crop_size": 8, "mirror": True, "scale": 0.1, "mean_value": [104, 117, 123]}),
    ("ImageData", FILES, {"crop_size": 8, "new_height": 10, "new_width": 9, "mean_value": [7], "color": "GRAY",
                          "shuffle": True}),
    ("TagImageData", FILES, {"crop_size": 8, "new_height": 10, "new_width": 9, "mean_value": [7], "color": "GRAY",
                             "shuffle": True}),
])  # fmt: skip
def test_image_lists_take_the_place_of_single_labels(tmp_path, image_lists, capsys, kind, said, expected):
    net = wired_file(tmp_path, IMAGES.format(kind, said) + FC + ACCURACY + LOSS, *image_lists, "--metrics", "mAP")
    for layer, source in zip(net.layer, ("train.txt", "test.txt")):
        assert layer.python_param.layer == "MultiLabelImageData"
        assert list(layer.top) == ["data", "labels"]
        said = json.loads(layer.python_param.param_str)
        assert said == dict(expected, source=source, classes="classes.txt", batch_size=4)
    metrics = net.layer[-1]
    assert metrics.include[0].phase == caffe.TEST
    options = {"metrics": ["mAP"], "test_iter": 2, "images": 6, "softmax": True}
    assert json.loads(metrics.python_param.param_str) == options
    out = capsys.readouterr().out
    assert "outputs" in out  # as many as classes.txt has
    assert "metrics: added: mAP of" in out
    assert "check: TRAIN loads, and runs forward and backward\ncheck: TEST loads, and runs forward\n" in out


def test_the_deploy_net_knows_the_shape_of_a_list_s_images(tmp_path, image_lists, capsys):
    wired_file(tmp_path, IMAGES.format("Data", LMDB) + FC + LOSS, *image_lists)
    assert main(["deploy", "new.prototxt", "-o", "deploy.prototxt", "--check"]) == 0
    assert "MultiLabelImageData -> Input 1 x 3 x 8 x 8; give it images minus 104, 117, 123 and times 0.1" in (
        capsys.readouterr().out
    )


def test_lists_that_are_not_there_yet_are_checked_without(tmp_path, image_lists, capsys):
    (tmp_path / "train.txt").unlink()
    (tmp_path / "test.txt").unlink()
    wired_file(
        tmp_path, IMAGES.format("Data", LMDB) + FC + LOSS, *image_lists, "--metrics", "mAP", "--test-images", "9"
    )
    assert "check: TEST loads with Input layers for data, as test.txt does not exist" in capsys.readouterr().out


@pytest.mark.parametrize("options, message", [
    (["--classes", "classes.txt"], "give --image-list TRAIN TEST"),
    (["--image-list", "train.txt", "test.txt"], "expected the names of the classes with --classes FILE"),
    (["--image-list", "train.txt", "test.txt", "--classes", "classes.txt", "--num-classes", "4"], "has 3 names"),
    (["--image-list", "a", "--classes", "classes.txt", "--resize", "9"], "--resize: expected H,W, got 9"),
    (["--image-list", "a", "--classes", "classes.txt"], "give a source for TRAIN and one for TEST"),
    (["--metrics", "mAP"], "expected the images of the test set with --test-images N, got None"),
    (["--metrics", "map", "--test-images", "6"], "metrics must be a list"),
    (["--image-list", "a", "b", "--label-source", "c", "d"], "leave --label-source out"),
])  # fmt: skip
def test_wrong_lists_and_metrics(tmp_path, image_lists, capsys, options, message):
    (tmp_path / "old.prototxt").write_text(IMAGES.format("Data", LMDB) + FC + LOSS)
    arguments = ["wire", "old.prototxt", "-o", "new.prototxt", "--loss", "MultiLabelSoftmaxLoss", *options]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new.prototxt").exists()
