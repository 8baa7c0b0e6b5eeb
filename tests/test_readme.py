"""What the README shows, run."""

import json
import os
import re
import shlex

import pytest
from nets import input_layer, net

from caffe_losses import losses
from caffe_losses.__main__ import main

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
    README = file.read()


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", fenced("protobuf"))
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
        assert cells[0] == option.domain
        assert f"`{json.dumps(option.default)}`" in cells[1], (name, option.name, cells[1])
        assert cells[2] == option.meaning


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


def test_make_targets_exist():
    with open(os.path.join(ROOT, "Makefile")) as makefile:
        targets = re.findall(r"^([\w-]+):", makefile.read(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z-]+)(?: |`|$)", "\n".join(fenced("sh")))) <= set(targets)
