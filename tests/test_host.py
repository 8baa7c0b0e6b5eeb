"""Where Caffe's programs are, and its own training with a progress bar."""

import pytest
from nets import loss_layer

from caffe_losses import host
from caffe_losses.evaluation.logs import read_log

NET = """
layer { name: "data" type: "DummyData" top: "scores" top: "labels" dummy_data_param {
  shape { dim: 4 dim: 3 } data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "scores" top: "fc" inner_product_param { num_output: 3 } }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 20 display: 5 snapshot_prefix: "net"'


def write_job(folder, solver=SOLVER):
    (folder / "net.prototxt").write_text(NET + loss_layer("MultiLabelSoftmaxLoss", ["fc", "labels"]))
    (folder / "solver.prototxt").write_text(solver)


@pytest.mark.slow
def test_caffe_trains_with_a_bar_and_its_log_is_kept(tmp_path, capsys):
    write_job(tmp_path)
    host.train("solver.prototxt", folder=tmp_path, log=tmp_path / "log", title="softmax")
    assert list(read_log(str(tmp_path / "log")).losses["train"]) == [0, 5, 10, 15, 20]
    assert (tmp_path / "net_iter_20.caffemodel").exists()
    bar = capsys.readouterr().err
    assert "softmax: 100%" in bar
    assert "20/20" in bar


@pytest.mark.slow
def test_a_training_that_fails_is_told_with_the_end_of_its_log(tmp_path):
    write_job(tmp_path, SOLVER.replace("net.prototxt", "missing.prototxt"))
    with pytest.raises(RuntimeError, match=r"caffe train: status -?\d+[\s\S]*missing\.prototxt"):
        host.train("solver.prototxt", folder=tmp_path, log=tmp_path / "log", title="softmax")


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(OSError, match="the program caffeine of Caffe is neither beside this Python nor on PATH"):
        host.program("caffeine")
