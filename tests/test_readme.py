"""The README: one page, whose tables are complete and right."""

import json
import os
import re

import documents
import numpy as np
import pytest
from documents import ROOT
from nets import fill, input_layer, loss_layer, net

from caffe_losses import losses

README = documents.read("README.md")


def table(first):
    """The rows of the table whose first column has this header."""
    (rows,) = [rows for rows in documents.tables("README.md") if rows[0][0] == first]
    return rows[1:]


def test_the_table_of_layers_has_them_all():
    assert [row[0] for row in table("layer")] == [f"`{name}`" for name in losses.__all__]


def test_the_table_of_which_loss_has_them_all_but_those_of_probabilities():
    of_scores = {f"`{name}`" for name in losses.__all__ if getattr(losses, name).has_probabilities}
    assert {layer for _, layer, _ in table("your labels")} - {"any that has it"} == of_scores


@pytest.mark.parametrize("case, layer, param", table("your labels"), ids=lambda cell: cell[:30])
def test_each_row_of_which_loss_trains(case, layer, param, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.txt").write_text("1 2 1 1 3\n")
    options = json.loads(param.strip("`"))
    index = options.get("label_format") == "INDEX"
    having = [name for name in losses.__all__ if {o.name for o in getattr(losses, name).options} >= set(options)]
    for name in having if layer == "any that has it" else [layer.strip("`")]:
        inputs = input_layer("scores", (4, 5)) + input_layer("labels", (4, 2) if index else (4, 5))
        loaded = net(inputs + loss_layer(name, ["scores", "labels"], param=options))
        labels = np.array([[0, -1]] * 4 if index else [[1, 0, 0, 1, 0]] * 4)
        fill(loaded, scores=np.full((4, 5), 0.25), labels=labels)
        assert loaded.forward()["loss"] > 0
        loaded.backward()
        assert loaded.blobs["scores"].diff.any()


def test_what_is_where_names_what_is_there():
    paths = re.findall(r"`([^`]+)`", " ".join(row[0] for row in table("folder or file")))
    assert paths
    assert all((ROOT / path).exists() for path in paths)
    rooms = {
        f"caffe_losses/{path.name}/" for path in (ROOT / "caffe_losses").iterdir() if (path / "__init__.py").exists()
    }
    assert rooms <= set(paths)


@pytest.mark.parametrize("example", ["yeast", "emoji"])
def test_the_results_are_those_of_the_example(example):
    (line,) = re.findall(rf"^- \[\w+\]\(examples/{example}/README.md\)(.*?)^- ", README, re.MULTILINE | re.DOTALL)
    figures = re.findall(r"0\.\d{3}", line)
    assert len(figures) >= 2
    assert all(figure in documents.read(os.path.join("examples", example, "README.md")) for figure in figures)
