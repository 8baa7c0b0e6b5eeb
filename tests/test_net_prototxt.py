"""Prototxt files: read, upgraded, written, loaded."""

import os
import subprocess
import sys

import caffe
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from nets import input_layer
from rewiring import DATA, FC, LOSS, command, parsed

from caffe_losses.net import prototxt, trial


@pytest.mark.slow
def test_older_formats_are_upgraded_as_caffe_does(tmp_path, capsys):
    old = """
    layers { name: "data" type: DATA top: "data" top: "label"
      data_param { source: "x" batch_size: 2 crop_size: 9 scale: 0.5 } }
    layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 3 } blobs_lr: 1 }
    layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc" bottom: "label" top: "loss" loss_weight: 0.5 }
    """
    (tmp_path / "old.prototxt").write_text(old)
    assert command("wire", tmp_path / "old.prototxt", "-o", tmp_path / "new.prototxt", "--loss", "AsymmetricLoss") == 0
    assert capsys.readouterr().out.startswith("upgraded from the format of an older Caffe\n")
    data, fc, loss = prototxt.read(str(tmp_path / "new.prototxt")).net.layer
    assert data.transform_param.crop_size == 9 and data.transform_param.scale == 0.5
    assert fc.param[0].lr_mult == 1 and fc.type == "InnerProduct"
    assert loss.python_param.layer == "AsymmetricLoss" and loss.loss_weight[0] == 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ['layer { name: "a" typ: "b" }', "layer {", 'layers { name: "a" bottom: "a" type: 9 }']
)
def test_what_is_no_net_is_refused_in_one_line(text, tmp_path):
    (tmp_path / "in.prototxt").write_text(text)
    with pytest.raises((ValueError, OSError), match=r"^[^\n]+$"):
        command("wire", tmp_path / "in.prototxt", "-o", tmp_path / "out", "--loss", "SigmoidFocalLoss")


def test_a_net_of_today_is_not_upgraded(tmp_path):
    (tmp_path / "net.prototxt").write_text(DATA + FC + LOSS)
    file = prototxt.read(str(tmp_path / "net.prototxt"))
    assert not file.upgraded
    assert file.net == parsed(DATA + FC + LOSS)


@pytest.mark.parametrize("write", [prototxt.write, lambda net, path: open_and_write(path, prototxt.compact_text(net))])
def test_what_is_written_reads_the_same(tmp_path, write):
    net = parsed('name: "n" ' + DATA + FC + LOSS)
    write(net, str(tmp_path / "net.prototxt"))
    assert prototxt.read(str(tmp_path / "net.prototxt")).net == net


def open_and_write(path, text):
    with open(path, "w") as file:
        file.write(text)


def test_a_solver_is_read_and_a_net_is_none(tmp_path):
    path = str(tmp_path / "solver.prototxt")
    open_and_write(path, 'net: "net.prototxt" test_iter: 3')
    assert prototxt.read_solver(path).test_iter == [3]
    for text in ["layer { }", "net: 3"]:
        open_and_write(path, text)
        with pytest.raises(ValueError, match=r"^\S+solver.prototxt is not a solver: [^\n]+$"):
            prototxt.read_solver(path)


def test_bytes_are_no_net(tmp_path):
    (tmp_path / "net.caffemodel").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match=r"^\S+net.caffemodel is not a net: [^\n]+$"):
        prototxt.read(str(tmp_path / "net.caffemodel"))


def test_the_temporary_file_is_gone_whatever_happens():
    with prototxt.temporary(parsed(FC)) as path, open(path) as file:
        assert text_format.Parse(file.read(), caffe_pb2.NetParameter()) == parsed(FC)
    assert not os.path.exists(path)
    with pytest.raises(ZeroDivisionError), prototxt.temporary(parsed(FC)) as path:
        _ = 1 / 0
    assert not os.path.exists(path)


@pytest.mark.slow
def test_shapes_and_the_loaded_net_are_the_same():
    net = parsed(input_layer("data", (3, 4)) + FC)
    loaded = prototxt.load(net, "TEST")
    assert isinstance(loaded, caffe.Net)
    assert trial.shapes(net, "TEST") == {name: list(blob.data.shape) for name, blob in loaded.blobs.items()}
    assert trial.shapes(net, "TEST") == {"data": [3, 4], "fc": [3, 5]}


@pytest.mark.slow
@pytest.mark.parametrize("text, reason", [
    (FC.replace("5", "0"), "Check failed"),
    ('layer { name: "p" type: "Python" top: "p" python_param { module: "no_such" layer: "P" } }',
     "the Python module no_such is not found; add its folder to PYTHONPATH"),
])  # fmt: skip
def test_what_caffe_ends_the_process_for_is_told(text, reason):
    with pytest.raises(ValueError, match=rf"^check: Caffe does not load the TRAIN phase: [^\n]*{reason}[^\n]*$"):
        trial.shapes(parsed(input_layer("data", (3, 4)) + text), "TRAIN")


@pytest.mark.slow
def test_quiet_leaves_what_the_user_has_set():
    code = "import os; from caffe_losses.net import prototxt; prototxt.quiet(); print(os.environ['GLOG_minloglevel'])"
    environment = {name: value for name, value in os.environ.items() if name != "GLOG_minloglevel"}
    for more, expected in [({}, "2"), ({"GLOG_minloglevel": "0"}, "0")]:
        output = subprocess.check_output([sys.executable, "-c", code], env=dict(environment, **more), text=True)
        assert output.strip() == expected


@pytest.mark.slow
def test_an_upgrade_that_fails_says_why(tmp_path):
    path = tmp_path / "old.prototxt"
    path.write_text(
        'layers { layer { name: "d" type: "data" } top: "d" } '
        'layers { layer { name: "x" type: "bnll" num_output: 3 } bottom: "d" top: "b" }'
    )
    text = r"old.prototxt: upgrade_net_proto_text failed: Unknown parameter num_output for layer type bnll$"
    with pytest.raises(ValueError, match=text):
        prototxt.read(str(path))
