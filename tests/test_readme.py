"""What the README shows, run."""

import argparse
import json
import os
import re
import shlex
import subprocess

import caffe
import pytest
from nets import CAFFE, input_layer, net
from pictures import write_pictures

from caffe_losses import data, losses, metrics
from caffe_losses.__main__ import main
from caffe_losses.commands import train
from caffe_losses.layers.metrics import PASS_OPTIONS
from caffe_losses.options import REQUIRED

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
    README = file.read()


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def blocks(*layers):
    """The prototxt blocks of these layers, or of all but these."""
    return [text for text in fenced("protobuf") if any(layer in text for layer in layers)]


AROUND = "MultiLabelImageData", "MultiLabelMetrics"


@pytest.mark.parametrize("text", [text for text in fenced("protobuf") if text not in blocks(*AROUND)])
def test_prototxt_blocks_train(text):
    bottoms = sorted(set(re.findall('bottom: "(.*?)"', text)))
    shapes = {"scores": (4, 5), "labels": (4, 5), "indices": (4, 3), "weights": (4,)}
    one = net("".join(input_layer(name, shapes[name]) for name in bottoms) + text)
    if "labels" in bottoms:
        one.blobs["labels"].data[:, 1] = 1
    if "weights" in bottoms:
        one.blobs["weights"].data[...] = 1
    assert one.forward()["loss"] > 0
    one.backward()
    assert one.blobs["scores"].diff.any()


@pytest.mark.parametrize("text", blocks("MultiLabelImageData"))
def test_the_data_layer_reads(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    write_pictures(tmp_path / "lists", 2)
    (tmp_path / "lists" / "train.csv").write_text("path,labels\n0.png,sea|dog\n1.png,sea\n")
    (tmp_path / "lists" / "classes.txt").write_text("dog\nsea\n")
    one = net(text)
    one.forward()
    assert one.blobs["data"].data.shape == (32, 3, 224, 224)
    assert one.blobs["labels"].data.sum() == 48


@pytest.mark.parametrize("text", blocks("MultiLabelMetrics"))
def test_the_metrics_layer_measures(text):
    one = net(input_layer("scores", (32, 6)) + input_layer("labels", (32, 6)) + text, caffe.TEST)
    one.blobs["scores"].data[:, 2] = one.blobs["labels"].data[:, 2] = 1
    for _ in range(79):
        found = one.forward()
    assert {name: value / 79 for name, value in found.items()} == pytest.approx(
        {"mAP": 1, "hit@1": 1, "precision@5": 0.2}
    )


@pytest.mark.parametrize("text", fenced("python"))
def test_python_blocks_run(text):
    exec(compile(text, "README.md", "exec"), {})


def parameter_rows():
    for name in losses.__all__:
        for option in getattr(losses, name).options:
            yield name, option


def test_the_table_has_every_parameter_with_its_domain_default_and_meaning():
    for name, option in parameter_rows():
        row = next(line for line in README.splitlines() if line.startswith(f"| `{option.name}` |"))
        cells = [cell.strip() for cell in row.split("|")[2:]]
        assert cells[0] == option.domain.text
        assert f"`{json.dumps(option.default)}`" in cells[1], (name, option.name, cells[1])
        assert cells[2] == option.meaning


@pytest.mark.parametrize("option", [*data.OPTIONS, *metrics.OPTIONS, *PASS_OPTIONS], ids=lambda option: option.name)
def test_the_tables_of_data_and_metrics_too(option):
    default = "required" if option.default is REQUIRED else f"`{json.dumps(option.default)}`"
    assert f"| `{option.name}` | {option.domain.text} | {default} | {option.meaning} |" in README.splitlines()


def test_the_table_of_layers_has_them_all():
    assert re.findall(r"^\| `(\w+Loss)` \|", README, re.MULTILINE) == losses.__all__


def test_gradcheck_command(tmp_path, monkeypatch, capsys):
    command = shlex.split(next(line for text in fenced("sh") for line in text.splitlines() if "gradcheck" in line))
    assert command[0] == "caffe-losses"
    monkeypatch.chdir(tmp_path)
    inputs = input_layer("scores", (4, 5)) + input_layer("labels", (4, 5))
    (tmp_path / command[2]).write_text(inputs + fenced("protobuf")[0])
    assert main(command[1:]) == 0
    assert "loss: 20 derivatives, 0 wrong" in capsys.readouterr().out


SINGLE_LABEL = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 12 mean_value: 10 } data_param { source: "train" batch_size: 4 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 12 mean_value: 10 } data_param { source: "test" batch_size: 4 backend: LMDB } }
layer { name: "fc8" type: "InnerProduct" bottom: "data" top: "fc8" inner_product_param { num_output: 10 } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" }
"""


def commands(name):
    """The README's commands of that name, as lists of words."""
    lines = [line for text in fenced("sh") for line in text.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith(f"caffe-losses {name} ")]


def test_two_commands_from_a_single_label_net_to_hashtags(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train_val.prototxt").write_text(SINGLE_LABEL)
    (wire,), (deploy,) = commands("wire"), commands("deploy")
    assert main(wire) == 0
    assert "fc8: 10 -> 17000 outputs" in capsys.readouterr().out
    assert main(deploy) == 0
    text = (tmp_path / deploy[-1]).read_text()
    assert "17000" in text
    assert "Softmax" in text
    assert net(text).forward()["prob"].shape == (1, 17000)


def test_from_a_folder_of_pictures_to_a_measured_net(tmp_path):
    """As a newcomer does it, but with a smaller net."""
    (script,) = [text for text in fenced("sh") if "caffe-losses split" in text]
    (tmp_path / "beach").mkdir()
    names = write_pictures(tmp_path / "beach", 40, ending="jpg")
    rows = [f"beach/{name},{'sea|sunset' if k % 2 else 'dog'}\n" for k, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("path,labels\n" + "".join(rows))
    script = script.replace("mobilenet", "lenet")
    environment = dict(os.environ, PATH=os.path.dirname(CAFFE) + os.pathsep + os.environ["PATH"], GLOG_minloglevel="0")
    command = ["bash", "-euc", script]
    done = subprocess.run(command, cwd=str(tmp_path), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lists/train.csv: 36 images" in done.stdout
    assert re.search(r"^\.\./beach/1\.jpg +\w+ 0\.\d+", done.stdout, re.MULTILINE)
    assert json.loads((tmp_path / "net" / "figures.json").read_text())["images"] == 4
    assert all((tmp_path / "net" / name).stat().st_size > 10000 for name in ("curves.png", "figures.png"))


def test_template_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (template,) = [words for words in commands("template") if "--lists" not in words]
    assert main(template) == 0
    assert "17000" in (tmp_path / template[-1] / "train_val.prototxt").read_text()


def test_train_commands_are_understood():
    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers(dest="command"))
    lines = [line.partition("caffe-losses ")[2] for text in fenced("sh") for line in text.splitlines()]
    trainings = [parser.parse_args(shlex.split(line)) for line in lines if line.startswith("train ")]
    assert {options.gpu for options in trainings} == {None, "0,1,2,3"}


def test_the_table_of_train_has_every_option():
    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers(dest="command"))
    (choices,) = [action.choices for action in parser._actions if action.choices]
    for action in choices["train"]._actions:
        if action.dest != "help":
            assert f"`{action.option_strings[0]}" in README


def test_make_targets_exist():
    with open(os.path.join(ROOT, "Makefile")) as makefile:
        targets = re.findall(r"^([\w-]+):", makefile.read(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z-]+)(?: |`|$)", "\n".join(fenced("sh")))) <= set(targets)
