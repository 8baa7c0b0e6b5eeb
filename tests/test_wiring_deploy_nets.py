"""A published deploy net, with its weights, becomes a net for training."""

import json

import caffe
import numpy as np
import pytest
from pictures import write_list
from rewiring import command, layer, parsed, refused
from training import train

from caffe_losses import wiring
from caffe_losses.net import prototxt, weights
from caffe_losses.wiring import ImageLists

pytestmark = pytest.mark.slow

GLOBAL = "batch_norm_param { use_global_stats: true }"
CONV = "convolution_param { num_output: 4 kernel_size: 3"
DEPLOY = (
    'name: "published"\n'
    + layer("data", "Input", "", "data", "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 6 } }")
    + layer("conv", "Convolution", "data", "conv", CONV + " bias_term: false }")
    + layer("bn", "BatchNorm", "conv", "conv", GLOBAL)
    + layer("scale", "Scale", "conv", "conv", "scale_param { bias_term: true }")
    + layer("relu", "ReLU", "conv", "conv")
    + layer("second", "Convolution", "conv", "second", CONV + " }")
    + layer("bn2", "BatchNorm", "second", "second", GLOBAL)
    + layer("fc", "InnerProduct", "second", "fc", "inner_product_param { num_output: 3 }")
    + layer("prob", "Softmax", "fc", "prob")
)
MEANS = ["--mean", "104,117,123", "--scale", "0.01", "--batch", "3", "3"]
LISTS = ["--image-list", "train.txt", "train.txt", "--classes", "classes.txt"]
WIRE = ["wire", "deploy.prototxt", "-o", "new.prototxt", "--loss", "SigmoidCrossEntropyLoss"]


@pytest.fixture(autouse=True)
def published(tmp_path, monkeypatch):
    """The files of a published net."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    write_list(tmp_path, 6, name="train.txt")
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    net, random = caffe.Net("deploy.prototxt", caffe.TEST), np.random.RandomState(0)
    for name, blobs in net.params.items():
        for blob in blobs:
            blob.data[...] = 1 if name.startswith("bn") else random.randn(*blob.data.shape) / 3
    net.save("w.caffemodel")


def wired(*options):
    assert command(*WIRE, *LISTS, *MEANS, "--weights", "w.caffemodel", "--check", *options) == 0
    return {one.name: one for one in prototxt.read("new.prototxt").net.layer}


def trained(iterations):
    """The weights after so many iterations."""
    with open("solver.prototxt", "w") as file:
        file.write(
            f'net: "new.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: {iterations} test_iter: 1 '
            f'test_interval: 9 snapshot_prefix: "x"'
        )
    train(1, "solver.prototxt", "--weights", "w.caffemodel")
    return weights.read(f"x_iter_{iterations}.caffemodel")


def changed(after):
    before = weights.read("w.caffemodel")
    return {name for name in before if any((before[name][k] != after[name][k]).any() for k in before[name])}


def test_it_trains_on_lists_from_its_weights(capsys):
    layers = wired()
    out = capsys.readouterr().out
    assert "weights: 5 of 6 layers start from w.caffemodel; not ['fc_3']\n" in out
    assert "use_global_stats taken out of 2 BatchNorm layers: they learn in TRAIN\n" in out
    assert "prob" not in layers and list(layers["loss"].bottom) == ["fc", "labels"]
    assert [blob.lr_mult for blob in layers["fc_3"].param] == [10, 20]  # of 3 classes as before, and yet anew
    told = json.loads(layers["data"].python_param.param_str)
    assert (told["new_height"], told["new_width"], told["mean_value"], told["scale"]) == (8, 6, [104, 117, 123], 0.01)
    assert "crop_size" not in told
    after = trained(2)
    after["fc"] = after["fc_3"]
    assert changed(after) == {"conv", "bn", "scale", "second", "bn2", "fc"}


def test_pictures_are_cropped_to_the_size_that_its_weights_know():
    told = json.loads(wired("--resize", "12,10")["data"].python_param.param_str)
    assert (told["new_height"], told["new_width"], told["crop_size"]) == (12, 10, [8, 6])


def test_frozen_layers_keep_weights_and_statistics(capsys):
    layers = wired("--freeze", "relu")
    assert "frozen: the 3 layers with weights up to relu (lr_mult: 0)\n" in capsys.readouterr().out
    assert layers["bn"].batch_norm_param.use_global_stats and not layers["bn2"].batch_norm_param.use_global_stats
    after = trained(2)
    after["fc"] = after["fc_3"]
    assert changed(after) == {"second", "bn2", "fc"}
    with pytest.raises(ValueError, match=r"^--freeze: expected a layer of the net, got none; it has data, "):
        command(*WIRE, *LISTS, *MEANS, "--weights", "w.caffemodel", "--force", "--freeze", "none")


def test_what_a_deploy_net_does_not_tell_is_asked_for():
    with pytest.raises(ValueError, match=r"^deploy.prototxt is a deploy net, [^\n]*; give --image-list TRAIN"):
        command(*WIRE)
    with pytest.raises(ValueError, match=r"; give --mean MEAN, --scale X \(e.g. --mean 104,117,123 --scale 1\)$"):
        command(*WIRE, *LISTS, *MEANS[-3:], "--weights", "w.caffemodel")


def test_weights_of_another_net_are_refused():
    text = DEPLOY.replace('"second" type', '"third" type').replace('"conv" type', '"first" type')
    with open("other.prototxt", "w") as file:
        file.write(text)
    caffe.Net("other.prototxt", caffe.TEST).save("other.caffemodel")
    with pytest.raises(ValueError, match=r"^--weights other.caffemodel has none for the layers \['conv', 'second'"):
        command(*WIRE, *LISTS, *MEANS, "--weights", "other.caffemodel")


def test_several_inputs_or_outputs_are_not_guessed_at():
    lists = ImageLists(["a", "a"], 3)
    assert refused(DEPLOY + layer("more", "ReLU", "conv", "more"), image_lists=lists) == (
        "a deploy net of one input and one output can be wired; this has data and prob, more; take the others out by "
        "hand"
    )


def test_the_net_of_the_caller_stays_as_it_is():
    net = parsed(DEPLOY)
    wiring.wire(net, "SigmoidCrossEntropyLoss", image_lists=ImageLists(["a", "a"], 3), batches=[2, 2], num_classes=3)
    assert net == parsed(DEPLOY)


def test_weights_that_are_forgotten_are_said():
    wired()
    with open("solver.prototxt", "w") as file:
        file.write('net: "new.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "x"')
    done = train(1, "solver.prototxt", check=False)
    assert "caffe-losses: the weights of ['conv', 'second'] are all 0, so that they learn nothing: give" in done.stderr
