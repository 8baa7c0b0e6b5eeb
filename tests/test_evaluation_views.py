"""Probabilities averaged over crops and mirror images, in evaluate and predict."""

import json
import re
from itertools import product

import caffe
import numpy as np
import pytest
from nets import input_layer, loss_layer
from pictures import picture, write_list
from sklearn.metrics import average_precision_score

from caffe_losses.__main__ import main
from caffe_losses.data import lists
from caffe_losses.evaluation import views
from caffe_losses.evaluation.views import Average

COUNT, CLASSES, SIDE = 11, 3, 8
CROP = {"crop_size": SIDE, "mean_value": 128, "scale": 0.02}
SCORER = (
    'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 3 '
    'weight_filler { type: "gaussian" std: 0.1 } } }\n'
)
LOSSES = {"SigmoidCrossEntropyLoss": "Sigmoid", "MultiLabelSoftmaxLoss": "Softmax"}
EACH_VIEW = {  # of pictures of 12 x 16: rows and columns where the crops start, and whether they are mirrored, too
    (): ([(2, 4)], False),
    ("--mirror",): ([(2, 4)], True),
    ("--crops", "5"): ([(2, 4), (0, 0), (0, 8), (4, 0), (4, 8)], False),
    ("--crops", "5", "--mirror"): ([(2, 4), (0, 0), (0, 8), (4, 0), (4, 8)], True),
}

CASES = [*product(["SigmoidCrossEntropyLoss"], EACH_VIEW), ("MultiLabelSoftmaxLoss", ("--crops", "5", "--mirror"))]


def probabilities(scores, makes):
    if makes == "Sigmoid":
        return 1 / (1 + np.exp(-scores))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# The mean


@pytest.mark.parametrize("makes", ["Softmax", "Sigmoid"])
def test_the_mean_is_that_of_probabilities(makes):
    scores = np.random.RandomState(0).randn(7, 4, 5) * 5
    average = Average(makes)
    for view in scores:
        average.add(view)
    expected = np.mean([probabilities(view, makes) for view in scores], axis=0)
    np.testing.assert_allclose(probabilities(average.scores(), makes), expected, rtol=1e-12)


def test_of_scores_that_no_layer_is_known_for_it_is_that_of_scores():
    average = Average(None)
    for k in range(3):
        average.add(np.full((2, 2), k))
    np.testing.assert_array_equal(average.scores(), np.ones((2, 2)))


def test_one_view_keeps_the_scores_and_extreme_ones_stay_apart():
    scores = np.array([[-1e4, 0, 50, 60, 1e4]])
    average = Average("Sigmoid")
    average.add(scores)
    np.testing.assert_allclose(average.scores(), scores, rtol=1e-12)
    average.add(scores)
    np.testing.assert_allclose(average.scores(), scores, rtol=1e-12)
    average = Average("Softmax")
    average.add(scores)
    np.testing.assert_allclose(np.diff(average.scores()), np.diff(scores), rtol=1e-12)


def test_the_views():
    assert views() is None
    assert len(views(5)) == 5
    assert len(views(5, mirror=True)) == len(set(views(5, mirror=True))) == 10


# In the commands


def data_layer(folder, **more):
    options = dict(CROP, source=str(folder / "list.txt"), classes=CLASSES, batch_size=4, workers=1, **more)
    return (
        'layer { name: "data" type: "Python" top: "data" top: "labels" python_param { module: "caffe_losses.layers" '
        f"layer: \"MultiLabelImageData\" param_str: '{json.dumps(options)}' }} }}\n"
    )


def write_net(folder, loss, **more):
    """The arguments that name a net and its weights."""
    (folder / "net.prototxt").write_text(data_layer(folder, **more) + SCORER + loss_layer(loss, ["scores", "labels"]))
    return ["--model", str(folder / "net.prototxt"), "--weights", str(folder / "net.caffemodel")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("views")
    write_list(place, COUNT, CLASSES)
    (place / "scorer.prototxt").write_text(input_layer("data", (1, 3, SIDE, SIDE)) + SCORER)
    caffe.Net(str(place / "scorer.prototxt"), caffe.TEST).save(str(place / "net.caffemodel"))
    return place


def expected(folder, makes, arguments):
    """The mean probabilities of each picture, with crops cut out by hand."""
    corners, mirror = EACH_VIEW[arguments]
    net = caffe.Net(str(folder / "scorer.prototxt"), str(folder / "net.caffemodel"), caffe.TEST)
    weights, bias = net.params["fc"][0].data, net.params["fc"][1].data
    pictures = [picture(k).transpose(2, 0, 1) for k in range(COUNT)]
    crops = [[image[:, y : y + SIDE, x : x + SIDE] for image in pictures] for y, x in corners]
    crops += [[image[:, :, ::-1] for image in crop] for crop in crops] if mirror else []
    rows = [(np.array(crop).reshape(COUNT, -1) - 128.0) * 0.02 for crop in crops]
    return np.mean([probabilities(row @ weights.T + bias, makes) for row in rows], axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("loss, arguments", CASES)
def test_evaluate(folder, loss, arguments, capsys):
    out = folder / "figures.json"
    fixed = ["evaluate", *write_net(folder, loss), "--json", str(out), "--force"]
    assert main([*fixed, "--threshold", "0.4", *arguments]) == 0
    figures = json.loads(out.read_text())
    images = lists.read(str(folder / "list.txt"), CLASSES)
    labels, means = images.dense(np.arange(COUNT), CLASSES), expected(folder, LOSSES[loss], arguments)
    given = (means >= 0.4) | (means == means.max(axis=1, keepdims=True))
    for row in figures["classes"]:
        c = row["index"]
        assert row["average_precision"] == pytest.approx(average_precision_score(labels[:, c], means[:, c]))
        assert row["precision"] == pytest.approx((given & (labels == 1))[:, c].sum() / max(1, given[:, c].sum()))
    assert figures["images"] == COUNT
    assert (figures["crops"], figures["mirror"]) == (5 if "--crops" in arguments else 1, "--mirror" in arguments)
    corners, mirror = EACH_VIEW[arguments]
    line = f"probabilities are means over {len(corners) * (1 + mirror)} views of each image"
    assert (line in capsys.readouterr().out) == bool(arguments)


@pytest.mark.slow
@pytest.mark.parametrize("loss, arguments", CASES)
def test_predict(folder, loss, arguments, capsys):
    names = [f"{folder}/{k}.png" for k in range(COUNT)]
    assert main(["predict", *write_net(folder, loss), "--json", "--top-k", "3", *arguments, *names]) == 0
    for line, row in zip(capsys.readouterr().out.splitlines(), expected(folder, LOSSES[loss], arguments)):
        labels = {label["index"]: label["probability"] for label in json.loads(line)["labels"]}
        assert [labels[c] for c in range(CLASSES)] == pytest.approx(row.tolist(), rel=1e-5)


@pytest.mark.slow
def test_mirroring_at_random_ends_with_views(folder):
    plain, mirrored = ([], [])
    for figures, mirror in ((plain, False), (mirrored, True)):
        fixed = ["evaluate", *write_net(folder, "MultiLabelSoftmaxLoss", mirror=mirror), "--force"]
        assert main([*fixed, "--crops", "5", "--json", str(folder / "figures.json")]) == 0
        figures.append(json.loads((folder / "figures.json").read_text())["classes"])
    assert plain == mirrored


@pytest.mark.slow
@pytest.mark.parametrize("command, more", [("evaluate", []), ("predict", ["x.png"])])
def test_corners_need_a_crop(folder, command, more, capsys):
    net = write_net(folder, "MultiLabelSoftmaxLoss", crop_size=0, new_height=SIDE, new_width=SIDE)
    assert main([command, *net, "--crops", "5", *more]) == 2
    assert "got no crop_size, which leaves no corners to cut out; give the TEST" in capsys.readouterr().err
    net = write_net(folder, "MultiLabelSoftmaxLoss", crop_scale=[0.5, 1])
    assert main([command, *net, "--crops", "5", *more]) == 2
    assert "got crop_scale, which leaves no corners" in capsys.readouterr().err


@pytest.mark.slow
def test_other_data_layers_are_refused(folder, capsys):
    arguments = write_net(folder, "MultiLabelSoftmaxLoss")
    text = (folder / "net.prototxt").read_text()
    dummy = 'layer { name: "data" type: "DummyData" top: "data" top: "labels" dummy_data_param { shape { dim: 4 dim: 3 '
    dummy += "dim: 8 dim: 8 } shape { dim: 4 dim: 3 } } }\n"
    (folder / "net.prototxt").write_text(dummy + text.split("\n", 1)[1])
    assert main(["evaluate", *arguments, "--mirror", "--iterations", "2"]) == 2
    expected = "--crops and --mirror need MultiLabelImageData as the only data layer of TEST, got data (DummyData)"
    assert expected in capsys.readouterr().err


def test_only_one_and_five_crops(folder, capsys):
    assert main(["predict", *write_net(folder, "MultiLabelSoftmaxLoss"), "--crops", "4", "x.png"]) == 2
    assert re.search("--crops: invalid choice: '?4", capsys.readouterr().err)  # quoted from Python 3.13 on
