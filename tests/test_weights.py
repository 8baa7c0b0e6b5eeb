"""caffe-losses weights: each scheme by hand, and what a loss makes of the file."""

import numpy as np
import pytest

from caffe_losses import losses
from caffe_losses.__main__ import main
from caffe_losses.data.weights import class_weights, pos_weights


@pytest.mark.parametrize("scheme, beta, raw", [
    ("inverse", 0.9, [1, 1 / 4, 1 / 100]),
    ("sqrt", 0.9, [1, 1 / 2, 1 / 10]),
    ("effective", 0.9, [1, 0.1 / (1 - 0.9**4), 0.1 / (1 - 0.9**100)]),
    ("effective", 0, [1, 1, 1]),
    ("effective", 1 - 1e-12, [1, 1 / 4, 1 / 100]),
])  # fmt: skip
def test_schemes(scheme, beta, raw):
    found = class_weights([1, 4, 100], scheme, beta)
    np.testing.assert_allclose(found, np.array(raw) / np.mean(raw), rtol=1e-9)
    assert found.mean() == pytest.approx(1)


def test_pos_weights():
    np.testing.assert_allclose(pos_weights([1, 4, 10], 10), [9, 1.5, 0])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("path,labels\na.png,x|y\nb.png,x\nc.png,x\nd.png,x|z\n")
    return tmp_path


@pytest.mark.parametrize("words, weights", [
    ([], [1 / 4, 1, 1]),
    (["--scheme", "sqrt"], [1 / 2, 1, 1]),
    (["--scheme", "effective", "--beta", "0.5"], [8 / 15, 1, 1]),
])  # fmt: skip
def test_a_file_for_class_weight(folder, capsys, words, weights):
    assert main(["weights", "list.csv", "-o", "w.txt", *words]) == 0
    loss = losses.SigmoidCrossEntropyLoss(class_weight="w.txt")
    np.testing.assert_allclose(loss.class_weight, np.array(weights) / np.mean(weights), rtol=1e-8)
    assert "w.txt: 3 weights, from" in capsys.readouterr().out


def test_a_file_for_pos_weight(folder):
    assert main(["weights", "list.csv", "-o", "p.txt", "--kind", "pos_weight"]) == 0
    assert losses.SigmoidCrossEntropyLoss(pos_weight="p.txt").pos_weight.tolist() == [0, 3, 3]


@pytest.mark.parametrize("words, text", [
    (["-o", "w.csv"], "--output w.csv: expected a name that ends in .txt, as the losses want it"),
    (["-o", "w.txt", "--beta", "0.5"], "--beta: it is of --scheme effective; leave it out"),
    (["-o", "w.txt", "--scheme", "effective", "--beta", "1"], "--beta: expected a number in [0, 1), got 1"),
    (["-o", "w.txt", "--kind", "pos_weight", "--scheme", "sqrt"], "--scheme: it is of --kind class_weight; leave it"),
    (["-o", "w.txt", "--classes", "names.txt"], "list.csv: 1 classes have no image, e.g. w, and so no weight; leave"),
])  # fmt: skip
def test_refusals(folder, capsys, words, text):
    (folder / "names.txt").write_text("w\nx\ny\nz\n")
    assert main(["weights", "list.csv", *words]) == 2
    assert text in capsys.readouterr().err
    assert not (folder / "w.txt").exists()
