"""Rewiring: Caffe's own stock nets with every loss that takes scores, trained; and each rule on small nets."""

import itertools
import json
import os
import re
import time

import caffe
import numpy as np
import pytest
from databases import write_lmdb
from nets import caffe_program
from rewiring import (
    CLASSES,
    DATA,
    FC,
    LOSS,
    MODELS,
    OF_SCORES,
    SINGLE,
    command,
    deployed,
    layer,
    python,
    refused,
    stock,
    wire,
    with_random_data,
)

from caffe_losses import losses, wiring
from caffe_losses.net import prototxt

# Stock nets


def narrowed(net):
    """The net with 64 instead of 4096 outputs, most of whose time would go into 50 million weights."""
    for param in (scorer.inner_product_param for scorer in net.layer):
        if param.num_output == 4096:
            param.num_output = 64
    return net


@pytest.mark.parametrize("loss", OF_SCORES)
@pytest.mark.parametrize("model", MODELS)
def test_stock_net_is_wired(model, loss):
    """Googlenet keeps its three heads and their weights."""
    net, lines = wiring.wire(stock(model), loss, num_classes=CLASSES)
    heads = [layer for layer in net.layer if layer.type == "Python"]
    weights = [0.3, 0.3, 1] if model == "bvlc_googlenet" else [1]
    assert [head.loss_weight[0] for head in heads] == pytest.approx(weights)
    assert not any(layer.type in ("Accuracy", "SoftmaxWithLoss") for layer in net.layer)
    assert sum("renamed" in line for line in lines) == len(heads)


@pytest.mark.slow
@pytest.mark.parametrize("model, loss", list(zip(itertools.cycle(MODELS), OF_SCORES)))
def test_stock_net_trains(model, loss, tmp_path):
    """In the caffe program: each net, and each loss."""
    net, _ = wiring.wire(stock(model), loss, num_classes=CLASSES)
    (tmp_path / "net.prototxt").write_text(str(narrowed(with_random_data(net, CLASSES))))
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 1e-5 lr_policy: "fixed" max_iter: 2 display: 1 snapshot_after_train: false'
    )
    log = caffe_program("train", "--solver", "solver.prototxt", cwd=tmp_path).stdout
    values = [float(value) for value in re.findall(r"Iteration \d+ \(.*\), loss = (\S+)", log)]
    assert len(values) == 2 and np.isfinite(values).all() and min(values) > 0


@pytest.mark.parametrize("loss", sorted(set(losses.__all__) - set(OF_SCORES)))
def test_loss_of_probabilities_is_refused_on_scores(loss):
    with pytest.raises(ValueError, match=rf"layer loss: {loss} takes probabilities .* fc8 comes from fc8 .*; use \w+"):
        wiring.wire(stock("bvlc_alexnet"), loss)


# From one label an image to several, by the two commands

SOLVER = """
net: "hashtags.prototxt" base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 max_iter: 60 display: 1
test_iter: 2 test_interval: 60 snapshot_prefix: "hashtags" random_seed: 1
"""


def write_images(folder):
    """Images whose brightness tells their labels, two of CLASSES."""
    values = np.arange(8) % 4
    images = np.repeat(60 * values, 144).reshape(8, 1, 12, 12).astype(np.uint8)
    labels = np.zeros((8, CLASSES, 1, 1), np.float32)
    labels[np.arange(8), values] = labels[np.arange(8), values + 1] = 1
    for phase in ("train", "test"):
        write_lmdb(folder / phase, images)
        write_lmdb(folder / f"{phase}_labels", labels)
    return images, labels


@pytest.mark.slow
def test_two_commands_make_a_single_label_net_multi_label(tmp_path, capsys, monkeypatch):
    images, labels = write_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train_val.prototxt").write_text(SINGLE)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    options = ["--loss", "MultiLabelSoftmaxLoss", "--param", "label_scale=SUM", "--num-classes", CLASSES, "--check"]
    options += ["--label-source", "train_labels", "test_labels"]
    assert command("wire", "train_val.prototxt", "-o", "hashtags.prototxt", *options) == 0
    assert capsys.readouterr().out.splitlines() == [
        "accuracy: removed: Accuracy takes one label an image",
        "fc: 10 -> 7 outputs",
        "fc: renamed fc_7: pretrained weights pass it by, and it trains from scratch",
        'loss: SoftmaxWithLoss -> MultiLabelSoftmaxLoss, loss_weight 1 {"label_scale": "SUM"}',
        "labels: added (Data), 4 at a time from train_labels, in the order of data",
        "data: top label removed",
        "labels: added (Data), 2 at a time from test_labels, in the order of data",
        "loss: labels label -> labels",
        "paths: of train_labels, test_labels relative to the folder of hashtags.prototxt; train there",
        "check: TRAIN loads, and runs forward and backward",
        "check: TEST loads, and runs forward",
    ]
    log = caffe_program("train", "--solver", "solver.prototxt", cwd=tmp_path).stdout
    first, *_, last = (float(value) for value in re.findall(r"Iteration \d+ \(.*\), loss = (\S+)", log))
    assert last < 0.8 < 1.5 < first and last > np.log(2)  # log 2: of two labels, each has half

    assert command("deploy", "hashtags.prototxt", "-o", "deploy.prototxt", "--check") == 0
    assert capsys.readouterr().out.splitlines() == [
        "loss: dropped (MultiLabelSoftmaxLoss)",
        "data: Data -> Input 1 x 1 x 12 x 12; give it images minus 10 and times 0.00390625",
        "prob: Softmax of fc",
        "deploy.json: left out, as not known: resize (the pictures' size in the LMDB); "
        "classes (layer data has no names; give --classes); thresholds (give --thresholds)",
        "check: TEST loads, and runs forward",
    ]
    net = caffe.Net("deploy.prototxt", "hashtags_iter_60.caffemodel", caffe.TEST)
    for image, expected in zip(images, labels):
        net.blobs["data"].data[...] = (image - 10.0) / 256
        best = np.argsort(net.forward()["prob"][0])[-2:]
        assert set(best) == set(np.flatnonzero(expected))


# Rules, on small nets


def test_loss_weight_rules_and_names_are_kept():
    rules = "include { phase: TRAIN } loss_weight: 0.25 propagate_down: true propagate_down: false"
    net, _ = wire(DATA + FC + layer("tag", "SoftmaxWithLoss", "fc label", "l", rules))
    tag = net["tag"]
    assert (tag.loss_weight, tag.top, tag.bottom) == ([0.25], ["l"], ["fc", "label"])
    assert tag.include[0].phase == caffe.TRAIN and tag.propagate_down == [True, False]


@pytest.mark.parametrize("top, expected", [("", ["loss"]), ("l p", ["l", "p"])])
def test_tops_are_as_caffe_makes_them(top, expected):
    net, _ = wire(DATA + FC + layer("loss", "SoftmaxWithLoss", "fc label", top))
    assert net["loss"].top == expected
    assert list(net["loss"].loss_weight) == [1, 0][: len(expected)]


def test_what_the_old_loss_says_is_kept():
    said = "softmax_param { axis: 2 } loss_param { ignore_label: 255 normalization: FULL }"
    net, _ = wire(DATA + FC + layer("loss", "SoftmaxWithLoss", "fc label", "loss", said), options={"axis": -1})
    assert json.loads(net["loss"].python_param.param_str) == {"axis": -1, "normalization": "FULL"}
    net, _ = wire(DATA + FC + layer("loss", "SoftmaxWithLoss", "fc label", "", "loss_param { normalize: false }"))
    assert json.loads(net["loss"].python_param.param_str) == {"normalization": "BATCH_SIZE"}


def test_our_own_loss_is_replaced():
    ours = python("loss", "caffe_losses.layers", "MultiLabelSoftmaxLoss", "fc label", "loss")
    ours = ours.replace('Loss" }', """Loss" param_str: '{"label_scale": "SUM", "axis": 1}' }""")
    net, lines = wire(DATA + FC + ours, "SigmoidFocalLoss", options={"gamma": 1})
    assert json.loads(net["loss"].python_param.param_str) == {"axis": 1, "gamma": 1}
    assert "loss: label_scale dropped: SigmoidFocalLoss has no such parameter" in lines
    assert "loss: had no loss_weight, so that Caffe trained nothing by it" in lines
    assert net["loss"].loss_weight == [1]


def test_unknown_loss_is_replaced_only_by_name():
    theirs = DATA + FC + python("tags", "my_layers", "TagLoss", "fc label", "tags", "loss_weight: 2")
    assert refused(theirs) == (
        "layer tags (my_layers.TagLoss) is a loss that is not known here; name those to replace with --head"
    )
    net, _ = wire(theirs, heads=["tags"])
    assert net["tags"].python_param.module == "caffe_losses.layers" and net["tags"].loss_weight == [2]
    net, lines = wire(theirs + LOSS, heads=["loss"])
    assert net["tags"].python_param.module == "my_layers" and net["loss"].type == "Python"
    assert "tags: left as it is (my_layers.TagLoss)" in lines
    assert "expected a loss layer, got --head lost; the net has tags" in refused(theirs, heads=["lost"])


@pytest.mark.parametrize("bottoms", ["fc label", "label fc"])
def test_euclidean_loss_takes_labels_on_either_side(bottoms):
    net, _ = wire(DATA + FC + layer("loss", "EuclideanLoss", bottoms, "loss"))
    assert net["loss"].bottom == ["fc", "label"]
    assert deployed(DATA + FC + layer("loss", "EuclideanLoss", bottoms, "l"), shapes={None: [1, 4]})[0].keys() == {
        "data",
        "fc",
    }


def test_reconstruction_is_left_as_it_is():
    flat = layer("flat", "Flatten", "data", "flat")
    reconstruction = layer("same", "SigmoidCrossEntropyLoss", "fc flat", "same")
    assert "no loss that compares scores with labels" in refused(DATA + FC + flat + reconstruction)
    net, lines = wire(DATA + FC + flat + reconstruction + LOSS)
    assert net["same"].type == "SigmoidCrossEntropyLoss"
    assert "same: left as it is: SigmoidCrossEntropyLoss of fc and flat, which are not labels" in lines


def test_softmax_below_a_loss_of_scores_is_passed_by():
    p = layer("p", "Softmax", "fc", "p")
    multinomial = layer("loss", "MultinomialLogisticLoss", "p label", "loss")
    net, lines = wire(DATA + FC + p + multinomial)
    assert net["loss"].bottom[0] == "fc" and "p" not in net
    assert lines[:2] == ["loss: takes fc, before the Softmax p", "p: removed: nothing else takes this Softmax"]
    net, _ = wire(DATA + FC + p + multinomial + layer("show", "Silence", "p", ""))
    assert net["loss"].bottom[0] == "fc" and net["p"].type == "Softmax"
    net, _ = wire(DATA + FC + p + multinomial, "MultiLabelLogisticLoss")
    assert net["loss"].bottom[0] == "p"
    assert "from a Sigmoid layer, and p comes from p (Softmax)" in refused(
        DATA + FC + p + multinomial, "BinaryCrossEntropyLoss"
    )
    in_place = DATA + FC + layer("p", "Softmax", "fc", "fc")
    net, lines = wire(in_place + LOSS)
    assert "p" not in net and net["loss"].bottom[0] == "fc"
    assert "makes probabilities in place, for loss and for show" in refused(
        in_place + LOSS + layer("show", "Silence", "fc", "")
    )


def test_what_else_reads_the_labels():
    accuracy = layer("acc", "Accuracy", "fc label", "acc")
    net, lines = wire(DATA + FC + LOSS + accuracy + layer("f", "Flatten", "label", "f"))
    assert "acc" not in net and "f: takes label too (Flatten); see that it fits" in lines
    assert "(Accuracy) takes one label an image, but its top is in use" in refused(
        DATA + FC + LOSS + accuracy + layer("s", "Silence", "acc", "")
    )


def test_labels_by_name():
    two = DATA.replace('top: "label"', 'top: "label" top: "tags"')
    net, lines = wire(two + FC + LOSS, labels="tags")
    assert net["loss"].bottom == ["fc", "tags"] and "loss: labels label -> tags" in lines
    assert refused(DATA + FC + LOSS, labels="tags") == (
        "layer loss: no layer before it makes tags; name a top of the net with --labels, or say where the labels are "
        "with --label-source"
    )


def test_single_label_is_told():
    told = "data: label has one number an image (Data), and the loss wants one a class"
    assert any(line.startswith(told) for line in wire(SINGLE)[1])
    assert not any(told in line for line in wire(SINGLE, options={"label_format": "INDEX"})[1])


@pytest.mark.parametrize(
    "options, message",
    [
        (["--param", "gama=2"], "SigmoidFocalLoss: expected parameters among .*, got 'gama'; did you mean gamma?"),
        (["--param", "gamma=-1"], "SigmoidFocalLoss: gamma must be a number in .0, 100., got -1"),
        (["--param", "gamma"], "--param: expected KEY=VALUE"),
        (["--num-classes", "0"], "--num-classes: expected a number >= 1, got 0"),
        (["--shape", "data=1,x"], "--shape: expected"),
        (["--label-source", "a", "b", "c"], "--label-source: expected one or two, got 3"),
    ],
)
def test_wrong_arguments_are_refused(options, message, tmp_path):
    (tmp_path / "in.prototxt").write_text(DATA + FC + LOSS)
    with pytest.raises(ValueError, match=message):
        command("wire", tmp_path / "in.prototxt", "-o", tmp_path / "out", "--loss", "SigmoidFocalLoss", *options)
    assert not (tmp_path / "out").exists()


def test_an_accuracy_of_copies_of_the_labels_goes_too():
    copies = layer("twice", "Split", "label", "l1 l2") + layer("f", "Flatten", "fc", "flat")
    text = DATA + FC + copies + LOSS.replace('"label"', '"l1"') + layer("acc", "Accuracy", "flat l2", "acc")
    assert "acc" not in wire(text)[0]


@pytest.mark.parametrize("output, written, said", [
    ("out.prototxt", "new", "paths: of new relative to the folder of out.prototxt; train there"),
    ("sub/out.prototxt", "{}/new", "paths: of new absolute, as out.prototxt goes into another folder"),
])  # fmt: skip
def test_paths_are_found_from_where_the_net_is(output, written, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "in.prototxt").write_text(DATA + FC + LOSS)
    options = ["--label-source", "new", "new", "--loss", "MultiLabelSoftmaxLoss"]
    assert command("wire", "in.prototxt", "-o", output, *options) == 0
    assert said in capsys.readouterr().out.splitlines()
    layers = {one.name: one for one in prototxt.read(output).net.layer}
    assert layers["labels"].data_param.source == written.format(tmp_path)
    lists = [
        "--image-list",
        "new",
        "/new",
        "--classes",
        "names.txt",
        "--mean",
        "mean.npy",
        "--resize",
        "9,9",
        "--color",
        "GRAY",
    ]
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    rules = ["include { phase: TRAIN }", "include { phase: TEST }"]
    (tmp_path / "in.prototxt").write_text("".join(DATA.replace("hdf5", f"{r} hdf5", 1) for r in rules) + FC + LOSS)
    assert command("wire", "in.prototxt", "--force", "-o", output, "--batch", 3, 2, *lists, *options[3:]) == 0
    told = [json.loads(one.python_param.param_str) for one in prototxt.read(output).net.layer if not one.bottom]
    folder = written[: -len("new")].format(tmp_path)
    assert [(one["source"], one["batch_size"]) for one in told] == [(f"{folder}new", 3), ("/new", 2)]
    assert all(one["classes"] == f"{folder}names.txt" and one["mean_file"] == f"{folder}mean.npy" for one in told)


@pytest.mark.slow
def test_stages_on_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    staged = "".join(DATA.replace("hdf5", f"include {{ stage: '{stage}' }} hdf5", 1) for stage in ("fit", "see"))
    (tmp_path / "in.prototxt").write_text(staged + FC + LOSS)
    options = [
        "in.prototxt",
        "-o",
        "out.prototxt",
        "--shape",
        "data=2,4",
        "--check",
        "--stage",
        "fit",
        "--stage",
        "see",
    ]
    assert command("wire", *options, "--loss", "AsymmetricLoss", "--label-source", "a", "b") == 0
    out = capsys.readouterr().out
    assert 'stages: give the solver train_state { stage: "fit" } and test_state { stage: "see" }' in out
    assert out.count("check: ") == 2
    os.rename("out.prototxt", "wired.prototxt")
    assert command("deploy", "wired.prototxt", *options[1:]) == 0
    with pytest.raises(ValueError, match=r"^--stage: expected one or two, for TRAIN and TEST, got 3; join stages by"):
        command("deploy", "wired.prototxt", "--force", *options[1:], "--stage", "a")


@pytest.mark.slow
def test_twenty_thousand_layers():
    deep = "".join(layer(f"r{k}", "Dropout", "data", "data") for k in range(10000))
    deep += "".join(layer(f"f{k}", "Flatten", f"b{k}", f"b{k + 1}") for k in range(10000))
    text = DATA.replace('top: "label"', 'top: "b0"') + deep + FC + LOSS.replace('"label"', '"b10000"')
    start = time.process_time()
    net, _ = wire(text, "SigmoidCrossEntropyLoss", num_classes=3, sources=["a", "a"])
    assert len(net) == 10004
    assert time.process_time() - start < 15
