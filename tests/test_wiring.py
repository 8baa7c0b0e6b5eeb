"""Rewiring: Caffe's own stock nets with every loss that takes scores, trained; and each rule on small nets."""

import json
import os
import re

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from nets import caffe_program
from test_templates import write_lmdb

from caffe_losses import losses, wiring
from caffe_losses.__main__ import parser
from caffe_losses.net import prototxt

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STOCK = os.path.join(ROOT, "build", "source", "models")
MODELS = "bvlc_alexnet", "bvlc_reference_caffenet", "bvlc_googlenet", "finetune_flickr_style"
OF_SCORES = [name for name in losses.__all__ if getattr(losses, name).has_probabilities]
CLASSES = 7


def parsed(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


def command(*arguments):
    """Run a command; its exit code, or the error that it raises."""
    options = parser().parse_args([str(argument) for argument in arguments])
    return options.run(options)


def wire(text, loss="MultiLabelSoftmaxLoss", **options):
    """The wired net's layers by name, and the lines that tell of it."""
    net, lines = wiring.wire(parsed(text), loss, **options)
    return {layer.name: layer for layer in net.layer}, lines


def refused(text, loss="MultiLabelSoftmaxLoss", **options):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as refusal:
        wiring.wire(parsed(text), loss, **options)
    return str(refusal.value)


def deployed(text, **options):
    net, lines = wiring.deploy(parsed(text), **options)
    return {layer.name: layer for layer in net.layer}, lines


# Stock nets


def stock(model):
    net, upgraded = prototxt.read(os.path.join(STOCK, model, "train_val.prototxt"))
    assert not upgraded
    return net


def with_random_data(net, label_shape):
    """The net on DummyData for data and labels, one image at a time."""
    copy = caffe_pb2.NetParameter()
    size = next(layer.transform_param.crop_size for layer in net.layer if not layer.bottom)
    data = copy.layer.add(name="data", type="DummyData", top=["data", "label"])
    for shape in ([1, 3, size, size], label_shape):
        data.dummy_data_param.shape.add().dim.extend(shape)
    data.dummy_data_param.data_filler.add(type="gaussian", std=50)
    data.dummy_data_param.data_filler.add(type="uniform", min=0, max=1)
    copy.layer.extend(layer for layer in net.layer if layer.bottom)
    return copy


def narrowed(net):
    """The net with 64 instead of 4096 outputs, most of whose time would go into 50 million weights."""
    for layer in net.layer:
        if layer.inner_product_param.num_output == 4096:
            layer.inner_product_param.num_output = 64
    return net


@pytest.mark.parametrize("loss", OF_SCORES)
@pytest.mark.parametrize("model", MODELS)
def test_stock_net_trains(model, loss, tmp_path):
    """Wired, loaded and trained in the caffe program; googlenet keeps its three heads and their weights."""
    net, lines = wiring.wire(stock(model), loss, num_classes=CLASSES)
    heads = [layer for layer in net.layer if layer.type == "Python"]
    weights = [0.3, 0.3, 1] if model == "bvlc_googlenet" else [1]
    assert [head.loss_weight[0] for head in heads] == pytest.approx(weights)
    assert not any(layer.type in ("Accuracy", "SoftmaxWithLoss") for layer in net.layer)
    assert sum("renamed" in line for line in lines) == len(heads)
    (tmp_path / "net.prototxt").write_text(str(narrowed(with_random_data(net, [1, CLASSES]))))
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 1e-5 lr_policy: "fixed" max_iter: 2 display: 1 snapshot_after_train: false'
    )
    log = caffe_program("train", "--solver", "solver.prototxt", cwd=tmp_path).stdout
    values = [float(value) for value in re.findall(r"Iteration \d+ \(.*\), loss = (\S+)", log)]
    assert len(values) == 2 and np.isfinite(values).all() and min(values) > 0


@pytest.mark.parametrize("model, loss", [*zip(MODELS, OF_SCORES), ("bvlc_googlenet", "MultiLabelSoftmaxLoss")])
def test_deploy_net_of_a_stock_net_has_its_scores(model, loss, tmp_path):
    net, _ = wiring.wire(stock(model), loss, num_classes=CLASSES)
    deploy, lines = wiring.deploy(net)
    prototxt.write(with_random_data(net, [1, CLASSES]), str(tmp_path / "net.prototxt"))
    prototxt.write(deploy, str(tmp_path / "deploy.prototxt"))
    trained = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    inference = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    inference.share_with(trained)
    trained.forward()
    inference.blobs["data"].data[...] = trained.blobs["data"].data
    probabilities = inference.forward()["prob"].astype(np.float64)
    scores = {"bvlc_googlenet": "loss3/classifier", "finetune_flickr_style": "fc8_flickr"}.get(model, "fc8")
    np.testing.assert_allclose(inference.blobs[scores].data, trained.blobs[scores].data, rtol=1e-5)
    s = trained.blobs[scores].data.astype(np.float64)
    softmax = loss == "MultiLabelSoftmaxLoss"
    expected = np.exp(s - s.max()) / np.exp(s - s.max()).sum() if softmax else 1 / (1 + np.exp(-s))
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-7)
    assert not any(name.startswith("loss1") for name in inference._layer_names)
    assert f"prob: {'Softmax' if softmax else 'Sigmoid'} of {scores}" in lines


@pytest.mark.parametrize("model", ["bvlc_alexnet", "bvlc_reference_rcnn_ilsvrc13"])
def test_stock_deploy_net_is_refused(model):
    path = os.path.join(STOCK, model, "deploy.prototxt")
    with pytest.raises(ValueError, match="no loss that compares scores with labels; give a train_val"):
        wiring.wire(prototxt.read(path).net, "MultiLabelSoftmaxLoss")
    with pytest.raises(ValueError, match="the net has no loss, so that it is not clear what its scores are"):
        wiring.deploy(prototxt.read(path).net)


@pytest.mark.parametrize("loss", sorted(set(losses.__all__) - set(OF_SCORES)))
def test_loss_of_probabilities_is_refused_on_scores(loss):
    with pytest.raises(ValueError, match=rf"layer loss: {loss} takes probabilities .* fc8 comes from fc8 .*; use \w+"):
        wiring.wire(stock("bvlc_alexnet"), loss)


# From one label an image to several, by the two commands

SINGLE = """
name: "single"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.00390625 crop_size: 12 mean_value: 10 }
  data_param { source: "train" batch_size: 4 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.00390625 crop_size: 12 mean_value: 10 }
  data_param { source: "test" batch_size: 2 backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" param { lr_mult: 1 }
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
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
        "check: TRAIN loads",
        "check: TEST loads",
    ]
    log = caffe_program("train", "--solver", "solver.prototxt", cwd=tmp_path).stdout
    first, *_, last = (float(value) for value in re.findall(r"Iteration \d+ \(.*\), loss = (\S+)", log))
    assert last < 0.8 < 1.5 < first and last > np.log(2)  # log 2: of two labels, each has half

    assert command("deploy", "hashtags.prototxt", "-o", "deploy.prototxt", "--check") == 0
    assert capsys.readouterr().out.splitlines() == [
        "loss: dropped (MultiLabelSoftmaxLoss)",
        "data: Data -> Input 1 x 1 x 12 x 12; give it images minus 10 and times 0.00390625",
        "prob: Softmax of fc",
        "check: TRAIN loads",
        "check: TEST loads",
    ]
    net = caffe.Net("deploy.prototxt", "hashtags_iter_60.caffemodel", caffe.TEST)
    for image, expected in zip(images, labels):
        net.blobs["data"].data[...] = (image - 10.0) / 256
        best = np.argsort(net.forward()["prob"][0])[-2:]
        assert set(best) == set(np.flatnonzero(expected))


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


# Rules, on small nets

DATA = """
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "x" batch_size: 2 shuffle: true } }
"""
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 5 } }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'


def layer(name, kind, bottom, top, more=""):
    blobs = " ".join([f'bottom: "{b}"' for b in bottom.split()] + [f'top: "{t}"' for t in top.split()])
    return f'layer {{ name: "{name}" type: "{kind}" {blobs} {more} }}\n'


def python(name, module, kind, bottom, top, more=""):
    return layer(name, "Python", bottom, top, f'python_param {{ module: "{module}" layer: "{kind}" }} {more}')


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
    assert json.loads(net["loss"].python_param.param_str) == {"axis": -1, "ignore_label": 255, "normalization": "FULL"}
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


def test_resizing():
    conv = layer("c", "Convolution", "data", "c", "convolution_param { num_output: 10 kernel_size: 1 group: 2 }")
    conv += layer("r", "ReLU", "c", "c") + layer("pool", "Pooling", "c", "fc", "pooling_param { global_pooling: true }")
    net, lines = wire(DATA + conv + LOSS, num_classes=4)
    assert net["c_4"].convolution_param.num_output == 4 and net["c_4"].top == ["c"]
    assert "does not exist" not in " ".join(lines) and "c: 10 -> 4 outputs" in lines
    assert "has 2 groups, which do not divide 3" in refused(DATA + conv + LOSS, num_classes=3)
    net, lines = wire(DATA + FC + LOSS, num_classes=5)
    assert net["fc"].inner_product_param.num_output == 5 and "so that pretrained weights load" in lines[0]
    batch_norm = FC.replace('top: "fc"', 'top: "f"') + layer("bn", "BatchNorm", "f", "fc")
    assert "its scores come through bn (BatchNorm)" in refused(DATA + batch_norm + LOSS, num_classes=3)
    taken = layer("more", "InnerProduct", "fc", "more", "inner_product_param { num_output: 2 }")
    assert "feeds more (InnerProduct) too" in refused(DATA + FC + taken + LOSS, num_classes=3)
    shared = FC.replace("inner_product", 'param { name: "w" } inner_product')
    assert "shares its weights by name" in refused(DATA + shared + LOSS, num_classes=3)
    frozen = FC.replace("inner_product", "param { lr_mult: 0 } inner_product")
    assert "fc: its lr_mult is 0, so that it does not train" in wire(DATA + frozen + LOSS, num_classes=3)[1]
    assert wire(DATA + FC + LOSS + FC.replace('"fc"', '"fc_3"', 1).replace('top: "fc"', 'top: "x"'), num_classes=3)[0][
        "fc_3_"
    ]


def test_what_else_reads_the_labels():
    accuracy = layer("acc", "Accuracy", "fc label", "acc")
    net, lines = wire(DATA + FC + LOSS + accuracy + layer("f", "Flatten", "label", "f"))
    assert "acc" not in net and "f: takes label too (Flatten); see that it fits" in lines
    assert "(Accuracy) takes one label an image, but its top is in use" in refused(
        DATA + FC + LOSS + accuracy + layer("s", "Silence", "acc", "")
    )


def test_label_sources():
    """Beside each data layer, in its phase and with its batch; nothing shuffles one without the other."""
    image = layer("im", "ImageData", "", "data label", 'include {{ phase: {0} }} image_data_param {{ source: "{0}" }}')
    image = image.replace("source:", "shuffle: true batch_size: 6 source:").replace("{{", "{").replace("}}", "}")
    both = image.replace("{0}", "TRAIN") + image.replace("{0}", "TEST")
    net, lines = wiring.wire(parsed(both + FC + LOSS), "MultiLabelSoftmaxLoss", sources=["a", "b.txt"], labels="label")
    kinds = [(one.type, list(one.top), one.include[0].phase) for one in net.layer[:6]]
    assert kinds == [
        (kind, top, phase)
        for phase, label in [(caffe.TRAIN, "Data"), (caffe.TEST, "HDF5Data")]
        for kind, top in [("ImageData", ["data", "label_single"]), (label, ["label"]), ("Silence", [])]
    ]
    assert [net.layer[1].data_param.batch_size, net.layer[4].hdf5_data_param.batch_size] == [6, 6]
    assert not any(one.image_data_param.shuffle for one in net.layer)
    assert sum("shuffle off" in line for line in lines) == 1
    train = image.replace("{0}", "TRAIN")
    assert wire(train + FC + LOSS, sources=["a"])[0]["labels"].data_param.source == "a"
    assert wire(train + FC + LOSS, sources=["a", "b"])[0]["labels"].data_param.source == "a"
    assert "give a source for TRAIN and one for TEST" in refused(both + FC + LOSS, sources=["a"])
    assert "give the same source twice" in refused(DATA + FC + LOSS, sources=["a", "b"])
    assert "makes data already" in refused(train + FC + LOSS, sources=["a"], labels="data")
    inputs = layer("data", "Input", "", "data label")
    assert "(Input) has no batch size to follow" in refused(inputs + FC + LOSS, sources=["a", "a"])


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


@pytest.mark.parametrize(
    "text", ['layer { name: "a" typ: "b" }', "layer {", 'layers { name: "a" bottom: "a" type: 9 }']
)
def test_what_is_no_net_is_refused_in_one_line(text, tmp_path):
    (tmp_path / "in.prototxt").write_text(text)
    with pytest.raises((ValueError, OSError), match=r"^[^\n]+$"):
        command("wire", tmp_path / "in.prototxt", "-o", tmp_path / "out", "--loss", "SigmoidFocalLoss")


def test_dangling_blob_is_refused():
    assert refused(DATA + LOSS) == "layer loss takes fc, which no layer before it makes"


# Deploy


def test_deploy_shapes():
    net, lines = deployed(DATA + FC + LOSS, shapes={None: [1, 4]})
    assert net["data"].input_param.shape[0].dim == [1, 4]
    assert "data: HDF5Data -> Input 1 x 4" in lines
    assert deployed(DATA + FC + LOSS, shapes={"data": [2, 4]})[0]["data"].input_param.shape[0].dim == [2, 4]
    for shapes, message in [
        (None, r"data \(HDF5Data\) does not tell the shape of data; give e.g. --shape data=1,3,224,224"),
        ({"date": [1]}, "--shape: the net takes data; give --shape data="),
    ]:
        with pytest.raises(ValueError, match=message):
            deployed(DATA + FC + LOSS, shapes=shapes)


@pytest.mark.parametrize(
    "data, shape",
    [
        (layer("d", "Input", "", "data label", "input_param { shape { dim: 8 dim: 3 } }"), [1, 3]),
        (layer("d", "ImageData", "", "data label", "image_data_param { new_height: 4 new_width: 5 }"), [1, 3, 4, 5]),
        (layer("d", "Data", "", "data label", "transform_param { crop_size: 6 force_gray: true }"), [1, 1, 6, 6]),
        (
            layer("d", "MemoryData", "", "data label", "memory_data_param { channels: 2 height: 3 width: 4 }"),
            [1, 2, 3, 4],
        ),
    ],
)
def test_deploy_shape_that_the_data_layer_tells(data, shape):
    assert deployed(data + FC + LOSS)[0]["data"].input_param.shape[0].dim == shape


def test_deploy_heads():
    """The heaviest; all of them where they weigh the same; those named."""
    other = FC.replace('"fc"', '"other"') + LOSS.replace('"fc"', '"other"').replace('"loss"', '"second"')
    both = DATA + FC + LOSS + other
    assert {"loss/prob", "second/prob"} <= set(deployed(both, shapes={None: [1, 4]})[0])
    assert deployed(both, heads=["second"], shapes={None: [1, 4]})[0].keys() == {"data", "other", "prob"}
    light = both.replace('top: "second"', 'top: "second" loss_weight: 0.3')
    net, lines = deployed(light, shapes={None: [1, 4]})
    assert net.keys() == {"data", "fc", "prob"}
    assert "dropped, as the scores do not need them: other" in lines
    with pytest.raises(ValueError, match="got --head third; the net has loss, second"):
        deployed(both, heads=["third"])


def test_deploy_drops_rules_fillers_and_rates():
    tuned = FC.replace("num_output", 'weight_filler { type: "xavier" } num_output')
    tuned = tuned.replace("inner_product_param", "include { phase: TEST } param { lr_mult: 2 } inner_product_param")
    net, _ = deployed(DATA + tuned + LOSS, shapes={None: [1, 4]})
    assert str(net["fc"]) == str(parsed(FC).layer[0])


def test_deploy_keeps_axis_and_refuses_unknown_losses():
    axis = LOSS.replace('top: "loss"', 'top: "loss" softmax_param { axis: 2 }')
    assert deployed(DATA + FC + axis, shapes={None: [1, 4]})[0]["prob"].softmax_param.axis == 2
    wired, _ = wiring.wire(parsed(DATA + FC + axis), "MultiLabelSoftmaxLoss")
    assert wiring.deploy(wired, shapes={None: [1, 4]})[0].layer[-1].softmax_param.axis == 2
    with pytest.raises(ValueError, match=r"layer x \(my.XLoss\) is a loss that is not known here"):
        deployed(DATA + FC + python("x", "my", "XLoss", "fc label", "x", "loss_weight: 1"))
