"""Thresholds: as good as any, by trying all; their file; evaluate, predict and the layer with it."""

import itertools
import json

import caffe
import numpy as np
import pytest
from nets import input_layer, loss_layer
from pictures import write_list
from sklearn.metrics import f1_score

from caffe_losses.__main__ import main
from caffe_losses.evaluation import thresholds
from caffe_losses.metrics import MultiLabelMetrics
from caffe_losses.predict import predict_labels


def measured(scores, labels, **options):
    metrics = MultiLabelMetrics(metrics=["mAP"], **options)
    metrics.add(scores, labels)
    return metrics


def f1_of(objective, scores, labels, chosen, kept=None):
    cut = np.array([np.inf if t is None else t for t in chosen])
    given = predict_labels(scores, cut)
    there = labels.any(axis=0)
    if objective == "macro_f1":
        return f1_score(labels[:, there], given[:, there], average="macro", zero_division=0)
    if objective == "micro_f1":
        return f1_score(labels, given, average="micro", zero_division=0)
    rows = labels.any(axis=1)
    return f1_score(labels[rows], given[rows], average="samples", zero_division=0)


def best_of_all(objective, scores, labels):
    """The best of every combination of cuts; F1 = 2 TP / (given + true), as scikit-learn takes too long for all."""
    columns = [[*np.unique(column), np.inf] for column in scores.T]
    given = np.stack([predict_labels(scores, np.array(cuts)) for cuts in itertools.product(*columns)])
    axis = {"macro_f1": 1, "micro_f1": (1, 2), "example_f1": 2}[objective]
    there = labels.any(axis=0) if objective == "macro_f1" else labels.any(axis=1) if objective == "example_f1" else ...
    hits, sizes = (given & labels).sum(axis), given.sum(axis) + np.broadcast_to(labels, given.shape).sum(axis)
    return (2 * hits / sizes).reshape(len(given), -1)[:, there].mean(axis=1).max()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("objective", thresholds.OBJECTIVES)
def test_as_good_as_any(objective, seed):
    random = np.random.RandomState(seed)
    labels = random.rand(9, 3) < 0.4
    labels[0] = True
    scores = (random.randn(9, 3) + labels).round(1).astype(np.float32)  # with ties
    found = f1_of(objective, scores, labels, thresholds.tune(measured(scores, labels), objective, prior=0))
    best = best_of_all(objective, scores, labels)
    assert found <= best + 1e-12
    assert found >= best - (1e-12 if objective == "macro_f1" else 0.03)  # of one class at a time


@pytest.mark.parametrize("objective", thresholds.OBJECTIVES)
def test_no_worse_than_one_threshold_for_all(objective):
    random = np.random.RandomState(0)
    labels = random.rand(300, 12) < np.linspace(0.05, 0.5, 12)
    scores = (random.randn(300, 12) + 1.5 * labels - np.linspace(2, 0, 12)).astype(np.float32)
    found = f1_of(objective, scores, labels, thresholds.tune(measured(scores, labels), objective))
    single = max(f1_of(objective, scores, labels, [t] * 12) for t in np.linspace(-3, 3, 61))
    assert found > single


def test_ignored_labels():
    scores = np.array([[0.1, 2, 0], [0.9, 2, 0], [0.5, 0, 3]], np.float32)
    labels = np.array([[0, 1, 0], [1, 1, 0], [-1, 0, 0]])
    found = thresholds.tune(measured(scores, labels, ignore_label=-1), "macro_f1", prior=0)
    assert found[0] == pytest.approx(0.5)  # between 0.1 and 0.9: the ignored one does not count


def rare(random, images, classes, rate):
    labels = random.rand(images, classes) < rate
    return (random.randn(images, classes) + 2 * labels).astype(np.float32), labels


@pytest.mark.parametrize("objective", thresholds.OBJECTIVES)
def test_a_class_without_positives_has_the_threshold_of_all(objective):
    scores, labels = rare(np.random.RandomState(0), 400, 5, 0.1)
    labels[:, 2] = False
    found = thresholds.tune(measured(scores, labels), objective)
    others = [found[c] for c in (0, 1, 3, 4)]
    assert min(others) - 0.6 < found[2] < max(others) + 0.6  # those of 40 positives each differ by about as much


@pytest.mark.parametrize("objective", thresholds.OBJECTIVES)
def test_few_positives_of_a_class_do_not_mislead(objective):
    """All classes are alike, so that the best thresholds are, too; two in a hundred images have a class."""
    gains = []
    for seed in range(10):
        random = np.random.RandomState(seed)
        tuned, new = rare(random, 100, 30, 0.02), rare(random, 2000, 30, 0.02)
        exact, found = (thresholds.tune(measured(*tuned), objective, prior=prior) for prior in (0, thresholds.PRIOR))
        gains.append(f1_of(objective, *new, found) - f1_of(objective, *new, exact))
    assert np.mean(gains) > 0.008
    assert min(gains) > -0.01


def test_many_positives_of_a_class_are_followed():
    random = np.random.RandomState(0)
    scores, labels = rare(random, 4000, 4, 0.3)
    scores[:, 1] -= 5
    found = thresholds.tune(measured(scores, labels), "macro_f1")
    assert found[1] < found[0] - 4


def test_probabilities_of_scores():
    assert thresholds.probability_of(0, "Sigmoid") == 0.5
    assert thresholds.probability_of(np.log(0.3), "Softmax") == pytest.approx(0.3)
    assert 0 < thresholds.probability_of(-800, "Softmax") < thresholds.probability_of(100, "Sigmoid") < 1
    assert 0 < thresholds.probability_of(-800, "Sigmoid") < thresholds.probability_of(-700, "Sigmoid")
    assert thresholds.probability_of(7, None) == 7


def test_a_file_is_read_as_it_is_written(tmp_path):
    path = str(tmp_path / "thresholds.json")
    names, values = ["dog", 'a "b"', "ß"], [0.25, 1e-7, 0.999999999]
    with open(path, "w", encoding="utf-8") as file:
        file.write(thresholds.text(values, names))
    assert thresholds.read(path, names) == values
    assert thresholds.read(path, names[::-1]) == values[::-1]
    assert MultiLabelMetrics(metrics=["micro_f1"], threshold=path).threshold == values


def test_thresholds_are_in_the_order_of_the_classes(tmp_path):
    (tmp_path / "t.json").write_text('{"sunset": 0, "sea": 0.35, "été": 1}', encoding="utf-8")
    assert thresholds.read(str(tmp_path / "t.json"), ["sea", "été", "sunset"]) == [0.35, 1, 0]


@pytest.mark.parametrize("text, reason", [
    ("sea 0.35", r't.json is no file of thresholds; expected JSON such as {"sea": 0.35, "dog": 0.5}'),
    ('{"sea": 0.35, "dog": 0.5, "sea": 0.5}', "t.json: expected a probability for sea (twice), got null"),
    ("[0.35, 0.5]", "t.json is no file of thresholds"),
    ('{"sea": 0.35}', "t.json has none for ['dog']; give one threshold for each of the 2 classes"),
    ('{"sea": 0.35, "dog": 0.5, "cat": 0.5}', "t.json names ['cat'], which are no classes"),
    ('{"sea": 0.35, "dog": 1.5}', "t.json: expected a probability for dog, got 1.5"),
    ('{"sea": 0.35, "dog": NaN}', "t.json: expected a probability for dog, got NaN"),
    ('{"sea": 0.35, "dog": true}', "t.json: expected a probability for dog, got true"),
    ('{"sea": 0.35, "dog": "0.5"}', 't.json: expected a probability for dog, got "0.5"'),
])  # fmt: skip
def test_what_is_refused(tmp_path, monkeypatch, text, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(ValueError) as refusal:
        thresholds.read("t.json", ["sea", "dog"])
    assert str(refusal.value).startswith(reason)


@pytest.mark.parametrize("makes", ["Sigmoid", "Softmax"])
@pytest.mark.parametrize("scale", [1, 6])
def test_the_file_gives_the_labels_that_were_tuned(makes, scale):
    for seed in range(40):
        random = np.random.RandomState(seed)
        labels = random.rand(40, 6) < np.linspace(0.2, 0.97, 6)  # nearly all images have the last class
        labels[0] = True
        values = (scale * random.randn(40, 6) + 2 * labels).astype(np.float32)
        metrics = measured(values, labels, softmax=makes == "Softmax")
        scores, chosen = metrics.kept[0].scores, thresholds.tune(metrics, "macro_f1")
        p = np.array([0.5 if t is None else thresholds.probability_of(t, makes) for t in chosen])
        read = np.log(p / (1 - p)) if makes == "Sigmoid" else np.log(p)
        best = f1_of("macro_f1", scores, labels, chosen)
        assert f1_of("macro_f1", scores, labels, read) == pytest.approx(best, abs=1e-12)


def test_the_layer_refuses_scores_where_the_file_has_probabilities(tmp_path):
    (tmp_path / "t.json").write_text('{"sea": 0.35, "dog": 0.5}')
    metrics = MultiLabelMetrics(metrics=["micro_f1"], threshold=str(tmp_path / "t.json"))
    metrics.add(np.array([[0.4, 0.4]]), np.array([[1, 0]]))
    assert metrics.values() == {"micro_f1": 1}
    with pytest.raises(ValueError, match=r"scores\[0, 1\] is -2.0; give probabilities, as the file of thresholds"):
        metrics.add(np.array([[0.4, -2]]), np.array([[1, 0]]))


# The commands, on one net

NAMES = ["ant", "bee", "cat", "dog"]
SCORER = (
    'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 4 '
    'weight_filler { type: "gaussian" std: 0.1 } } }\n'
)


@pytest.fixture(scope="module", params=["SigmoidCrossEntropyLoss", "MultiLabelSoftmaxLoss"])
def trained(request, tmp_path_factory):
    """A folder with pictures, a train_val that reads them, and its weights."""
    folder = tmp_path_factory.mktemp("thresholds")
    write_list(folder, 30, 4)
    (folder / "names.txt").write_text("\n".join(NAMES))
    param = {"source": f"{folder}/list.txt", "batch_size": 8, "classes": f"{folder}/names.txt", "scale": 0.01}
    param["workers"] = 1
    data = (
        'layer { name: "data" type: "Python" top: "data" top: "labels" python_param { module: "caffe_losses.layers" '
        f"layer: \"MultiLabelImageData\" param_str: '{json.dumps(param)}' }} }}\n"
    )
    (folder / "net.prototxt").write_text(data + SCORER + loss_layer(request.param, ["scores", "labels"]))
    caffe.set_random_seed(1)
    caffe.Net(str(folder / "net.prototxt"), caffe.TEST).save(str(folder / "net.caffemodel"))
    return folder


def run(command, folder, *words):
    return main([command, "--model", f"{folder}/net.prototxt", "--weights", f"{folder}/net.caffemodel", *words])


def figures(folder, *words):
    fixed = ["--metrics", "macro_f1", "micro_f1", "--json", f"{folder}/figures.json", "--force"]
    assert run("evaluate", folder, *fixed, *words) == 0
    return json.loads((folder / "figures.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["macro_f1", "micro_f1"])
def test_evaluate_is_better_with_the_file_that_it_tuned(trained, objective):
    file = trained / f"{objective}.json"
    before = figures(trained, "--threshold", "0.5", "--tune-thresholds", str(file), "--objective", objective)
    after = figures(trained, "--thresholds", str(file))
    assert after["metrics"][objective] > before["metrics"][objective]
    assert list(json.loads(file.read_text())) == NAMES


@pytest.mark.slow
def test_another_list_than_that_of_the_net(trained, capsys, tmp_path):
    lines = (trained / "list.txt").read_text().splitlines()
    write_lines = "".join(f"{trained}/{line}\n" for line in lines[5:14])
    (tmp_path / "other.txt").write_text(write_lines)
    other = figures(trained, "--image-list", f"{tmp_path}/other.txt")
    assert (other["images"], other["image_list"]) == (9, f"{tmp_path}/other.txt")
    net = (trained / "net.prototxt").read_text()
    (tmp_path / "net.prototxt").write_text(net.replace(f"{trained}/list.txt", f"{tmp_path}/other.txt"))
    expected = figures(trained, "--model", f"{tmp_path}/net.prototxt")
    assert (expected["metrics"], expected["classes"]) == (other["metrics"], other["classes"])
    assert figures(trained)["metrics"] != other["metrics"]
    assert run("evaluate", trained, "--image-list", f"{tmp_path}/none.txt") == 2
    assert "none.txt" in capsys.readouterr().err
    assert run("evaluate", trained, "--image-list", f"{tmp_path}/other.txt", "--json", f"{tmp_path}/other.txt") == 2
    assert "other.txt" in capsys.readouterr().err
    assert (tmp_path / "other.txt").read_text() == write_lines


def test_a_list_is_refused_where_the_classes_may_be_others(trained, capsys, tmp_path):
    without = (trained / "net.prototxt").read_text().replace(f', "classes": "{trained}/names.txt"', "")
    (tmp_path / "net.prototxt").write_text(without)
    arguments = ["--model", f"{tmp_path}/net.prototxt", "--image-list", f"{trained}/list.txt"]
    assert run("evaluate", trained, *arguments) == 2
    expected = f"--image-list: expected a MultiLabelImageData with classes in {tmp_path}/net.prototxt, got "
    assert expected + "one that has no classes" in capsys.readouterr().err
    inputs = input_layer("data", (1, 3, 8, 8)) + input_layer("labels", (1, 4))
    (tmp_path / "net.prototxt").write_text(inputs + without[without.index('layer { name: "fc"') :])
    assert run("evaluate", trained, *arguments) == 2
    assert expected + "none" in capsys.readouterr().err


@pytest.mark.slow
def test_predict_gives_the_labels_that_evaluate_counts(trained, capsys):
    file = str(trained / "predict.json")
    figures(trained, "--tune-thresholds", file)
    hits = {row["name"]: row["recall"] * row["images"] for row in figures(trained, "--thresholds", file)["classes"]}
    rows = [line.split() for line in (trained / "list.txt").read_text().splitlines()]
    capsys.readouterr()
    assert run("predict", trained, "--json", "--thresholds", file, *(f"{trained}/{path}" for path, *_ in rows)) == 0
    lines = capsys.readouterr().out.splitlines()
    answers = [{label["label"] for label in json.loads(line)["labels"]} for line in lines]
    for c, name in enumerate(NAMES):
        right = sum(name in answer for (_, *labels), answer in zip(rows, answers) if str(c) in labels)
        assert right == pytest.approx(hits[name])


@pytest.mark.slow
def test_a_person_may_write_0_and_1(trained):
    (trained / "ends.json").write_text('{"ant": 0, "bee": 1, "cat": 0.5, "dog": 0.5}')
    rows = {row["name"]: row for row in figures(trained, "--thresholds", f"{trained}/ends.json")["classes"]}
    assert rows["ant"]["recall"] == 1


def test_wrong_uses_are_refused(trained, capsys):
    assert run("evaluate", trained, "--objective", "micro_f1") == 2
    assert "--objective: it is of --tune-thresholds" in capsys.readouterr().err
    assert run("evaluate", trained, "--threshold", "0.5", "--thresholds", f"{trained}/names.txt") == 2
    assert "--thresholds and --threshold: expected one of them, got both" in capsys.readouterr().err
