"""Whether Caffe loads a net, with its data and without."""

import os

import pytest
from rewiring import SINGLE, command


def test_check_without_the_data(tmp_path, capsys, monkeypatch):
    """Before there are LMDBs, Input layers stand in; what Caffe then refuses is told, and nothing written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train_val.prototxt").write_text(SINGLE)
    options = ["--loss", "SigmoidCrossEntropyLoss", "--check", "--label-source", "a", "b", "--num-classes", 3]
    assert command("wire", "train_val.prototxt", "-o", "out.prototxt", *options) == 0
    assert "check: TEST loads with Input layers for data, as test does not exist" in capsys.readouterr().out
    os.remove("out.prototxt")
    for wrong, reason in [
        (["--param", "class_weight=[1,2]"], "class_weight has 2 numbers for 3 classes"),
        (["--shape", "data=1,1,2,2"], "Check failed"),
    ]:
        with pytest.raises(ValueError, match=rf"^check: Caffe does not load the TRAIN phase: [^\n]*{reason}[^\n]*$"):
            command("wire", "train_val.prototxt", "-o", "out.prototxt", *options, *wrong)
        assert not os.path.exists("out.prototxt")
