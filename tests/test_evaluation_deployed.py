"""evaluate and predict of a deploy net and its JSON: what they give of the train_val. In real Caffe."""

import json
import shutil

import caffe
import cv2
import numpy as np
import pytest
from nets import input_layer, loss_layer
from pictures import picture, write_list
from rewiring import layer

from caffe_losses.__main__ import main

pytestmark = pytest.mark.slow

IMAGES, CLASSES = 11, 3
NAMES = ["ant", "bee", "a cat"]
OPTIONS = {"source": "list.txt", "classes": "names.txt", "batch_size": 4, "workers": 1, "new_height": 11,
           "new_width": 10, "crop_size": 8, "scale": 0.02, "mean_value": [90, 100, 110]}  # fmt: skip
FC = (
    'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores" '
    f'inner_product_param {{ num_output: {CLASSES} weight_filler {{ type: "gaussian" std: 0.3 }} }} }}\n'
)
TRAIN_VAL = ["--model", "net.prototxt", "--weights", "net.caffemodel"]
DEPLOYED = ["--model", "deploy.prototxt", "--weights", "deploy.caffemodel"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_list(tmp_path, IMAGES, CLASSES)
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    return tmp_path


def deploy(folder, *words, loss="SigmoidCrossEntropyLoss", data=None, **more):
    """A train_val with random weights, and its deploy net."""
    options = dict(OPTIONS, **more)
    data = data or (
        'layer { name: "data" type: "Python" top: "data" top: "labels" python_param { module: "caffe_losses.layers" '
        f"layer: \"MultiLabelImageData\" param_str: '{json.dumps(options)}' }} }}\n"
    )
    (folder / "net.prototxt").write_text(data + FC + loss_layer(loss, ["scores", "labels"]))
    channels = 1 if more.get("color") == "GRAY" else 3
    (folder / "weights.prototxt").write_text(input_layer("data", (1, channels, 8, 8)) + FC)
    caffe.set_random_seed(3)
    caffe.Net("weights.prototxt", caffe.TEST).save("net.caffemodel")
    files = ["--weights", "net.caffemodel", "--output-weights", "deploy.caffemodel"]
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt", "--force", *files, *words]) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a deploy net; `deployed` copies it."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_list(folder, IMAGES, CLASSES)
        (folder / "names.txt").write_text("\n".join(NAMES))
        deploy(folder)
    return folder


@pytest.fixture
def deployed(made, tmp_path, monkeypatch):
    shutil.copytree(str(made), str(tmp_path / "copy"))
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def printed(capsys, *words):
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def refused(capsys, *words):
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    output = capsys.readouterr()
    assert not output.out
    (line,) = output.err.splitlines()
    return line


def change(folder, **keys):
    """Write other values into the JSON; None takes a key out."""
    spec = dict(json.loads((folder / "deploy.json").read_text()), **keys)
    (folder / "deploy.json").write_text(json.dumps({key: value for key, value in spec.items() if value is not ...}))


def pictures(folder):
    """Those of the list, one that is gray and one that is transparent."""
    cv2.imwrite(str(folder / "gray.png"), picture(80, channels=1))
    cv2.imwrite(str(folder / "clear.png"), picture(81, channels=4))
    return [*(f"{k}.png" for k in range(IMAGES)), "gray.png", "clear.png"]


@pytest.mark.parametrize("loss, more", [
    ("SigmoidCrossEntropyLoss", {}),
    ("MultiLabelSoftmaxLoss", {"color": "RGB", "background": [250, 10, 100], "crop_size": [8, 8]}),
    ("ZLPRLoss", {"color": "GRAY", "mean_value": None}),
    ("MultiLabelSoftmaxLoss", {"mean_value": None, "mean_file": "mean.npy"}),
    ("SigmoidCrossEntropyLoss", {"new_height": 0, "new_width": 0}),
], ids=str)  # fmt: skip
def test_a_deploy_net_gives_what_its_train_val_gives(folder, loss, more, capsys):
    np.save("mean.npy", np.float32(picture(99, 11, 10).transpose(2, 0, 1)))
    deploy(folder, loss=loss, **more)
    words = ["predict", "--json", "--top-k", CLASSES, *pictures(folder)]
    assert printed(capsys, *words, *DEPLOYED) == printed(capsys, *words, *TRAIN_VAL)
    words = ["predict", "--mirror", *pictures(folder)]
    assert printed(capsys, *words, *DEPLOYED) == printed(capsys, *words, *TRAIN_VAL)
    words = ["predict", "--crops", "5", *pictures(folder)]
    if "mean_file" in more:  # the JSON has only its middle
        assert "got a mean image of the size of the crop, which does not" in refused(capsys, *words, *DEPLOYED)
    else:
        assert printed(capsys, *words, *DEPLOYED) == printed(capsys, *words, *TRAIN_VAL)
    expected = printed(capsys, "evaluate", *TRAIN_VAL)
    assert printed(capsys, "evaluate", *DEPLOYED, "--image-list", "list.txt") == expected
    assert "a cat" in expected


def test_thresholds_of_the_json_are_used(folder, capsys):
    (folder / "thresholds.json").write_text(json.dumps(dict(zip(NAMES, [0.2, 0.7, 0.4]))))
    deploy(folder, "--thresholds", "thresholds.json")
    for words in (["predict", *pictures(folder)], ["evaluate", "--image-list", "list.txt"]):
        expected = printed(capsys, *words, *TRAIN_VAL, "--thresholds", "thresholds.json")
        assert printed(capsys, *words, *DEPLOYED) == expected
        assert expected != printed(capsys, *words, *TRAIN_VAL)
        others = [*words, "--threshold", "0.3"]
        assert printed(capsys, *others, *DEPLOYED) == printed(capsys, *others, *TRAIN_VAL)


def test_a_net_of_an_lmdb(folder, capsys):
    """Its JSON knows neither the pictures' size nor the names."""
    transform = "transform_param { crop_size: 8 mean_value: 90 mean_value: 100 mean_value: 110 scale: 0.02 }"
    data = f'layer {{ name: "data" type: "Data" top: "data" top: "labels" {transform} data_param {{ source: "x" }} }}\n'
    deploy(folder, data=data)
    words = ["predict", *pictures(folder)]
    line = refused(capsys, *words, *DEPLOYED)
    assert "deploy.json does not say resize, the size of pictures before they are cropped; write it there, or" in line
    words += ["--resize", "11,10"]
    assert printed(capsys, *words, *DEPLOYED) == printed(capsys, *words, *TRAIN_VAL)
    change(folder, resize=[11, 10])
    words = ["evaluate", "--image-list", "list.txt", *DEPLOYED]
    assert "deploy.json does not say classes; write them there, or give --classes FILE" in refused(capsys, *words)
    table = printed(capsys, *words, "--classes", "names.txt")
    deploy(folder)
    assert table == printed(capsys, "evaluate", *TRAIN_VAL)


def test_a_published_net_with_a_json_that_was_written_by_hand(deployed, capsys):
    """In the format of an older Caffe, with `input:`."""
    folder = deployed
    old = 'input: "pixels" input_shape { dim: 10 dim: 3 dim: 8 dim: 8 }\n' + FC.replace('"data"', '"pixels"')
    (folder / "deploy.prototxt").write_text(old + layer("p", "Sigmoid", "scores", "p"))
    change(folder, net=..., weights=..., inputs={"pixels": [10, 3, 8, 8]}, outputs={"p": "Sigmoid"})
    for words in (["predict", *pictures(folder)], ["evaluate", "--image-list", "list.txt"]):
        assert printed(capsys, *words, *DEPLOYED) == printed(capsys, *words, *TRAIN_VAL)


@pytest.mark.parametrize("keys, text", [
    ({"color": ..., "mean": ...}, "deploy.json does not say color, mean; write that there, as docs/deployment.md"),
    ({"inputs": {"pixels": [1, 3, 8, 8]}}, "tells of the input pixels and the output prob, and the net has not both"),
    ({"outputs": {"p": "Sigmoid"}}, "tells of the input data and the output p, and the net has not both of them"),
    ({"inputs": {"data": [3, 8, 8]}}, "expected inputs to be one blob with its shape, images, channels, height, width"),
    ({"outputs": {"prob": "Sigmoid", "p": None}}, "expected outputs to be one blob with Softmax, Sigmoid or null"),
    ({"outputs": {"prob": "Tanh"}}, "to be one blob with Softmax, Sigmoid or null, got {'prob': 'Tanh'}"),
    ({"outputs": {"scores": "Sigmoid"}}, "outputs says Sigmoid of scores, and layer fc (InnerProduct) makes it"),
    ({"mean": [[1], [2, 3]]}, "expected mean to be a number for each channel, or rows of pixels with them, got"),
    ({"outputs": {"prob": ["Sigmoid"]}}, "expected outputs to be one blob with Softmax, Sigmoid or null"),
    ({"resize": 11}, "expected resize to be [height, width] or null, got 11"),
    ({"classes": "names.txt"}, "expected classes to be a list of names, got 'names.txt'"),
    ({"thresholds": [0.5]}, "expected a threshold for each of 3 classes, got 1"),
    ({"color": "GRAY"}, "color is GRAY, and the input has 3 channels"),
    ({"mean": [1, 2]}, "got 2 mean_values for BGR; give 1 or 3"),
    ({"scale": "x"}, "scale must be a finite number"),
    ({"classes": ["a", "b"]}, "the JSON has 2 classes, and prob 3; give one name a class"),
], ids=lambda x: str(x)[:40])  # fmt: skip
def test_what_is_missing_or_wrong_is_one_line(deployed, keys, text, capsys):
    change(deployed, **keys)
    assert text in refused(capsys, "predict", "0.png", *DEPLOYED)


def test_without_json_or_pictures(deployed, capsys):
    folder = deployed
    assert "a net for inference, which names no test pictures; give --image-list LIST" in refused(
        capsys, "evaluate", *DEPLOYED
    )
    line = refused(capsys, "evaluate", *DEPLOYED, "--image-list", "list.txt", "--json", "deploy.json", "--force")
    assert "deploy.json is an input of this command" in line
    (folder / "deploy.json").write_text("{")
    assert "deploy.json is no JSON" in refused(capsys, "predict", "0.png", *DEPLOYED)
    (folder / "deploy.json").unlink()
    for words in (["predict", "0.png"], ["evaluate", "--image-list", "list.txt"]):
        assert refused(capsys, *words, *DEPLOYED) == (
            "caffe-losses: deploy.prototxt is a net for inference, and deploy.json is not there, which says how its "
            "input is made of pictures and what its output means; write it as docs/deployment.md has it, or give the "
            "train_val"
        )
