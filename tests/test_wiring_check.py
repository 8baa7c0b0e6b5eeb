"""Whether Caffe trains a net, with its data and without."""

import os

import caffe
import cv2
import deep_nets
import numpy as np
import pytest
from databases import write_hdf5, write_lmdb
from nets import input_layer
from pictures import write_list
from rewiring import DATA, FC, LOSS, SINGLE, check_here, command, layer, parsed, python

from caffe_losses import wiring
from caffe_losses.net import prototxt

OURS = "caffe_losses.layers"


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
@pytest.mark.parametrize("when, place", [
    ("forward", "the TEST phase fails in the first test"), ("backward", "the TRAIN phase fails in its first iteration"),
])  # fmt: skip
def test_what_fails_in_the_first_iteration(when, place, tmp_path, monkeypatch):
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
        f"check: {place}: ValueError: it fails: {when} (data are random numbers, as x does not exist)"
    )


def test_a_net_that_learns_nothing_is_told():
    loss = python("loss", OURS, "MultiLabelSoftmaxLoss", "fc label", "loss")
    assert "check: TRAIN learns nothing" in check_here(parsed(DATA + FC + loss), SHAPES)[-1]  # no loss_weight
    frozen = FC.replace("inner_product", "param { lr_mult: 0 } param { lr_mult: 0 } inner_product")
    lines = check_here(parsed(DATA + frozen + LOSS), SHAPES)
    assert lines[-1] == "check: TRAIN learns nothing: no gradient reaches any weights; see loss_weight and lr_mult"


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
    with pytest.raises(ValueError, match=r"^check: the TEST phase fails in the first test: .*0\.png"):
        command(*wire)
    os.remove("0.png")
    with pytest.raises(ValueError, match=r"^check: the TEST phase fails in the first test: .*0\.png"):
        command(*wire)


OTHER_SIZES = """
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 24 } image_data_param { source: "x" batch_size: 8 new_height: 28 new_width: 28 } }
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TEST }
  image_data_param { source: "x" batch_size: 8 new_height: 24 new_width: 24 } }
""" + FC + LOSS  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_phases_of_other_sizes_are_refused(tmp_path, monkeypatch, there):
    monkeypatch.chdir(tmp_path)
    if there:
        write_list(tmp_path, 6, name="list.txt", height=40, width=40)
    (tmp_path / "net.prototxt").write_text(OTHER_SIZES)
    wire = ["wire", "net.prototxt", "-o", "out.prototxt", "--loss", "SigmoidCrossEntropyLoss", "--num-classes", 5]
    wire += ["--image-list", "list.txt", "list.txt", "--check"]
    reason = "the TEST phase cannot share the weights of TRAIN: [^\n]*Cannot share param 0 weights from layer 'fc'"
    with pytest.raises(ValueError, match=rf"^check: {reason}[^\n]*{'' if there else ', as list.txt does not exist'}"):
        command(*wire, "--resize", "28,28")
    assert not os.path.exists("out.prototxt")


def in_phase(phase, text=DATA):
    return text.replace("hdf5_data_param", f"include {{ phase: {phase} }} hdf5_data_param")


def test_a_phase_that_is_not_there():
    lines = check_here(parsed(in_phase("TRAIN") + FC + LOSS), SHAPES)
    assert lines[0] == (
        "check: TEST is not looked at, as layer fc takes data, which no layer before it makes; a solver with test_iter "
        "would fail"
    )
    text = "^check: the net does not train: in TRAIN, layer fc takes data, which no layer before it makes$"
    with pytest.raises(ValueError, match=text):
        wiring.check(parsed(in_phase("TEST") + FC + LOSS), SHAPES)
    level = in_phase("TRAIN") + in_phase("TEST") + FC + LOSS + "state { level: 1 }"
    assert "check: give `caffe train` --level 1: it takes 0, whatever the net says" in check_here(parsed(level), SHAPES)
    staged = DATA.replace("hdf5_data_param", 'include { stage: "measure" } hdf5_data_param') + in_phase("TRAIN") + FC
    assert "name them with --stage" in check_here(parsed(staged + LOSS), SHAPES)[0]
    assert len(check_here(parsed(staged + LOSS), SHAPES, stages=((), ("measure",)))) == 2


def deep(loss):
    text = deep_nets.NETS["resnet20"](loss, thin=4)
    data = DATA.replace('top: "label"', 'top: "labels"').replace("batch_size: 2", "batch_size: 4")
    return parsed(data + text[text.index('layer { name: "stem"') :])


@pytest.mark.filterwarnings("ignore:in TEST, ", "ignore:MultiLabelMetrics. the last test pass ended")
@pytest.mark.parametrize("loss", ["MultiLabelSoftmaxLoss", "SigmoidCrossEntropyLoss"])
def test_untrained_statistics_are_told_from_a_fault(loss):
    net, shapes = deep(loss), {"data": [4, 3, 32, 32]}
    told = (
        "check: the first test of a training gives nan or inf, as the statistics of 21 BatchNorm layers are 0 before "
        "the first iteration; after it, TEST gives numbers"
    )
    assert check_here(net, shapes)[2:] == [told]
    broken = net.layer.add(name="broken", type="Log", bottom=["pooled"], top=["pooled"])
    broken.log_param.scale = -1
    broken.include.add(phase=caffe.TEST)
    layers = list(net.layer)
    place = next(k for k, one in enumerate(layers) if one.name == "scores")
    del net.layer[:]
    net.layer.extend([*layers[:place], layers[-1], *layers[place:-1]])
    (line,) = check_here(net, shapes)[2:]
    assert line.startswith("check: TEST gives nan or inf also after an iteration, and TRAIN does not")


def test_nan_of_a_loss_of_caffe_s_own_is_told():
    text = DATA + FC.replace("num_output: 5", 'num_output: 5 weight_filler { type: "constant" value: 1e38 }')
    lines = check_here(parsed(text + layer("sum", "Power", "fc", "fc", "power_param { scale: 9 }") + LOSS), SHAPES)
    assert "check: TRAIN gives nan or inf: look at the data, their scale, and the layers below the loss" in lines


@pytest.mark.slow
def test_weights_to_start_from(tmp_path, monkeypatch):
    """They are used: of numbers that are too large, the loss is not finite; of another shape, they do not fit."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(SINGLE)
    wire = ["wire", "net.prototxt", "-o", "out.prototxt", "--loss", "AsymmetricLoss", "--force"]
    wire += ["--label-source", "a", "b", "--num-classes", 3]
    assert command(*wire) == 0
    net = parsed(input_layer("data", (1, 3, 12, 12)) + input_layer("labels", (1, 3)))
    net.layer.extend(one for one in prototxt.read("out.prototxt").net.layer if one.bottom)
    loaded = prototxt.load(net, "TRAIN")
    loaded.save("all.caffemodel")
    wire += ["--check", "--weights"]
    assert command(*wire, "all.caffemodel") == 0
    loaded.params["conv"][0].data[...] = loaded.params["fc_3"][0].data[...] = 1e25
    loaded.save("large.caffemodel")
    with pytest.raises(ValueError, match=r"^check: the TRAIN phase fails in its first iteration: .* is not finite"):
        command(*wire, "large.caffemodel")
    (tmp_path / "net.prototxt").write_text(SINGLE.replace("kernel_size: 3", "kernel_size: 5"))
    with pytest.raises(ValueError, match=r"^all.caffemodel: layer conv has weights of shapes .*4, 3, 3, 3"):
        command(*wire, "all.caffemodel")
