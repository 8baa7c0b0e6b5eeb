"""The templates in prototxt/: as the generator writes them, and trained in real Caffe on LMDB and HDF5 data."""

import json
import os
import re
import subprocess
import sys

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from databases import write_hdf5, write_lmdb
from google.protobuf import text_format
from nets import BUILD, caffe_program
from pictures import write_pictures

from caffe_losses import templates
from caffe_losses.__main__ import main, parser

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STOCK = os.path.join(BUILD, "source", "models")
EVERY = [(net, loss) for net in templates.TEMPLATES for loss in ("softmax", "sigmoid")]
LOSSES = {
    "lenet": "softmax",
    "caffenet": "sigmoid",
    "googlenet": "softmax",
    "resnet50": "sigmoid",
    "mobilenet": "softmax",
}
FILES = "train_val.prototxt", "deploy.prototxt", "warmup_solver.prototxt", "solver.prototxt"
IMAGES, LABELS = 8, 3
# Learned parameters for 1,000 classes (LeNet: 10). Of BatchNorm's statistics, none are learned.
PARAMETERS = {
    "lenet": 431080,
    "caffenet": 60965224,
    "googlenet": 6998552,  # without the auxiliary heads
    "resnet50": 25557032 + 64,  # with the bias that the published weights have in conv1
    "mobilenet": 4231976,
}


def command(*arguments):
    """Run a command; its exit code, or the error that it raises."""
    options = parser().parse_args([str(argument) for argument in arguments])
    return options.run(options)


def parsed(text, message):
    return text_format.Parse(text, message())


def write_data(folder, channels, size, crop, classes):
    """All that any template reads: images, and labels in both formats, the INDEX ones in `index`."""
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (IMAGES, channels, size, size), np.uint8)
    index = np.array([random.permutation(classes)[:LABELS] for _ in range(IMAGES)], np.float32)
    index[0, -1] = -1
    dense = np.zeros((IMAGES, classes), np.float32)
    for row, classes_of_row in zip(dense, index.astype(int)):
        row[classes_of_row[classes_of_row >= 0]] = 1
    for place, labels in [(folder, dense), (folder / "index", index)]:
        place.mkdir(exist_ok=True)
        for phase in ("train", "test"):
            write_lmdb(place / f"{phase}_images_lmdb", images)
            write_lmdb(place / f"{phase}_labels_lmdb", labels[:, :, None, None])
            write_hdf5(place, f"{phase}_labels", labels=labels)
            write_hdf5(place, phase, data=images[:, :, :crop, :crop] / 256, labels=labels)


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gray")
    write_data(folder, 1, 28, 28, 10)
    return folder


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    folder = tmp_path_factory.mktemp("color")
    write_data(folder, 3, 230, 224, 1000)
    return folder


@pytest.mark.parametrize("net, loss", EVERY)
def test_committed_files_are_what_the_generator_writes(net, loss):
    folder = os.path.join(ROOT, "prototxt", f"{net}_{loss}")
    assert sorted(os.listdir(folder)) == sorted(FILES)
    for name, generated in templates.template(net, loss).items():
        with open(os.path.join(folder, name)) as file:
            committed = file.read()
        message = caffe_pb2.SolverParameter if "solver" in name else caffe_pb2.NetParameter
        assert parsed(committed, message) == parsed(generated, message), name
        assert committed.splitlines()[:2] == generated.splitlines()[:2]


@pytest.mark.slow
@pytest.mark.parametrize("net, loss", LOSSES.items())
def test_trains_in_the_caffe_program(net, loss, gray, color):
    """Each net with a loss; test_parameters_and_deploy_net has a gradient of each with the other."""
    folder = gray if net == "lenet" else color
    files = templates.template(net, loss, batch=1, iter_size=1, test_images=1)
    (folder / "train_val.prototxt").write_text(files["train_val.prototxt"])
    short = "max_iter: 2 test_iter: 1 test_interval: 1 test_initialization: false snapshot_after_train: false"
    solver = parsed(files["warmup_solver.prototxt"], caffe_pb2.SolverParameter)
    solver.MergeFrom(parsed(short, caffe_pb2.SolverParameter))
    (folder / "solver.prototxt").write_text(str(solver))
    log = caffe_program("train", "--solver", "solver.prototxt", cwd=folder).stdout
    assert "Optimization Done" in log
    assert len(re.findall(r"Test net output #\d+: (?:mAP|hit@1) = [01]\.?\d*", log)) == 4
    losses = [float(x) for x in re.findall(r"(?:Train|Test) net output #\d+: \S*loss = (\S+)", log)]
    assert len(losses) >= 2 * (3 if net == "googlenet" else 1)
    assert np.isfinite(losses).all() and min(losses) > 0


def trainable(net):
    """The shape of each learned parameter, by layer."""
    kinds = dict(zip(net._layer_names, (layer.type for layer in net.layers)))
    return {name: [b.data.shape for b in blobs] for name, blobs in net.params.items() if kinds[name] != "BatchNorm"}


def count(shapes):
    return sum(int(np.prod(shape)) for blobs in shapes.values() for shape in blobs)


def committed(net, loss, name):
    return os.path.join(ROOT, "prototxt", f"{net}_{loss}", name)


def with_inputs(net, loss, path):
    """Write the committed train_val with Input layers, for one image, in place of its data layers."""
    with open(committed(net, loss, "train_val.prototxt")) as file:
        given = parsed(file.read(), caffe_pb2.NetParameter)
    known = templates.TEMPLATES[net]
    inputs = caffe_pb2.NetParameter()
    for name, shape in [("data", [1, known.channels, *known.size]), ("labels", [1, known.num_classes])]:
        inputs.layer.add(name=name, type="Input", top=[name]).input_param.shape.add().dim.extend(shape)
    inputs.layer.extend(layer for layer in given.layer if layer.bottom and layer.name != "metrics")
    path.write_text(str(inputs))


@pytest.mark.slow
@pytest.mark.parametrize("net, loss", sorted({*EVERY} - {*LOSSES.items()}))
def test_parameters_and_deploy_net(net, loss, tmp_path):
    """As many as in the papers, a gradient for each, and deploy's probabilities are those of the trained net."""
    caffe.set_random_seed(0)
    with_inputs(net, loss, tmp_path / "train_val.prototxt")
    trained = caffe.Net(str(tmp_path / "train_val.prototxt"), caffe.TRAIN)
    trained.blobs["data"].data[...] = np.random.RandomState(0).randn(*trained.blobs["data"].data.shape)
    trained.blobs["labels"].data[0, :2] = 1
    trained.forward()
    trained.backward()
    assert all(np.abs(blobs[0].diff).max() > 0 for name, blobs in trained.params.items() if name in trainable(trained))

    tested = caffe.Net(str(tmp_path / "train_val.prototxt"), caffe.TEST)
    deployed = caffe.Net(committed(net, loss, "deploy.prototxt"), caffe.TEST)
    assert count(trainable(deployed)) == PARAMETERS[net]
    tested.share_with(trained)
    deployed.share_with(trained)
    tested.blobs["data"].data[...] = deployed.blobs["data"].data[...] = trained.blobs["data"].data
    tested.forward()
    scores = tested.blobs["scores"].data.astype(np.float64)
    expected = np.exp(scores) / np.exp(scores).sum() if loss == "softmax" else 1 / (1 + np.exp(-scores))
    # float32 sums of thousands of terms, in blobs that are the same but for the order of the layers
    np.testing.assert_allclose(deployed.forward()["prob"], expected, rtol=1e-4)


def test_loss_weights_of_googlenet():
    with open(committed("googlenet", "softmax", "train_val.prototxt")) as file:
        net = parsed(file.read(), caffe_pb2.NetParameter)
    weights = {layer.name: layer.loss_weight[0] for layer in net.layer if layer.loss_weight}
    assert weights == pytest.approx({"loss1/loss": 0.3, "loss2/loss": 0.3, "loss": 1})


@pytest.mark.parametrize("net, stock", [("caffenet", "bvlc_reference_caffenet"), ("googlenet", "bvlc_googlenet")])
def test_published_weights_load(net, stock):
    """Names and shapes are those of Caffe's own model, but for the scores."""
    theirs = trainable(caffe.Net(os.path.join(STOCK, stock, "deploy.prototxt"), caffe.TEST))
    ours = trainable(caffe.Net(committed(net, "softmax", "deploy.prototxt"), caffe.TEST))
    assert list(ours.values())[-1] == list(theirs.values())[-1]
    assert list(ours.items())[:-1] == list(theirs.items())[:-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "data, label_format", [("lmdb", "DENSE"), ("lmdb", "INDEX"), ("lmdb-hdf5", "DENSE"), ("hdf5", "INDEX")]
)
def test_warm_up_and_halvings(data, label_format, gray):
    """The caffe program warms up on each data source, and trains on: the rates that it prints are the recipe's."""
    folder = gray / "index" if label_format == "INDEX" else gray
    options = ["--data", data, "--label-format", label_format, "--images", 8, "--batch", 2, "--iter-size", 2]
    options += ["--test-images", 4, "--epochs", 33, "--warmup-epochs", 2, "--force"]
    assert command("template", "lenet", "--loss", "softmax", "-o", folder, *options) == 0
    warmup = rates(folder, "--solver", "warmup_solver.prototxt")
    base_lr = 0.16 * 4 / 256
    assert warmup == pytest.approx([base_lr * (0.1 + 0.9 * i / 4) for i in range(4)], rel=1e-4)
    if data == "hdf5":
        snapshot = "lenet_softmax_iter_4.solverstate"
        after = rates(folder, "--solver", "solver.prototxt", "--snapshot", snapshot)
        assert after == pytest.approx([base_lr * 0.5 ** (i // 6) for i in range(4, 66)], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("label_format", ["DENSE", "INDEX"])
def test_lists_of_image_files(label_format, tmp_path):
    """From a folder of pictures and a CSV, through split, to a trained and measured net."""
    names = write_pictures(tmp_path, 20, height=30, width=40)
    rows = [f"{name},{'round|red' if k % 2 else 'square'}\n" for k, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("path,labels\n" + "".join(rows))
    assert main(["split", str(tmp_path / "labels.csv"), "-o", str(tmp_path / "lists"), "--test", "0.35"]) == 0
    options = ["--lists", tmp_path / "lists", "--label-format", label_format, "--batch", 4, "--iter-size", 1]
    options += ["--epochs", 13, "--warmup-epochs", 1, "--metrics", "hit@1", "precision@2"]
    assert command("template", "lenet", "--loss", "softmax", "-o", tmp_path / "net", *options) == 0
    solver = (tmp_path / "net" / "solver.prototxt").read_text()
    assert "test_iter: 2" in solver  # 7 images, 4 at a time
    assert "test_interval: 4" in solver  # of 13
    caffe_program("train", "--solver", "warmup_solver.prototxt", cwd=tmp_path / "net")
    log = caffe_program(
        "train", "--solver", "solver.prototxt", "--snapshot", "lenet_softmax_iter_4.solverstate", cwd=tmp_path / "net"
    ).stdout
    measured = [float(value) for value in re.findall(r"Test net output #\d+: hit@1 = (\S+)", log)]
    assert len(measured) == 13
    assert all(abs(value * 7 - round(value * 7)) < 1e-4 for value in measured)  # printed to 6 digits


def rates(folder, *arguments):
    """The learning rate that caffe train prints in each iteration."""
    solver = folder / arguments[1]
    solver.write_text(solver.read_text().replace("display: 20", "display: 1"))
    log = caffe_program("train", *arguments, cwd=folder).stdout
    return [float(rate) for rate in re.findall(r"Iteration \d+, lr = (\S+)", log)]


@pytest.mark.parametrize(
    "batch, iter_size, start, base_lr",
    [(256, 1, 0.01, 0.1), (32, 8, 0.01, 0.1), (32, 256, 0.1, 3.2), (8, 1, 0.0003125, 0.003125)],
)
def test_rate_scales_with_the_batch(batch, iter_size, start, base_lr):
    """And the warm-up starts at 0.1, as in Goyal et al., or at a tenth of the rate where that is less."""
    files = templates.template("resnet50", "softmax", batch=batch, iter_size=iter_size)
    warmup = parsed(files["warmup_solver.prototxt"], caffe_pb2.SolverParameter)
    main = parsed(files["solver.prototxt"], caffe_pb2.SolverParameter)
    assert (warmup.base_lr, main.base_lr) == pytest.approx((start, base_lr))
    assert warmup.base_lr * (1 + warmup.gamma * warmup.max_iter) == pytest.approx(base_lr)
    assert (main.momentum, main.weight_decay, main.iter_size) == pytest.approx((0.9, 1e-4, iter_size))
    steps = np.diff([0, *main.stepvalue, main.max_iter])
    assert len(main.stepvalue) == 10 and steps.max() - steps.min() <= 1 and main.gamma == 0.5


def test_sigmoids_start_at_one_in_so_many_classes():
    net = parsed(templates.template("lenet", "sigmoid", num_classes=50)["train_val.prototxt"], caffe_pb2.NetParameter)
    (scores,) = [layer for layer in net.layer if layer.name == "scores"]
    bias = scores.inner_product_param.bias_filler.value
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(1 / 50)


@pytest.mark.parametrize("epochs, warmup_epochs", [(90, 9), (10, 1), (0.5, 0.5)])
def test_too_long_a_warm_up_is_refused(epochs, warmup_epochs):
    with pytest.raises(ValueError, match=r"^solver: a warm-up of \S+ of \S+ epochs; it has to end before .*; leave"):
        templates.template("lenet", "softmax", epochs=epochs, warmup_epochs=warmup_epochs)


@pytest.mark.parametrize("epochs, warmup, max_iter", [(90, 1175, 21150), (20, 213, 4700), (1, 10, 235), (0.01, 1, 3)])
def test_a_warm_up_that_is_not_told_fits(epochs, warmup, max_iter):
    files = templates.template("lenet", "softmax", epochs=epochs)
    first = parsed(files["warmup_solver.prototxt"], caffe_pb2.SolverParameter) if warmup > 1 else None
    main = parsed(files["solver.prototxt"], caffe_pb2.SolverParameter)
    assert main.max_iter == max_iter
    assert (first.max_iter if first else 1) == warmup
    assert list(main.stepvalue) == sorted(set(main.stepvalue))
    assert all(0 < step < max_iter for step in main.stepvalue)


@pytest.mark.parametrize("epochs, max_iter, interval", [(3, 705, 235), (0.5, 118, 118), (1.5, 354, 177)])
def test_the_end_of_a_training_is_tested(epochs, max_iter, interval):
    main = parsed(templates.template("lenet", "softmax", epochs=epochs)["solver.prototxt"], caffe_pb2.SolverParameter)
    assert (main.max_iter, main.test_interval, main.snapshot) == (max_iter, interval, interval)


def test_no_warm_up():
    files = templates.template("lenet", "softmax", warmup_epochs=0)
    assert sorted(files) == ["deploy.prototxt", "solver.prototxt", "train_val.prototxt"]
    assert "warm" not in files["solver.prototxt"].split("net:")[0].replace("--warmup-epochs 0", "")


@pytest.mark.slow
def test_a_warm_up_of_another_template_does_not_stay(tmp_path):
    assert command("template", "lenet", "--loss", "softmax", "-o", tmp_path) == 0
    with pytest.raises(ValueError, match=r"warmup_solver.prototxt is there, and this template has no warm-up"):
        command("template", "lenet", "--loss", "softmax", "-o", tmp_path, "--warmup-epochs", "0", "--force")


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    names = write_pictures(folder, 20, height=40, width=60)
    rows = [f"{name},{'round|red' if k % 2 else 'square'}\n" for k, name in enumerate(names)]
    (folder / "labels.csv").write_text("path,labels\n" + "".join(rows))
    assert main(["split", str(folder / "labels.csv"), "-o", str(folder / "lists"), "--test", "0.35"]) == 0
    return folder / "lists"


@pytest.mark.slow
@pytest.mark.parametrize("loss", templates.LOSSES)
def test_each_loss_runs_on_lists(loss, lists, tmp_path):
    files = templates.template("lenet", loss, lists=str(lists), batch=4)
    assert templates.LOSSES[loss] in files["train_val.prototxt"]
    (tmp_path / "net.prototxt").write_text(files["train_val.prototxt"])
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    assert np.isfinite(net.forward()["loss"])
    net.backward()
    assert net.blobs["scores"].diff.any()


@pytest.mark.slow
def test_it_trains_on_lists(lists, tmp_path, capsys):
    options = ["--lists", lists, "--batch", 4, "--iter-size", 1, "--epochs", 2, "--warmup-epochs", 0]
    assert command("template", "lenet", "--loss", "two-way", "-o", tmp_path / "net", *options) == 0
    assert "LeNet: images of 1 x 28 x 28, 3 classes, 8 iterations of 4 images, " in capsys.readouterr().out
    log = caffe_program("train", "--solver", "solver.prototxt", cwd=tmp_path / "net").stdout
    assert "Optimization Done" in log


def image_options(files, phase):
    net = parsed(files["train_val.prototxt"], caffe_pb2.NetParameter)
    (layer,) = [x for x in net.layer if x.name == "data" and x.include[0].phase == phase]
    return json.loads(layer.python_param.param_str)


def test_images_of_another_kind(lists, tmp_path):
    options = {"size": (20, 40), "color": "COLOR", "mean": [1, 2, 3], "scale": 0.5, "mirror": False, "seed": 7}
    files = templates.template("lenet", "softmax", lists=str(lists), resample=True, base_lr=0.3, **options)
    train, test = image_options(files, caffe.TRAIN), image_options(files, caffe.TEST)
    assert train["crop_size"] == test["crop_size"] == [20, 40]
    assert (train["new_height"], train["new_width"]) == (20, 40)
    assert (train["mean_value"], train["scale"], train["mirror"], train["seed"]) == ([1, 2, 3], 0.5, False, 7)
    assert "color" not in train
    assert train["resample"] and "resample" not in test and "seed" not in test
    solver = parsed(files["solver.prototxt"], caffe_pb2.SolverParameter)
    assert (solver.base_lr, solver.random_seed) == (pytest.approx(0.3), 7)
    deploy = parsed(files["deploy.prototxt"], caffe_pb2.NetParameter)
    assert list(deploy.layer[0].input_param.shape[0].dim) == [1, 3, 20, 40]
    command_line = files["solver.prototxt"].split("# Warm")[0].replace("\\\n#", "").split("\n")[0]
    words = command_line.strip("# ").split()[1:]
    again = parser().parse_args([*words, "-o", str(tmp_path)])
    assert (again.size, again.mean, again.mirror, again.base_lr) == ((20, 40), [1, 2, 3], False, 0.3)


def test_nets_without_batch_normalization_clip_gradients():
    for net in templates.TEMPLATES:
        files = templates.template(net, "sigmoid", batch=8, iter_size=3)
        normalized = "BatchNorm" in files["train_val.prototxt"]
        for name in ("solver.prototxt", "warmup_solver.prototxt"):
            solver = parsed(files[name], caffe_pb2.SolverParameter)
            assert solver.clip_gradients == (-1 if normalized else 30), (net, name)  # of the sum of three batches


def test_a_list_for_validation_is_that_of_the_phase_test(lists, tmp_path):
    for name in ("train.csv", "test.csv", "classes.txt"):
        (tmp_path / name).write_bytes((lists / name).read_bytes())
    rows = (tmp_path / "test.csv").read_text().splitlines(True)
    (tmp_path / "validation.csv").write_text("".join(rows[:4]))
    files = templates.template("lenet", "softmax", lists=str(tmp_path), batch=2)
    assert image_options(files, caffe.TEST)["source"] == str(tmp_path / "validation.csv")
    assert image_options(files, caffe.TRAIN)["source"] == str(tmp_path / "train.csv")
    assert "test_iter: 2\n" in files["solver.prototxt"]  # 3 images
    assert '\\"images\\": 3' in files["train_val.prototxt"]


def test_augmentation(lists):
    files = templates.template("mobilenet", "softmax", lists=str(lists), size=(64, 64), augment="strong")
    train, test = image_options(files, caffe.TRAIN), image_options(files, caffe.TEST)
    assert train["crop_scale"] == [0.08, 1] and train["hue"] == 0.1
    assert "new_height" not in train
    assert (test["new_height"], test["crop_size"]) == (73, 64)
    assert "crop_scale" not in test


def test_a_color_net_in_gray(lists):
    files = templates.template("caffenet", "softmax", lists=str(lists), color="GRAY")
    assert image_options(files, caffe.TRAIN)["mean_value"] == [114.67]
    assert image_options(files, caffe.TEST)["color"] == "GRAY"


@pytest.mark.parametrize("options, text", [
    (["--lists", "LISTS", "--images", "5"], "--images: --lists tells it; leave it out"),
    (["--lists", "LISTS", "--data", "lmdb"], "--data: --lists tells it; leave it out"),
    (["--augment", "light"], "--augment: it needs --lists; leave it out"),
    (["--resample"], "--resample: it needs --lists; leave it out"),
    (["--data", "hdf5", "--mean", "3"], "--mean: --data hdf5 has numbers that are ready for the net; leave it out"),
    (["--size", "30,40"], "--size: the crop of Caffe's Data layer is square, and lists take any; leave it out"),
    (["--mean", "1,2"], "--mean: expected 1 or 1 numbers, got 2; give one for each channel"),
    (["--epochs", "0"], "--epochs: expected a number above 0, got 0"),
])  # fmt: skip
def test_options_that_do_not_go_together(options, text, lists, tmp_path):
    options = [str(lists) if word == "LISTS" else word for word in options]
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        command("template", "lenet", "--loss", "softmax", "-o", tmp_path / "net", *options)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize("wrong, message", [
    (["--num-classes", "0"], "--num-classes: expected a number >= 1, got 0"),
    (["--batch", "x"], "--batch: expected a number >= 1, got x"),
    (["--data", "csv"], "--data: invalid choice: 'csv'"),
])  # fmt: skip
def test_wrong_arguments_are_refused(wrong, message, tmp_path):
    with pytest.raises(ValueError, match=f"^{message}"):
        command("template", "lenet", "--loss", "softmax", "-o", tmp_path, *wrong)


@pytest.mark.slow
def test_importing_does_not_import_caffe():
    code = "import sys, caffe_losses.templates, caffe_losses.wiring; print({'caffe', 'google'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code]).split() == [b"set()"]


@pytest.mark.slow
def test_images_that_are_too_small_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^check: Caffe does not load the TRAIN phase: "):
        command("template", "caffenet", "--loss", "softmax", "--size", "32", "-o", tmp_path / "net")
    assert not (tmp_path / "net").exists()
    assert command("template", "googlenet", "--loss", "softmax", "--size", "96", "-o", tmp_path / "net") == 0
