"""The command predict: labels of picture files, as the net and its data layer's transform give them."""

import json

import caffe
import numpy as np
import pytest
from nets import input_layer, loss_layer
from pictures import write_list, write_pictures

from caffe_losses.__main__ import main
from caffe_losses.data import Transform
from caffe_losses.evaluation import Predictor

pytestmark = pytest.mark.slow

NAMES = ["ant", "bee", "cat", "dog", "elk", "fox"]
OPTIONS = {"new_height": 11, "new_width": 14, "crop_size": 8, "mean_value": [90, 100, 110], "scale": 0.02}
SCORER = (
    'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 6 '
    'weight_filler { type: "gaussian" std: 0.3 } } }\n'
)


def our_data(folder, **more):
    param = dict(OPTIONS, source=str(folder / "list.txt"), batch_size=2, classes=str(folder / "names.txt"), **more)
    return (
        'layer { name: "data" type: "Python" top: "data" top: "labels" python_param { module: "caffe_losses.layers" '
        f"layer: \"MultiLabelImageData\" param_str: '{json.dumps(param)}' }} }}\n"
    )


def input_data(folder):
    return input_layer("data", (1, 3, 8, 8)) + input_layer("labels", (1, 6))


TRANSFORM = "transform_param { crop_size: 8 mean_value: 90 mean_value: 100 mean_value: 110 scale: 0.02 mirror: true }"
CAFFE_DATA = {
    "ImageData": 'image_data_param { source: "none.txt" batch_size: 2 new_height: 11 new_width: 14 }',
    "Data": 'data_param { source: "none" batch_size: 2 backend: LMDB }',
}


def caffe_data(kind):
    return f'layer {{ name: "data" type: "{kind}" top: "data" top: "labels" {TRANSFORM} {CAFFE_DATA[kind]} }}\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures, a list of them, class names, and weights for 3 x 8 x 8."""
    place = tmp_path_factory.mktemp("predict")
    write_list(place, 20, 6)
    (place / "names.txt").write_text("\n".join(NAMES))
    (place / "scorer.prototxt").write_text(input_layer("data", (1, 3, 8, 8)) + SCORER)
    caffe.Net(str(place / "scorer.prototxt"), caffe.TEST).save(str(place / "net.caffemodel"))
    return place


def scores(folder, paths, **options):
    transform = Transform(**dict(OPTIONS, **options))
    net = caffe.Net(str(folder / "scorer.prototxt"), str(folder / "net.caffemodel"), caffe.TEST)
    weights, bias = net.params["fc"][0].data, net.params["fc"][1].data
    return np.array([weights @ transform(path).ravel() + bias for path in paths], np.float64)


def softmax(s):
    p = np.exp(s - s.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


def predict(folder, data, loss, *arguments, paths):
    (folder / "net.prototxt").write_text(data + SCORER + loss_layer(loss, ["scores", "labels"]))
    fixed = ["--model", str(folder / "net.prototxt"), "--weights", str(folder / "net.caffemodel")]
    return main(["predict", *fixed, *arguments, *paths])


def paths_of(folder, count):
    return [str(folder / f"{k}.png") for k in range(count)]


@pytest.mark.parametrize("loss, probability, is_given", [
    ("MultiLabelSoftmaxLoss", softmax, lambda p: np.argsort(np.argsort(-p)) < 5),
    ("SigmoidCrossEntropyLoss", sigmoid, lambda p: (p >= 0.5) | (p == p.max(axis=1, keepdims=True))),
])  # fmt: skip
def test_probabilities_and_labels_are_those_of_net_and_transform(folder, loss, probability, is_given, capsys):
    paths = paths_of(folder, 20)
    assert predict(folder, our_data(folder), loss, "--json", paths=paths) == 0
    pictures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    p = probability(scores(folder, paths))
    assert [picture["path"] for picture in pictures] == paths
    for picture, row, chosen in zip(pictures, p, is_given(p)):
        labels = picture["labels"]
        assert [label["index"] for label in labels] == [c for c in np.argsort(-row) if chosen[c]]
        assert [label["label"] for label in labels] == [NAMES[label["index"]] for label in labels]
        assert [label["probability"] for label in labels] == pytest.approx(
            [row[label["index"]] for label in labels], rel=1e-4
        )


@pytest.mark.parametrize("kind, more", [("ImageData", []), ("Data", ["--resize", "11,14"])])
def test_caffes_own_data_layers_prepare_pictures_the_same(folder, kind, more, capsys):
    paths = paths_of(folder, 3)
    arguments = ["--classes", str(folder / "names.txt"), *more]
    assert predict(folder, caffe_data(kind), "MultiLabelSoftmaxLoss", *arguments, "--top-k", "2", paths=paths) == 0
    lines = capsys.readouterr().out.splitlines()
    p = softmax(scores(folder, paths))
    for path, line, row in zip(paths, lines, p):
        best = np.argsort(-row)[:2]
        assert line == f"{path}  " + "  ".join(f"{NAMES[c]} {row[c]:.3f}" for c in best)


@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_color_order_is_the_data_layers(folder, color, capsys):
    path = str(folder / "0.png")
    assert predict(folder, our_data(folder, color=color), "MultiLabelSoftmaxLoss", "--json", paths=[path]) == 0
    best = json.loads(capsys.readouterr().out)["labels"][0]["probability"]
    assert best == pytest.approx(softmax(scores(folder, [path], color=color)).max(), rel=1e-4)


def test_at_least_one_label_whatever_the_threshold(folder, capsys):
    paths = paths_of(folder, 5)
    arguments = ["--json", "--threshold", "0.999999"]
    assert predict(folder, our_data(folder), "MultiLabelSoftmaxLoss", *arguments, paths=paths) == 0
    answers = [json.loads(line)["labels"] for line in capsys.readouterr().out.splitlines()]
    assert [[label["index"] for label in labels] for labels in answers] == [
        [c] for c in scores(folder, paths).argmax(axis=1)
    ]


def test_a_broken_picture_is_named_and_the_others_are_done(folder, capsys):
    (folder / "broken.png").write_bytes(b"no picture")
    good = paths_of(folder, 2)
    paths = [good[0], str(folder / "broken.png"), str(folder / "none.png"), good[1]]
    assert predict(folder, our_data(folder), "MultiLabelSoftmaxLoss", paths=paths) == 1
    output = capsys.readouterr()
    assert [line.split()[0] for line in output.out.splitlines()] == good
    first, second = output.err.splitlines()
    assert "broken.png is no image" in first
    assert "none.png" in second


def test_pictures_of_another_size_than_the_first_are_named(folder, tmp_path, capsys):
    small, large = write_pictures(tmp_path, 1, height=8, width=8), str(folder / "0.png")
    data = our_data(folder).replace('"crop_size": 8, ', "").replace('"new_height": 11, "new_width": 14, ', "")
    assert predict(folder, data, "MultiLabelSoftmaxLoss", paths=[str(tmp_path / small[0]), large]) == 1
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 1
    assert "0.png is 3 x 12 x 16 and others are 3 x 8 x 8; give --resize H,W" in output.err


@pytest.mark.parametrize("data, arguments, text", [
    (our_data, ["--weights", "none.caffemodel"], "No such file or directory"),
    (our_data, ["--top-k", "0"], "--top-k: expected a number >= 1, got 0"),
    (our_data, ["--resize", "8"], "--resize: expected H,W, got 8"),
    (our_data, ["--resize", "9,9", "--classes", "two.txt"], "two.txt has 2 names, and the net has 6 classes"),
    (input_data, [], "layer data (Input) does not tell how it made its numbers of pictures"),
])  # fmt: skip
def test_refusals_are_one_line(folder, data, arguments, text, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "two.txt").write_text("a\nb\n")
    assert predict(folder, data(folder), "MultiLabelSoftmaxLoss", *arguments, paths=["0.png"]) == 2
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert text in line
    assert not output.out


def test_a_prediction_has_probabilities_or_an_error(folder):
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "net.prototxt").write_text(our_data(folder) + SCORER + loss_layer("AsymmetricLoss", ["scores", "labels"]))
    predictor = Predictor(str(folder / "net.prototxt"), str(folder / "net.caffemodel"))
    paths = [*paths_of(folder, 20), str(folder / "broken.png")]
    *good, broken = predictor.predict(paths)
    assert [prediction.path for prediction in (*good, broken)] == paths
    assert [prediction.error for prediction in good] == [None] * 20
    np.testing.assert_allclose(
        [prediction.probabilities for prediction in good], sigmoid(scores(folder, paths[:20])), rtol=1e-4, atol=1e-7
    )
    assert broken.probabilities is None
    assert broken.error == f"{folder}/broken.png is no image that can be decoded, or not all of one"
    best = predictor.labels(good[0], top_k=1)
    assert best == [(NAMES[best[0].index], good[0].probabilities.argmax(), good[0].probabilities.max())]
