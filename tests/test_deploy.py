"""caffe-losses deploy on real Caffe: net, weights and JSON of every template, and of nets that it refuses."""

import json
import os
import subprocess
import sys
from importlib import import_module

import caffe
import cv2
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from documents import ROOT
from nets import input_layer
from pictures import picture
from rewiring import FC, command, parsed
from trained import probabilities, trained

from caffe_losses import templates
from caffe_losses.__main__ import main
from caffe_losses.net import prototxt

pytestmark = pytest.mark.slow

CLASSES = 20
PROGRAMS = ROOT / "examples" / "tags"
# Each template with a loss, one with both: what deploy does to the loss and to the body of a net are two things.
NETS = {
    "lenet": "softmax",
    "caffenet": "sigmoid",
    "googlenet": "softmax",
    "resnet50": "sigmoid",
    "mobilenet": "softmax",
}
ONLY_TRAINING = {"Python", "Dropout", "Split", "Data", "HDF5Data"}
OPTIONS = {"source": "test.csv", "classes": "classes.txt", "batch_size": 2, "crop_size": 16}
NET = """
layer {{ name: "data" type: "Python" top: "data" top: "labels"
  python_param {{ module: "caffe_losses.layers" layer: "MultiLabelImageData" param_str: '{options}' }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "Python" bottom: "fc" bottom: "labels" top: "loss" loss_weight: 1
  python_param {{ module: "caffe_losses.layers" layer: "{loss}" }} }}
"""


def write_lists(folder):
    (folder / "classes.txt").write_text("sea\ndog\nsun\n")
    (folder / "test.csv").write_text("path,labels\na.png,sea\nb.png,dog\n")


def write_net(folder, options, loss="SigmoidCrossEntropyLoss"):
    (folder / "net.prototxt").write_text(NET.format(options=json.dumps(options), loss=loss))


def stripped(folder, channels=3):
    """The net on an Input layer, without its loss."""
    net = parsed((folder / "net.prototxt").read_text())
    return parsed(input_layer("data", (1, channels, 16, 16)) + f"layer {{ {net.layer[1]} }}")


def deploy_with_weights(folder, *words, channels=3):
    caffe.set_random_seed(0)
    prototxt.load(stripped(folder, channels), "TEST").save("trained.caffemodel")
    assert command("deploy", "net.prototxt", "--weights", "trained.caffemodel", *words) == 0


@pytest.mark.parametrize("net, loss", [*NETS.items(), ("lenet", "sigmoid")])
def test_the_deployed_net_computes_what_the_test_phase_computes(net, loss, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = templates.TEMPLATES[net]
    side = min(known.size[0], 128)  # of a picture, and 64 instead of 4096 outputs: most of the time would go there
    shape = [known.channels, side, side]
    text = templates.template(net, loss, num_classes=CLASSES, size=(side, side))["train_val.prototxt"]
    text = text.replace("num_output: 4096", "num_output: 64")
    (tmp_path / "train_val.prototxt").write_text(text)
    tested = trained(parsed(text), shape, CLASSES)
    tested.save("trained.caffemodel")
    files = ["-o", "deploy.prototxt", "--weights", "trained.caffemodel", "--output-weights", "deploy.caffemodel"]
    assert command("deploy", "train_val.prototxt", *files, "--shape", ",".join(map(str, [1, *shape]))) == 0

    stored = caffe_pb2.NetParameter.FromString((tmp_path / "deploy.caffemodel").read_bytes())
    assert not {layer.type for layer in stored.layer} & ONLY_TRAINING and not stored.layers
    assert all(layer.batch_norm_param.use_global_stats for layer in stored.layer if layer.type == "BatchNorm")
    deployed = caffe.Net("deploy.prototxt", caffe.TEST, weights="deploy.caffemodel")
    deployed.blobs["data"].data[...] = tested.blobs["data"].data
    expected = probabilities(tested.blobs["scores"].data, loss)
    assert expected.max() > 5 * expected.min() > 0
    np.testing.assert_allclose(deployed.forward()["prob"], expected, atol=1e-6)


def test_json_of_a_net_on_a_list(tmp_path, monkeypatch, capsys):
    """What is done to its pictures, its class names, and where the net is."""
    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path)
    options = {"source": "test.csv", "classes": "classes.txt", "batch_size": 2, "new_height": 20, "new_width": 24,
               "crop_size": 16, "mean_value": [104, 117, 123.5], "scale": 0.017}  # fmt: skip
    write_net(tmp_path, options)
    assert command("deploy", "net.prototxt", "-o", "out/deploy.prototxt") == 0
    assert "out/deploy.json: left out, as not known: thresholds (give --thresholds)" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "deploy.json").read_text()) == {
        "net": "deploy.prototxt",
        "inputs": {"data": [1, 3, 16, 16]},
        "outputs": {"prob": "Sigmoid"},
        "color": "BGR",
        "background": 255,
        "resize": [20, 24],
        "mean": [104.0, 117.0, 123.5],
        "scale": 0.017,
        "classes": ["sea", "dog", "sun"],
    }


def test_weights_lie_where_the_json_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path)
    write_net(tmp_path, OPTIONS)
    deploy_with_weights(tmp_path, "-o", "nets/deploy.prototxt", "--output-weights", "weights/w.caffemodel")
    places = json.loads((tmp_path / "nets" / "deploy.json").read_text())
    assert places["weights"] == "../weights/w.caffemodel"
    assert caffe.Net("nets/deploy.prototxt", caffe.TEST, weights="weights/w.caffemodel").forward()["prob"].shape == (
        1,
        3,
    )


def test_thresholds_go_into_the_json(tmp_path, monkeypatch, capsys):
    """In the order of the classes; the program in examples/tags gives tags by them."""
    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path)
    write_net(tmp_path, OPTIONS)
    (tmp_path / "thresholds.json").write_text('{"sun": 0.25, "sea": 0.75, "dog": 0.5}')
    assert command("deploy", "net.prototxt", "-o", "deploy.prototxt", "--thresholds", "thresholds.json") == 0
    assert "left out" not in capsys.readouterr().out
    spec = json.loads((tmp_path / "deploy.json").read_text())
    assert spec["thresholds"] == [0.75, 0.5, 0.25]
    monkeypatch.syspath_prepend(str(PROGRAMS))
    program = import_module("tags")
    assert [name for name, _ in program.tags(spec, np.array([0.74, 0.5, 0.3]))] == ["sea", "dog", "sun"]
    assert [name for name, _ in program.tags(spec, np.array([0.7, 0.72, 0.2]))] == ["dog"]


@pytest.mark.parametrize("words, reason", [
    (["--thresholds", "four.txt"], "four.txt is no file of thresholds"),
    (["--weights", "trained.caffemodel"], "expected --weights and --output-weights, got only one; give both or none"),
    (["--output-weights", "w.caffemodel"], "expected --weights and --output-weights, got only one; give both or none"),
    (["--classes", "four.txt"], "four.txt has 4 names, and the net has 3 classes; give one name a class"),
    (["--weights", "trained.caffemodel", "--output-weights", "trained.caffemodel"], "is an input of this command"),
    (["--weights", "other.caffemodel", "--output-weights", "w.caffemodel"], "has no weights for layer fc"),
])  # fmt: skip
def test_what_is_refused_writes_nothing(tmp_path, monkeypatch, capsys, words, reason):
    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path)
    write_net(tmp_path, OPTIONS)
    prototxt.load(stripped(tmp_path), "TEST").save("trained.caffemodel")
    other = parsed(FC.replace('"fc"', '"other"').replace('bottom: "data"', 'bottom: "x"'))
    other.layer.insert(0, parsed(input_layer("x", (1, 4))).layer[0])
    prototxt.load(other, "TEST").save("other.caffemodel")
    (tmp_path / "four.txt").write_text("a\nb\nc\nd\n")
    before = sorted(os.listdir(tmp_path))
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt", *words]) == 2
    assert reason in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == before


def test_a_json_that_is_there_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path)
    write_net(tmp_path, OPTIONS)
    (tmp_path / "deploy.json").write_text("{}")
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt"]) == 2
    assert "deploy.json is there already" in capsys.readouterr().err
    assert not (tmp_path / "deploy.prototxt").exists()
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt", "--force"]) == 0


@pytest.mark.parametrize("color", ["BGR", "RGB", "GRAY"])
@pytest.mark.parametrize("loss", ["SigmoidCrossEntropyLoss", "MultiLabelSoftmaxLoss"])
def test_the_programs_print_the_tags_of_predict(tmp_path, monkeypatch, capsys, color, loss):
    """examples/tags: Caffe as the runtime, on pictures in color, in gray and with transparent pixels."""
    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path)
    names = ["color.png", "gray.png", "transparent.png"]
    for k, (name, channels) in enumerate(zip(names, (3, 1, 4))):
        cv2.imwrite(name, picture(k, height=30, width=26, channels=channels))
    channels = 1 if color == "GRAY" else 3
    background = [250, 10, 100][:channels]
    options = dict(OPTIONS, color=color, background=background, new_height=20, new_width=24, mean_value=110, scale=0.01)
    write_net(tmp_path, options, loss)
    deploy_with_weights(tmp_path, "-o", "deploy.prototxt", "--output-weights", "deploy.caffemodel", channels=channels)
    capsys.readouterr()
    assert main(["predict", "--model", "net.prototxt", "--weights", "trained.caffemodel", *names]) == 0
    command = [sys.executable, str(PROGRAMS / "tags.py"), "caffe", "deploy.json", *names]
    done = subprocess.run(command, env=dict(os.environ, GLOG_minloglevel="2"), capture_output=True, text=True)
    assert done.stdout == capsys.readouterr().out, done.stderr


LMDB = """
layer { name: "data" type: "Data" top: "data" top: "labels" data_param { source: "none" backend: LMDB batch_size: 2 }
  transform_param { crop_size: 16 mean_value: 110 mean_value: 100 mean_value: 90 scale: 0.01 } }
"""


def test_the_program_takes_the_json_of_a_net_on_an_lmdb(tmp_path, monkeypatch, capsys):
    """It knows neither the pictures' size nor names: they are cut as they are, as predict does, and have numbers."""
    monkeypatch.chdir(tmp_path)
    write_lists(tmp_path)
    write_net(tmp_path, OPTIONS)
    net = (tmp_path / "net.prototxt").read_text()
    (tmp_path / "net.prototxt").write_text(LMDB + net[net.index('layer { name: "fc"') :])
    deploy_with_weights(tmp_path, "-o", "deploy.prototxt", "--output-weights", "deploy.caffemodel")
    names = [f"{k}.png" for k in range(3)]
    for k, name in enumerate(names):
        cv2.imwrite(name, picture(k, height=30 - k, width=26))
    capsys.readouterr()
    with pytest.warns(RuntimeWarning, match="pictures are cut as large as they are; give --resize H,W"):
        assert main(["predict", "--model", "net.prototxt", "--weights", "trained.caffemodel", *names]) == 0
    expected = capsys.readouterr().out
    assert "\n0.png  " in "\n" + expected
    cv2.imwrite("small.png", picture(9, height=30, width=15))
    command = [sys.executable, str(PROGRAMS / "tags.py"), "caffe", "deploy.json", *names, "small.png"]
    environment = dict(os.environ, GLOG_minloglevel="2")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (expected, 1), done.stderr
    assert done.stderr.splitlines() == [
        "deploy.json does not say resize: pictures are cut as large as they are; write it there",
        "small.png is 30 x 15, and the net takes 16 x 16",
    ]
    spec = json.loads((tmp_path / "deploy.json").read_text())
    del spec["mean"], spec["weights"]
    (tmp_path / "deploy.json").write_text(json.dumps(spec))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr == "deploy.json does not say weights, mean; write that there, see docs/deployment.md\n"


OLD = """
layers { name: "data" type: MEMORY_DATA top: "data" top: "label"
  memory_data_param { batch_size: 2 channels: 3 height: 6 width: 6 } }
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { name: "drop" type: DROPOUT bottom: "conv" top: "conv" }
layers { name: "fc" type: INNER_PRODUCT bottom: "conv" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("weights", ["v1.caffemodel", "net.caffemodel.h5"])
def test_a_net_of_an_older_caffe_and_its_weights(tmp_path, monkeypatch, weights):
    """The weights in the format of that time, of four axes each, and in HDF5."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.prototxt").write_text(OLD)
    trained_net = caffe.Net("old.prototxt", caffe.TRAIN)
    trained_net.save_hdf5("net.caffemodel.h5")
    stored = caffe_pb2.NetParameter()
    for name, blobs in trained_net.params.items():
        old = stored.layers.add(name=name)
        for blob in blobs:
            shape = [1] * (4 - blob.data.ndim) + list(blob.data.shape)
            old.blobs.add(num=shape[0], channels=shape[1], height=shape[2], width=shape[3], data=blob.data.ravel())
    (tmp_path / "v1.caffemodel").write_bytes(stored.SerializeToString())
    files = ["-o", "deploy.prototxt", "--weights", weights, "--output-weights", "deploy.caffemodel"]
    assert command("deploy", "old.prototxt", *files) == 0
    deployed = caffe.Net("deploy.prototxt", caffe.TEST, weights="deploy.caffemodel")
    assert [layer.type for layer in deployed.layers] == ["Input", "Convolution", "InnerProduct", "Softmax"]
    for name, blobs in trained_net.params.items():
        for blob, own in zip(blobs, deployed.params[name]):
            assert (blob.data == own.data).all() and blob.data.any() == own.data.any()
