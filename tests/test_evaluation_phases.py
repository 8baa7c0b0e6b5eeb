"""evaluate, predict and deploy look at the TEST phase alone: its graph, its pictures, its statistics. In real Caffe."""

import json
from pathlib import Path

import caffe
import numpy as np
import pytest
from nets import loss_layer
from pictures import write_list
from rewiring import layer
from sklearn.metrics import average_precision_score

from caffe_losses.__main__ import main
from caffe_losses.data import Transform, lists

pytestmark = pytest.mark.slow

IMAGES, CLASSES = 11, 3
IN_TRAIN, IN_TEST = "include { phase: TRAIN }", "include { phase: TEST }"
OF_TEST = {"new_height": 8, "new_width": 8, "scale": 0.0078125}
FC = (
    'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores" '
    f'inner_product_param {{ num_output: {CLASSES} weight_filler {{ type: "gaussian" std: 0.5 }} }} }}\n'
)
LOSS = loss_layer("SigmoidCrossEntropyLoss", ["scores", "labels"])
TRAIN_LOSS = LOSS.replace("python_param", f"{IN_TRAIN} python_param")


def data(name, rules, **options):
    options = dict({"source": f"{name}.txt", "classes": CLASSES, "batch_size": 4, "workers": 1}, **options)
    return (
        f'layer {{ name: "data" type: "Python" top: "data" top: "labels" {rules} python_param {{ module: '
        f'"caffe_losses.layers" layer: "MultiLabelImageData" param_str: \'{json.dumps(options)}\' }} }}\n'
    )


def both(rules=(IN_TRAIN, IN_TEST)):
    """Data of TRAIN, cut out of larger pictures with another scale, and data of TEST."""
    of_train = {"new_height": 12, "new_width": 12, "crop_size": 8, "scale": 0.5, "mean_value": 100}
    return data("train", rules[0], **of_train) + data("test", rules[1], **OF_TEST)


METRICS = (
    f'layer {{ name: "metrics" type: "Python" bottom: "scores" bottom: "labels" top: "mAP" {IN_TEST} python_param {{ '
    'module: "caffe_losses.layers" layer: "MultiLabelMetrics" param_str: \'{"test_iter": 3}\' } }\n'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with lists of other pictures for TRAIN and for TEST."""
    monkeypatch.chdir(tmp_path)
    for name, first in (("train", IMAGES), ("test", 0)):
        (tmp_path / name).mkdir()
        write_list(tmp_path / name, 2 * IMAGES, CLASSES)
        lines = (tmp_path / name / "list.txt").read_text().splitlines()[first:][:IMAGES]
        (tmp_path / f"{name}.txt").write_text("".join(f"{name}/{line}\n" for line in lines))
    return tmp_path


def write(folder, text):
    """net.prototxt, and random weights for its TEST phase."""
    (folder / "net.prototxt").write_text(text)
    caffe.set_random_seed(1)
    weights = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n'
    (folder / "weights.prototxt").write_text(weights + FC)
    net = caffe.Net("weights.prototxt", caffe.TEST)
    net.save("net.caffemodel")
    return [blob.data for blob in net.params["fc"]]


def scores_of(params, name="test"):
    weights, bias = params
    paths = lists.read(f"{name}.txt", CLASSES).paths
    return np.array([weights @ Transform(**OF_TEST)(path).ravel() + bias for path in paths], np.float64)


def run(command, *words):
    return main([command, "--model", "net.prototxt", "--weights", "net.caffemodel", *map(str, words)])


def evaluated(*words):
    assert run("evaluate", "--json", "all.json", "--force", *words) == 0
    return json.loads(Path("all.json").read_text())


def refused(capsys, *words):
    assert main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def mean_average_precision(scores, name="test"):
    labels = lists.read(f"{name}.txt", CLASSES).dense(np.arange(IMAGES), CLASSES)
    return average_precision_score(labels, scores, average="macro")


def test_a_loss_of_train_alone_and_metrics_of_test(folder, capsys):
    scores = scores_of(write(folder, both() + FC + TRAIN_LOSS + METRICS))
    figures = evaluated()
    assert figures["images"] == IMAGES
    assert figures["decision"] == {"threshold": 0}  # of a sigmoid, as the loss of TRAIN tells
    assert figures["metrics"]["mAP"] == pytest.approx(mean_average_precision(scores))

    paths = [f"test/{k}.png" for k in range(IMAGES)]
    capsys.readouterr()
    assert run("predict", "--json", "--top-k", CLASSES, *paths) == 0
    for line, row in zip(capsys.readouterr().out.splitlines(), scores):
        found = {label["index"]: label["probability"] for label in json.loads(line)["labels"]}
        np.testing.assert_allclose([found[c] for c in range(CLASSES)], 1 / (1 + np.exp(-row)), rtol=1e-4)

    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt"]) == 0
    spec = json.loads((folder / "deploy.json").read_text())
    assert (spec["resize"], spec["scale"], spec["mean"]) == ([8, 8], 0.0078125, [0.0, 0.0, 0.0])
    assert (spec["inputs"], spec["outputs"]) == ({"data": [1, 3, 8, 8]}, {"prob": "Sigmoid"})


def test_a_loss_of_train_alone_that_nothing_measures_is_asked_for(folder, capsys):
    params = write(folder, both() + FC + TRAIN_LOSS)
    text = "has neither a loss nor Accuracy nor MultiLabelMetrics in TEST, so that it is not clear what its scores are"
    arguments = ["--model", "net.prototxt", "--weights", "net.caffemodel"]
    for words in (
        ["evaluate", *arguments],
        ["predict", *arguments, "test/0.png"],
        ["deploy", "net.prototxt", "-o", "d"],
    ):
        line = refused(capsys, *words)
        assert text in line
        assert "name a loss of TRAIN (loss) with --head or, for evaluate, the blobs with --scores and --labels" in line
    expected = pytest.approx(mean_average_precision(scores_of(params)))
    assert evaluated("--scores", "scores", "--labels", "labels")["metrics"]["mAP"] == expected
    assert evaluated("--head", "loss")["metrics"]["mAP"] == expected
    assert run("predict", "--head", "loss", "test/0.png") == 0
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt", "--head", "loss"]) == 0
    assert json.loads((folder / "deploy.json").read_text())["scale"] == 0.0078125


def test_deploy_says_that_it_takes_train(folder, capsys):
    write(folder, data("train", IN_TRAIN, **OF_TEST) + FC + LOSS)
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt"]) == 0
    said = "TEST: the net has no such phase; size, mean and scale of the pictures are those of TRAIN"
    assert said in capsys.readouterr().out.splitlines()
    write(folder, data("test", IN_TEST, **OF_TEST) + FC + LOSS)
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt", "--force"]) == 0
    assert said not in capsys.readouterr().out


@pytest.mark.parametrize("command, words", [
    ("evaluate", ["--weights", "net.caffemodel", "--model", "net.prototxt"]),
    ("predict", ["--weights", "net.caffemodel", "test/0.png", "--model", "net.prototxt"]),
    ("deploy", ["-o", "deploy.prototxt", "net.prototxt"]),
])  # fmt: skip
def test_statistics_of_a_batch_are_refused(folder, command, words, capsys):
    """Of the same pictures, such a net gives other figures in batches of another size."""
    norm = layer("bn", "BatchNorm", "data", "data", "batch_norm_param { use_global_stats: false }")
    write(folder, both() + norm + FC + LOSS)
    assert "layer bn (BatchNorm) says use_global_stats: false, so that its output" in refused(capsys, command, *words)
    write(folder, both() + norm.replace("batch_norm_param", f"{IN_TRAIN} batch_norm_param") + FC + LOSS)
    assert main([command, *words]) == 0


STAGES = 'include { stage: "fit" }', 'include { stage: "see" }'


def test_stages_lead_to_no_training_pictures(folder, capsys):
    text = both(STAGES) + FC + LOSS
    params = write(folder, text)
    model = ["--model", "net.prototxt", "--weights", "net.caffemodel"]
    for command, more in (("evaluate", []), ("predict", ["test/0.png"])):
        line = refused(capsys, command, *model, *more)
        assert (
            "stages fit, see: name them with --stage, first that of TRAIN, then that of TEST, e.g. --stage fit" in line
        )
        (folder / "staged.prototxt").write_text('state { stage: "fit" }\n' + text)
        staged = ["--model", "staged.prototxt", *model[2:], *more]
        assert "TRAIN reads layer data (MultiLabelImageData), too, in the stages" in refused(capsys, command, *staged)
    for command in (["staged.prototxt"], ["net.prototxt", "--stage", "fit"]):
        assert "TRAIN reads layer data" in refused(capsys, "deploy", *command, "-o", "deploy.prototxt")
    figures = evaluated("--stage", "fit", "see")
    assert figures["metrics"]["mAP"] == pytest.approx(mean_average_precision(scores_of(params)))
    assert main(["predict", *model, "test/0.png", "--stage", "fit", "see"]) == 0
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt", "--stage", "fit", "see"]) == 0
    assert json.loads((folder / "deploy.json").read_text())["scale"] == 0.0078125


def test_layers_without_a_name(folder, capsys):
    """Of two losses, one is chosen by what it makes; a data layer is called what it makes."""
    second = LOSS.replace('"loss"', '"second"').replace('top: "second"', 'top: "second" loss_weight: 0.5', 1)
    second = second.replace("loss_weight: 1 ", "")
    losses = LOSS.replace('name: "loss"', "") + second.replace('name: "second"', "")
    write(folder, (both() + FC).replace('name: "data"', "") + losses)
    assert evaluated("--head", "second")["images"] == IMAGES
    (folder / "test.txt").rename(folder / "gone.txt")
    line = refused(capsys, "evaluate", "--model", "net.prototxt", "--weights", "net.caffemodel")
    assert "layer data (MultiLabelImageData): test.txt does not exist" in line
    assert main(["deploy", "net.prototxt", "-o", "deploy.prototxt", "--head", "second"]) == 0
    assert "loss: dropped (SigmoidCrossEntropyLoss)" in capsys.readouterr().out
