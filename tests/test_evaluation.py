"""The command evaluate on real nets, against scikit-learn and the nets' own scores."""

import json
import os
import subprocess
import sys

import caffe
import h5py
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from databases import write_lmdb
from nets import input_layer, loss_layer
from pictures import write_list
from sklearn.metrics import average_precision_score, f1_score, label_ranking_loss, precision_score, recall_score

from caffe_losses.__main__ import main
from caffe_losses.data import lists

pytestmark = pytest.mark.slow

PNG = b"\x89PNG"
IMAGES, FEATURES, CLASSES, BATCH = 50, 7, 6, 8


def python_data(**param):
    return (
        'layer { name: "data" type: "Python" top: "data" top: "labels" python_param { module: "caffe_losses.layers" '
        f"layer: \"MultiLabelImageData\" param_str: '{json.dumps(param)}' }} }}\n"
    )


def scorer(bottom, outputs=CLASSES):
    return (
        f'layer {{ name: "fc" type: "InnerProduct" bottom: "{bottom}" top: "scores" inner_product_param {{ '
        f'num_output: {outputs} weight_filler {{ type: "gaussian" std: 1 }} }} }}\n'
    )


def metrics_layer():
    """One that fits no other number of batches than Caffe's own passes; evaluate has to pass it by."""
    return (
        'layer { name: "metrics" type: "Python" bottom: "scores" bottom: "labels" top: "mAP" include { phase: TEST } '
        'python_param { module: "caffe_losses.layers" layer: "MultiLabelMetrics" '
        "param_str: '{\"test_iter\": 99}' } }\n"
    )


def run(*arguments):
    return main([str(argument) for argument in arguments])


class Trained:
    """A folder with a train_val, its weights, and what the net gives for the test set."""

    def __init__(self, folder, data, loss="SigmoidCrossEntropyLoss", labels="labels", outputs=CLASSES, **param):
        self.folder = folder
        body = scorer("data", outputs) + metrics_layer() * (labels == "labels")
        text = data + body + loss_layer(loss, ["scores", labels], param=param)
        (folder / "net.prototxt").write_text(text)
        caffe.set_random_seed(1)
        net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
        net.save(str(folder / "net.caffemodel"))
        self.scores = []
        for _ in range(-(-IMAGES // BATCH)):
            net.forward()
            self.scores.append(net.blobs["scores"].data.copy())
        self.scores = np.concatenate(self.scores)[:IMAGES]
        self.arguments = ["--model", folder / "net.prototxt", "--weights", folder / "net.caffemodel"]

    def evaluate(self, *arguments):
        assert run("evaluate", *self.arguments, "--force", "--json", self.folder / "all.json", *arguments) == 0
        return json.loads((self.folder / "all.json").read_text())


def truth():
    random = np.random.RandomState(3)
    labels = (random.rand(IMAGES, CLASSES) < np.linspace(0.05, 0.6, CLASSES)).astype(np.float32)
    labels[:, 2] = 0
    return random.randn(IMAGES, FEATURES).astype(np.float32), labels


def hdf5(folder, **arrays):
    """HDF5Data of two files, in both phases."""
    for k, part in enumerate((slice(0, 30), slice(30, None))):
        with h5py.File(folder / f"{k}.h5", "w") as file:
            for name, array in arrays.items():
                file[name] = array[part]
    (folder / "list.txt").write_text(f"{folder}/0.h5\n{folder}/1.h5\n")
    tops = " ".join(f'top: "{name}"' for name in arrays)
    source = f'hdf5_data_param {{ source: "{folder}/list.txt" batch_size: {BATCH} }}'
    return f'layer {{ name: "data" type: "HDF5Data" {tops} {source} }}\n'


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    features, labels = truth()
    folder = tmp_path_factory.mktemp("trained")
    return Trained(folder, hdf5(folder, data=features, labels=labels))


# evaluate


@pytest.mark.parametrize("arguments, is_given", [
    ([], lambda scores: scores >= 0),
    (["--threshold", "0.8"], lambda scores: 1 / (1 + np.exp(-scores)) >= 0.8),
    (["--threshold", "0.5", "--scores", "scores"], lambda scores: scores >= 0.5),
    (["--top-k", "2"], lambda scores: np.argsort(np.argsort(-scores)) < 2),
])  # fmt: skip
def test_figures_are_scikit_learns(trained, arguments, is_given, capsys):
    _, labels = truth()
    figures = trained.evaluate(*arguments)
    scores = trained.scores
    decided = is_given(scores) | (scores == scores.max(axis=1, keepdims=True))
    assert figures["images"] == IMAGES
    assert [row["images"] for row in figures["classes"]] == sorted(labels.sum(axis=0), reverse=True)
    for row in figures["classes"]:
        c = row["index"]
        assert row["name"] == str(c)
        pair = labels[:, c], decided[:, c]
        if c == 2:  # has no images
            assert {row[name] for name in ("average_precision", "precision", "recall", "f1")} == {None}
            continue
        assert row["average_precision"] == pytest.approx(average_precision_score(labels[:, c], scores[:, c]))
        assert row["precision"] == pytest.approx(precision_score(*pair, zero_division=0))
        assert row["recall"] == pytest.approx(recall_score(*pair, zero_division=0))
        assert row["f1"] == pytest.approx(f1_score(*pair, zero_division=0))
    overall = figures["metrics"]
    assert list(overall) == [
        "mAP",
        "mAP_interval",
        "CF1",
        "OF1",
        "hit@1",
        "hit@5",
        "precision@5",
        "ranking_loss",
        "micro_f1",
        "macro_f1",
    ]
    kept = np.arange(CLASSES) != 2
    assert overall["mAP"] == pytest.approx(average_precision_score(labels[:, kept], scores[:, kept], average="macro"))
    assert overall["hit@1"] == pytest.approx(labels[np.arange(IMAGES), scores.argmax(axis=1)].mean())
    assert overall["ranking_loss"] == pytest.approx(label_ranking_loss(labels, scores))
    macro_f1 = f1_score(labels[:, kept], decided[:, kept], average="macro", zero_division=0)
    assert overall["macro_f1"] == pytest.approx(macro_f1)
    for name, column in (("mAP", "average_precision"), ("macro_f1", "f1")):
        rows = [row[column] for row in figures["classes"] if row[column] is not None]
        assert overall[name] == pytest.approx(np.mean(rows))
    assert overall["micro_f1"] == pytest.approx(f1_score(labels, decided, average="micro", zero_division=0))
    printed = capsys.readouterr().out
    for name, value in overall.items():
        number = value[0] if name == "mAP_interval" else value
        assert f"{name:12}  {number:.4f}" in printed


def test_nothing_but_the_table_is_printed(trained):
    env = {name: value for name, value in os.environ.items() if name != "GLOG_minloglevel"}
    command = [sys.executable, "-m", "caffe_losses", "evaluate", *map(str, trained.arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("class ")


def test_table_and_picture(trained, capsys):
    names = ["rain", "snow", "never", "a name that is longer than others", "sun", "wind"]
    (trained.folder / "names.txt").write_text("\n".join(names))
    arguments = [
        "--classes",
        trained.folder / "names.txt",
        "--force",
        "--png",
        trained.folder / "out.png",
        "--metrics",
        "hit@2",
    ]
    figures = trained.evaluate(*arguments)
    assert list(figures["metrics"]) == ["hit@2"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "images", "AP", "precision", "recall", "F1"]
    assert [line.split("  ")[0] for line in lines[1:7]] == [row["name"] for row in figures["classes"]]
    assert lines[6].split() == ["never", "0", "-", "-", "-", "-"]
    assert "50 images; precision, recall and F1 of labels given to scores >= 0, always the best" in lines
    assert (trained.folder / "out.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("arguments, rows", [
    (["--images", "17"], 17),
    (["--iterations", "3"], 24),
    (["--iterations", "9"], IMAGES),
    (["--iterations", "3", "--images", "20"], 20),
])  # fmt: skip
def test_a_part_of_the_test_set(trained, arguments, rows):
    _, labels = truth()
    figures = trained.evaluate(*arguments)
    assert figures["images"] == rows
    assert figures["metrics"]["ranking_loss"] == pytest.approx(label_ranking_loss(labels[:rows], trained.scores[:rows]))


def test_index_labels_of_a_softmax_and_ignored_ones(tmp_path):
    features, labels = truth()
    index = np.full((IMAGES, CLASSES), -1, np.float32)
    for row, label in zip(index, labels):
        row[: int(label.sum())] = np.flatnonzero(label)
    index[4] = 7
    data = hdf5(tmp_path, data=features, index=index)
    trained = Trained(tmp_path, data, "MultiLabelSoftmaxLoss", "index", label_format="INDEX", ignore_label=7)
    figures = trained.evaluate()
    kept = np.arange(IMAGES) != 4
    assert figures["images"] == IMAGES - 1
    assert figures["decision"] == {"top_k": 5}
    expected = label_ranking_loss(labels[kept], trained.scores[kept])
    assert figures["metrics"]["ranking_loss"] == pytest.approx(expected)


def test_images_and_names_of_our_data_layer(tmp_path):
    source = write_list(tmp_path, 11, 3)
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
    data = python_data(source=source, batch_size=4, classes=str(tmp_path / "names.txt"), workers=1)
    trained = Trained(tmp_path, data, outputs=3)
    figures = trained.evaluate()
    labels = lists.read(source, 3).dense(np.arange(11), 3)
    assert figures["images"] == 11
    images = {row["name"]: row["images"] for row in figures["classes"]}
    assert images == dict(zip(["ant", "bee", "cat"], labels.sum(axis=0)))
    assert figures["metrics"]["ranking_loss"] == pytest.approx(label_ranking_loss(labels, trained.scores[:11]))


def test_images_of_an_lmdb(tmp_path, capsys):
    features, labels = truth()
    for name, arrays in (("images", features), ("labels", labels)):
        write_lmdb(tmp_path / name, arrays[:, :, None, None])
    data = "".join(
        f'layer {{ name: "{top}" type: "Data" top: "{top}" '
        f'data_param {{ source: "{tmp_path}/{source}" batch_size: {BATCH} backend: LMDB }} }}\n'
        for top, source in (("data", "images"), ("labels", "labels"))
    )
    trained = Trained(tmp_path, data)
    assert trained.evaluate()["images"] == IMAGES
    capsys.readouterr()
    write_lmdb(tmp_path / "labels", labels[:1, :, None, None].repeat(60, axis=0))
    line = refused(capsys, "evaluate", *trained.arguments)
    assert "reads the labels of what layer data (Data) reads, and has 60 records, not 50: labels get to other" in line


def test_many_classes_are_cut_to_the_ends(tmp_path, capsys):
    labels = (np.random.RandomState(0).rand(IMAGES, 150) < 0.2).astype(np.float32)
    data = hdf5(tmp_path, data=np.zeros((IMAGES, 150), np.float32), labels=labels)
    body = scorer("data", 150) + loss_layer("SigmoidCrossEntropyLoss", ["scores", "labels"])
    (tmp_path / "net.prototxt").write_text(data + body)
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "net.caffemodel"))
    assert run("evaluate", "--model", tmp_path / "net.prototxt", "--weights", tmp_path / "net.caffemodel") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[21] == "... 110 more classes: --json OUT has them all ..."
    counts = [int(line.split()[1]) for line in lines[1:21] + lines[22:42]]
    assert (
        counts
        == sorted(labels.sum(axis=0).astype(int), reverse=True)[:20] + sorted(labels.sum(axis=0), reverse=True)[-20:]
    )


def refused(capsys, *arguments):
    assert run(*arguments) == 2
    output = capsys.readouterr()
    assert not output.out
    (line,) = output.err.splitlines()
    return line


@pytest.fixture(scope="module")
def wrong_files(trained):
    """Nets and weights that do not fit, next to those that do."""
    (trained.folder / "text.caffemodel").write_text("no weights")
    (trained.folder / "empty.caffemodel").write_text("")
    (trained.folder / "three.txt").write_text("a\nb\nc\n")
    body = (trained.folder / "net.prototxt").read_text()
    wide = body.replace("num_output: 6", "num_output: 9").replace('bottom: "labels"', 'bottom: "scores"')
    for name, text_of in (("other", body.replace('"fc"', '"other"')), ("wide", wide)):
        (trained.folder / "changed.prototxt").write_text(text_of)
        net = caffe.Net(str(trained.folder / "changed.prototxt"), caffe.TEST)
        net.save(str(trained.folder / f"{name}.caffemodel"))
    rest = body[body.index("layer {", 1) :]
    dummy = (
        'layer { name: "data" type: "DummyData" top: "data" top: "labels" '
        "dummy_data_param { shape { dim: 8 dim: 7 } shape { dim: 8 dim: 6 } } }\n"
    )
    inputs = input_layer("data", (8, 7)) + input_layer("labels", (8, 6))
    (trained.folder / "input.prototxt").write_text(inputs + rest)
    (trained.folder / "uncounted.prototxt").write_text(dummy + rest)
    (trained.folder / "missing.prototxt").write_text(body.replace(f"{trained.folder}/list.txt", "missing.txt"))
    (trained.folder / "unloadable.prototxt").write_text(body.replace("num_output: 6", "num_output: 0"))
    (trained.folder / "train_only.prototxt").write_text(
        body.replace("hdf5_data_param", "include { phase: TRAIN } hdf5_data_param")
    )


@pytest.mark.parametrize("arguments, text", [
    (["--weights", "none.caffemodel"], "No such file or directory: 'none.caffemodel'"),
    (["--weights", "text.caffemodel"], "text.caffemodel is no .caffemodel"),
    (["--weights", "empty.caffemodel"], "empty.caffemodel has no weights"),
    (["--weights", "other.caffemodel"], "other.caffemodel has no weights for layer fc of the net, but for ['other']"),
    (["--weights", "wide.caffemodel"], "layer fc has weights of shapes [(9, 7), (9,)] there and [(6, 7), (6,)]"),
    (["--model", "text.caffemodel"], "text.caffemodel is not a net"),
    (["--model", "none.prototxt"], "No such file or directory"),
    (["--model", "train_only.prototxt"], "has no whole TEST phase: layer fc takes data, which no layer"),
    (["--model", "input.prototxt"], "layer data (Input) has no test set"),
    (["--model", "missing.prototxt"], "layer data (HDF5Data): missing.txt does not exist"),
    (["--model", "uncounted.prototxt"], "data (DummyData) does not tell how many images it has; give --iterations"),
    (["--model", "unloadable.prototxt"], "check: Caffe does not load the TEST phase"),
    (["--scores", "score"], "expected a blob of the net, got score; it has data, labels, scores"),
    (["--classes", "three.txt"], "three.txt has 3 names, and the net has 6 classes"),
    (["--images", "51"], "--images: got 51, and the test set has 50"),
    (["--images", "20", "--iterations", "2"], "--iterations 2 of batches of 8 are less than --images 20"),
    (["--iterations", "0"], "--iterations: expected a number >= 1, got 0"),
    (["--threshold", "1"], "--threshold: expected a probability in (0, 1), got 1"),
    (["--metrics", "map"], "LRAP, coverage, or all alone, got map"),
    (["--metrics", "LRAP", "LRAP"], "--metrics: expected each name once, got LRAP LRAP"),
    (["--metrics", "hit@7"], "hit@7 of 6 classes; give a k of at most 6"),
])  # fmt: skip
def test_refusals_are_one_line(trained, wrong_files, arguments, text, capsys, monkeypatch):
    monkeypatch.chdir(trained.folder)
    line = refused(capsys, "evaluate", *trained.arguments, *arguments)
    assert line.startswith("caffe-losses: ")
    assert text in line


def test_a_softmax_is_measured_by_its_probabilities(tmp_path):
    features, labels = truth()
    trained = Trained(tmp_path, hdf5(tmp_path, data=features, labels=labels), "MultiLabelSoftmaxLoss")
    probabilities = np.exp(trained.scores.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    figures = trained.evaluate("--threshold", "0.3")
    assert figures["decision"] == {"threshold": 0.3}
    kept = labels.any(axis=0)
    of_probabilities, of_scores = (
        average_precision_score(labels[:, kept], each[:, kept]) for each in (probabilities, trained.scores)
    )
    assert figures["metrics"]["mAP"] == pytest.approx(of_probabilities)
    assert of_probabilities != pytest.approx(of_scores)


IMAGES_OF_ONE = 40


@pytest.mark.parametrize("loss, activation", [
    ("MultiLabelSoftmaxLoss", None),
    ("MultiLabelLogisticLoss", "Softmax"),
    ("BinaryCrossEntropyLoss", "Sigmoid"),
    ("SigmoidCrossEntropyLoss", None),
])  # fmt: skip
@pytest.mark.parametrize("named", [False, True])
def test_probabilities_that_are_all_1_in_float32_are_ranked_by_their_scores(tmp_path, loss, activation, named):
    """Images differ in how sure the net is of class 1, by scores of 20 to 60, which are probabilities of 1."""
    random = np.random.RandomState(0)
    sure = np.linspace(20, 60, IMAGES_OF_ONE)
    scores = np.zeros((IMAGES_OF_ONE, 3), np.float32)
    scores[:, 1] = random.permutation(sure)
    labels = np.stack([scores[:, 1] <= 40, scores[:, 1] > 40, random.rand(IMAGES_OF_ONE) < 0.5], axis=1)
    with h5py.File(tmp_path / "0.h5", "w") as file:
        file["data"], file["labels"] = scores, labels.astype(np.float32)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/0.h5\n")
    text = (
        'layer { name: "data" type: "HDF5Data" top: "data" top: "labels" '
        f'hdf5_data_param {{ source: "{tmp_path}/list.txt" batch_size: 8 }} }}\n'
        'layer { name: "scores" type: "Scale" bottom: "data" top: "scores" '
        'scale_param { filler { type: "constant" value: 1 } } }\n'
    )
    bottom = "probabilities" if activation else "scores"
    if activation or named:
        kind = activation or ("Softmax" if "Softmax" in loss else "Sigmoid")
        text += f'layer {{ name: "p" type: "{kind}" bottom: "scores" top: "probabilities" }}\n'
    (tmp_path / "net.prototxt").write_text(text + loss_layer(loss, [bottom, "labels"]))
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "net.caffemodel"))
    arguments = ["--model", tmp_path / "net.prototxt", "--weights", tmp_path / "net.caffemodel", "--threshold", "0.5"]
    arguments += ["--scores", "probabilities"] if named else []
    assert run("evaluate", *arguments, "--json", tmp_path / "all.json") == 0
    figures = json.loads((tmp_path / "all.json").read_text())
    precisions = {row["index"]: row["average_precision"] for row in figures["classes"]}
    assert precisions[1] == 1
    assert precisions[0] == (1 if "Softmax" in loss or activation == "Softmax" else pytest.approx(0.5, abs=0.1))


def test_weights_of_hdf5(trained):
    net = caffe.Net(str(trained.folder / "net.prototxt"), str(trained.folder / "net.caffemodel"), caffe.TEST)
    net.save_hdf5(str(trained.folder / "net.caffemodel.h5"))
    expected = trained.evaluate()["metrics"]
    assert trained.evaluate("--weights", trained.folder / "net.caffemodel.h5")["metrics"] == expected


def test_weights_of_an_older_caffe_whose_blobs_have_four_axes(trained):
    net = caffe.Net(str(trained.folder / "net.prototxt"), str(trained.folder / "net.caffemodel"), caffe.TEST)
    old = caffe_pb2.NetParameter()
    layer = old.layers.add(name="fc", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    for k, (height, width) in enumerate([(CLASSES, FEATURES), (1, CLASSES)]):
        values = net.params["fc"][k].data.ravel().tolist()
        layer.blobs.add(num=1, channels=1, height=height, width=width, data=values)
    (trained.folder / "old.caffemodel").write_bytes(old.SerializeToString())
    expected = trained.evaluate()["metrics"]
    assert trained.evaluate("--weights", trained.folder / "old.caffemodel")["metrics"] == expected


def test_all_metrics(trained, capsys):
    figures = trained.evaluate("--metrics", "all")["metrics"]
    known = ["mAP_interval", "CF1@3", "subset_accuracy", "hamming_loss", "mAP_voc2007", "macro_AUROC", "micro_AUROC"]
    assert {*known, "LRAP", "coverage", "OP", "CR"} <= set(figures)
    low, high = figures["mAP_interval"]
    assert low < figures["mAP"] < high
    text = f"{low:.4f} to {high:.4f}  (95% of 1000 draws of the images, seed 0)"
    assert text in capsys.readouterr().out
