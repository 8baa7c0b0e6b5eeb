"""Whether Caffe trains a net, with its data and without."""

import os

import cv2
import numpy as np
import pytest
from databases import write_hdf5, write_lmdb
from pictures import write_list
from rewiring import DATA, FC, LOSS, SINGLE, check_here, command, layer, parsed, python

from caffe_losses import wiring

OURS = "caffe_losses.layers"
BOTH = "include {{ phase: {} }}"


def refusal(text, shapes=None):
    with pytest.raises(ValueError, match=r"^check: [^\n]+$") as error:
        wiring.check(parsed(text), shapes)
    return str(error.value)


@pytest.mark.slow
def test_check_without_the_data(tmp_path, capsys, monkeypatch):
    """Before there are LMDBs, Input layers stand in; what Caffe then refuses is told, and nothing written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train_val.prototxt").write_text(SINGLE)
    options = ["--loss", "SigmoidCrossEntropyLoss", "--check", "--label-source", "a", "b", "--num-classes", 3]
    assert command("wire", "train_val.prototxt", "-o", "out.prototxt", *options) == 0
    assert "check: TEST loads with Input layers for data, as test does not exist, and runs" in capsys.readouterr().out
    os.remove("out.prototxt")
    for wrong, reason in [
        (["--param", "class_weight=[1,2]"], "class_weight has 2 numbers for 3 classes"),
        (["--shape", "data=1,1,2,2"], "Check failed"),
    ]:
        with pytest.raises(ValueError, match=rf"^check: Caffe does not load the TRAIN phase: [^\n]*{reason}[^\n]*$"):
            command("wire", "train_val.prototxt", "-o", "out.prototxt", *options, *wrong)
        assert not os.path.exists("out.prototxt")
    with pytest.raises(ValueError, match=r"^--shape: expected a top of a data layer, data, labels, got dada$"):
        command("wire", "train_val.prototxt", "-o", "out.prototxt", *options, "--shape", "dada=1,1,9,9")


SHAPES = {"data": [6, 4]}
SIGMOID = LOSS.replace("SoftmaxWithLoss", "SigmoidCrossEntropyLoss").replace('"label"', '"tags"')
BY_WAY = DATA.replace('top: "label"', 'top: "all"')


@pytest.mark.parametrize("way", [
    layer("way", "Slice", "all", "tags b", "slice_param { slice_point: 5 }") + layer("b", "Silence", "b", ""),
    layer("way", "Slice", "all", "b tags", "slice_param { slice_point: 3 }") + layer("b", "Silence", "b", ""),
    layer("way", "Slice", "all", "b tags"),
    layer("way", "Split", "all", "tags b"),
    layer("way", "Flatten", "all", "tags"),
    layer("way", "Reshape", "all", "tags", "reshape_param { shape { dim: 0 dim: 5 } }"),
    layer("way", "Power", "all", "tags", "power_param { scale: 0.5 }"),
    layer("ones", "DummyData", "", "one", "dummy_data_param { shape { dim: 6 dim: 2 } }")
    + layer("way", "Concat", "all one", "tags"),
])  # fmt: skip
def test_the_shape_of_labels_is_found_through_what_they_pass(way):
    lines = check_here(parsed(BY_WAY + way + FC + SIGMOID), SHAPES)
    assert [line.split(",")[0] for line in lines] == [
        f"check: {phase} loads with Input layers for data" for phase in ("TRAIN", "TEST")
    ]


@pytest.mark.parametrize("loss", [
    LOSS, LOSS.replace("SoftmaxWithLoss", "HingeLoss"), LOSS.replace("SoftmaxWithLoss", "EuclideanLoss"),
    python("loss", OURS, "MultiLabelSoftmaxLoss", "fc label", "loss", "loss_weight: 1"),
    python("loss", OURS, "AsymmetricLoss", "fc label", "loss", "loss_weight: 1").replace(
        'Loss" }', """Loss" param_str: '{"label_format": "INDEX"}' }"""),
    LOSS + layer("acc", "Accuracy", "fc label", "acc"),
])  # fmt: skip
def test_labels_of_each_kind_of_loss(loss):
    assert len(check_here(parsed(DATA + FC + loss), SHAPES)) == 2


def test_shapes_that_are_not_told_are_asked_for():
    text = DATA + layer("odd", "ArgMax", "label", "odd") + FC + LOSS.replace('"label"', '"odd"')
    with pytest.raises(ValueError, match=r"data \(HDF5Data\) does not tell the shape of label; give e.g. --shape"):
        check_here(parsed(text), SHAPES)
    assert check_here(parsed(text), dict(SHAPES, label=[6, 5]))


@pytest.mark.slow
@pytest.mark.parametrize("more, reason", [
    (layer("acc", "TagAccuracy", "fc label", "acc"), "this Caffe has no layer of the type TagAccuracy"),
    (python("acc", "no_such_module", "Tags", "fc label", "acc"), "the Python module no_such_module is not found"),
    (python("acc", OURS, "NoSuchLayer", "fc label", "acc"), "no attribute 'NoSuchLayer'"),
    (layer("acc", "Eltwise", "fc label", "acc"), "Check failed"),
    (layer("acc", "Reshape", "fc", "acc", "reshape_param { shape { dim: 7 } }"), "Check failed"),
    (layer("acc", "Silence", "gone", ""), "Unknown bottom blob 'gone'"),
])  # fmt: skip
def test_what_training_would_refuse(more, reason):
    text = DATA + FC + LOSS + more
    if "gone" in more:
        with pytest.raises(ValueError, match="layer acc takes gone, which no layer before it makes"):
            wiring.check(parsed(text), SHAPES)
        return
    assert reason in refusal(text, SHAPES)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["forward", "backward"])
def test_what_fails_in_the_first_iteration(when, tmp_path, monkeypatch):
    (tmp_path / "layer_that_fails.py").write_text(
        "import caffe\n"
        "class Fails(caffe.Layer):\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)\n"
        "    def forward(self, bottom, top): pass\n"
        "    def backward(self, top, down, bottom): pass\n"
        f"    def {when}(self, *blobs): raise ValueError('it fails: {when}')\n"
    )
    text = DATA + FC + python("own", "layer_that_fails", "Fails", "fc", "own") + LOSS.replace('"fc"', '"own"')
    monkeypatch.chdir(tmp_path)
    assert "the Python module layer_that_fails is not found" in refusal(
        text, SHAPES
    )  # caffe train does not search here
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    assert refusal(text, SHAPES) == (
        f"check: the TRAIN phase fails in its first iteration: ValueError: it fails: {when}"
    )


def test_a_net_that_learns_nothing_is_told():
    loss = python("loss", OURS, "MultiLabelSoftmaxLoss", "fc label", "loss")
    assert not any("learns nothing" in line for line in check_here(parsed(DATA + FC + loss), SHAPES))
    frozen = FC.replace("inner_product", "param { lr_mult: 0 } param { lr_mult: 0 } inner_product")
    lines = check_here(parsed(DATA + frozen + LOSS), SHAPES)
    assert lines[1] == "check: TRAIN learns nothing: no gradient reaches any weights; see loss_weight and lr_mult"


@pytest.mark.slow
def test_layers_that_hold_for_one_batch_only():
    fixed = layer("fixed", "Reshape", "fc", "fixed", "reshape_param { shape { dim: 6 dim: 5 } }")
    assert wiring.check(parsed(DATA + FC + fixed + LOSS.replace('"fc"', '"fixed"')), SHAPES)


@pytest.mark.slow
def test_what_is_there_is_read(tmp_path):
    """The sources' own shapes and values count, not what a stand-in would have."""
    write_hdf5(tmp_path, "one", data=np.zeros((4, 3)), label=np.full((4, 5), 255))
    text = DATA.replace('"x"', f'"{tmp_path / "one.txt"}"').replace("shuffle: true", "") + FC
    ours = python("loss", OURS, "SigmoidCrossEntropyLoss", "fc label", "loss", "loss_weight: 1")
    assert "labels must be in [0, 1]" in refusal(text + ours) or "255" in refusal(text + ours)
    write_lmdb(tmp_path / "lmdb", np.zeros((4, 3, 8, 8), np.uint8))
    lmdb = layer(
        "data", "Data", "", "data label", f'data_param {{ source: "{tmp_path}/lmdb" batch_size: 4 backend: LMDB }}'
    )
    assert "scores (4, 5) and labels (4,) differ" in refusal(lmdb + FC + ours)


@pytest.mark.slow
def test_a_picture_of_a_list_is_read(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_list(tmp_path, 6, name="train.txt")
    (tmp_path / "net.prototxt").write_text(SINGLE)
    wire = ["wire", "net.prototxt", "-o", "out.prototxt", "--loss", "AsymmetricLoss", "--num-classes", 3, "--check"]
    wire += ["--image-list", "train.txt", "train.txt", "--mean", "10", "--color", "BGR", "--force"]
    assert command(*wire) == 0
    assert "check: TEST loads, and runs forward" in capsys.readouterr().out
    cv2.imwrite("0.png", np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(ValueError, match=r"^check: the TRAIN phase fails in its first iteration: .*0\.png"):
        command(*wire)
    os.remove("0.png")
    with pytest.raises(ValueError, match=r"^check: the TRAIN phase fails in its first iteration: .*0\.png"):
        command(*wire)
