"""The contracts again, through a real caffe.Net in float32; parity with C++; the host's rules; refusals."""

import json
import tracemalloc
import warnings

import caffe
import h5py
import numpy as np
import pytest
import reference
from nets import caffe_program, fill, input_layer, loss_layer, loss_net, net, run
from registry import CASES, Case, build, case_id, inputs, settings

from caffe_losses import kernels, losses

pytestmark = pytest.mark.usefixtures("arithmetic")

each_case = pytest.mark.parametrize("case", CASES, ids=case_id)
each_loss = pytest.mark.parametrize("loss", [getattr(losses, n) for n in losses.__all__], ids=lambda x: x.__name__)


def params(case, **more):
    return dict(case.options, axis=case.axis, **more)


@each_case
def test_is_its_formula_times_loss_weight(case):
    scores, labels = inputs(case, dtype=np.float32)
    loss = build(case)
    expected, gradient = reference.reduce(loss.name(), scores, labels, **settings(loss))
    value, diff = run(loss_net(loss.name(), scores, labels, param=params(case), loss_weight=3.7))
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(diff, 3.7 * gradient, rtol=0, atol=2e-6 * 3.7 * np.abs(gradient).max() + 1e-12)


@each_loss
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_weights_more_tops_and_phase(loss, phase):
    case = Case(loss, {}, (4, 5, 2), 1)
    scores, labels = inputs(case, dtype=np.float32)
    weights = [np.arange(8, dtype=np.float32).reshape(4, 2)] * loss.row_weights
    tops = ["loss"] + ["probabilities"] * loss.has_probabilities + ["losses"] * loss.row_weights
    one = loss_net(loss.__name__, scores, labels, *weights, phase=phase, tops=tops)
    value, diff = run(one)
    expected, gradient = build(case)(scores, labels, *weights)
    assert value == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(diff, gradient)
    if loss.has_probabilities:
        of_row = reference.softmax if loss is losses.MultiLabelSoftmaxLoss else lambda row: map(reference.sigmoid, row)
        rows = np.moveaxis(scores, 1, 2).reshape(-1, 5).tolist()
        found = np.moveaxis(one.blobs["probabilities"].data, 1, 2).reshape(-1, 5)
        np.testing.assert_allclose(found, [list(of_row(row)) for row in rows], rtol=1e-6)
    if loss.row_weights:
        expected = build(case, reduction="none")(scores, labels, *weights)[0]
        np.testing.assert_array_equal(one.blobs["losses"].data, expected)


@each_loss
def test_indices(loss):
    scores = inputs(Case(loss, {}, (3, 5), 1), dtype=np.float32)[0]
    indices = np.array([[4, 0, -1], [-1, -1, -1], [2, -1, 3]], np.float32)
    value, diff = run(loss_net(loss.__name__, scores, indices, param={"label_format": "INDEX"}))
    expected, gradient = loss(label_format="INDEX")(scores, indices)
    assert value == np.float32(expected)
    np.testing.assert_array_equal(diff, gradient)


@each_loss
def test_reshape_between_batches(loss):
    one = None
    for shape in [(4, 5), (2, 5), (7, 3), (2, 3, 4, 2), (4, 5)]:
        case = Case(loss, {}, shape, 1)
        scores, labels = inputs(case, dtype=np.float32)
        one = one or loss_net(loss.__name__, scores, labels)
        fill(one, scores=scores, labels=labels)
        value, diff = run(one)
        expected, gradient = build(case)(scores, labels)
        assert value == np.float32(expected)
        np.testing.assert_array_equal(diff, gradient)


def test_two_heads_share_a_blob():
    softmax, sigmoid = losses.MultiLabelSoftmaxLoss, losses.SigmoidCrossEntropyLoss
    scores, labels = inputs(Case(softmax, {}, (6, 5), 1), dtype=np.float32)
    text = input_layer("scores", scores.shape) + input_layer("labels", labels.shape)
    text += loss_layer("MultiLabelSoftmaxLoss", ["scores", "labels"], ["a"], 0.3, name="a")
    text += loss_layer("SigmoidCrossEntropyLoss", ["scores", "labels"], ["b"], 2, name="b")
    one = net(text)
    fill(one, scores=scores, labels=labels)
    for _ in range(2):
        diff = run(one, "a")[1]
        expected = 0.3 * softmax()(scores, labels)[1] + 2 * sigmoid()(scores, labels)[1]
        np.testing.assert_allclose(diff, expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(one.blobs["scores"].data, scores)
        np.testing.assert_array_equal(one.blobs["labels"].data, labels)


@pytest.mark.parametrize(
    "loss",
    [getattr(losses, name) for name in losses.__all__ if getattr(losses, name).row_weights],
    ids=lambda loss: loss.__name__,
)
def test_force_backward_writes_zeros_for_labels_and_weights(loss):
    scores, labels = inputs(Case(loss, {}, (6, 5), 1), dtype=np.float32)
    one = loss_net(loss.__name__, scores, labels, np.ones(6, np.float32))
    one.blobs["labels"].diff[...] = one.blobs["weights"].diff[...] = 7
    one.forward()
    one.backward()
    assert (one.blobs["labels"].diff == 0).all()
    assert (one.blobs["weights"].diff == 0).all()


@pytest.mark.parametrize("asked", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)])
def test_only_gradients_that_are_asked_for_are_written(asked):
    scores, labels = inputs(Case(losses.HillLoss, {}, (6, 5), 1), dtype=np.float32)
    arrays = {"scores": scores, "labels": labels, "weights": np.ones(6, np.float32)}
    text = "".join(input_layer(f"given {name}", array.shape) for name, array in arrays.items())
    for name in arrays:  # learned, or Caffe would ask for nothing
        text += (
            f'layer {{ name: "{name}" type: "Scale" bottom: "given {name}" top: "{name}" scale_param {{ axis: 0 }} }}'
        )
    asked_for = " ".join(f"propagate_down: {str(bool(wanted)).lower()}" for wanted in asked)
    text += loss_layer("HillLoss", list(arrays)).rstrip()[:-1] + asked_for + " }"
    one = net(text, force_backward=False)
    fill(one, **{f"given {name}": array for name, array in arrays.items()})
    for name in arrays:
        one.blobs[name].diff[...] = 7
    one.forward()
    one.backward()
    written = {"scores": losses.HillLoss()(scores, labels)[1], "labels": 0, "weights": 0}
    for name, wanted in zip(arrays, asked):
        np.testing.assert_array_equal(
            one.blobs[name].diff, np.broadcast_to(written[name] if wanted else 7, arrays[name].shape)
        )


def test_the_loss_may_be_consumed_by_another_layer():
    scores, labels = inputs(Case(losses.MultiLabelSoftmaxLoss, {}, (6, 5), 1), dtype=np.float32)
    text = input_layer("scores", scores.shape) + input_layer("labels", labels.shape)
    text += loss_layer("MultiLabelSoftmaxLoss", ["scores", "labels"], loss_weight=None)
    text += 'layer { name: "half" type: "Power" bottom: "loss" top: "half" loss_weight: 3 power_param { scale: 0.5 } }'
    one = net(text)
    fill(one, scores=scores, labels=labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a top diff of 0, which there is until "half" has had its first backward
        value, diff = run(one, "half")
        value, diff = run(one, "half")
    expected, gradient = losses.MultiLabelSoftmaxLoss()(scores, labels)
    assert value == pytest.approx(expected / 2)
    np.testing.assert_allclose(diff, 1.5 * gradient, rtol=1e-6)


# The same numbers as C++


def cpp_net(layer, scores, labels, loss_param, loss_weight):
    text = input_layer("scores", scores.shape) + input_layer("labels", labels.shape)
    text += (
        f'layer {{ name: "loss" type: "{layer}" bottom: "scores" bottom: "labels" top: "loss" '
        f"loss_weight: {loss_weight} loss_param {{ {loss_param} }} propagate_down: true propagate_down: false }}"
    )
    one = net(text)
    fill(one, scores=scores, labels=labels)
    return one


NORMALIZATIONS = ["FULL", "VALID", "BATCH_SIZE", "NONE"]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("ignore_label", [None, -1, 1])
@pytest.mark.parametrize("shape", [(8, 20), (2, 5, 4, 3)])
def test_equals_cpp_sigmoid_cross_entropy(normalization, ignore_label, shape):
    random = np.random.RandomState(0)
    scores = (3 * random.randn(*shape)).astype(np.float32)
    labels = random.randint(-1 if ignore_label == -1 else 0, 2, shape).astype(np.float32)
    options = {"normalization": normalization, "ignore_label": ignore_label}
    ours = run(loss_net("SigmoidCrossEntropyLoss", scores, labels, param=options, loss_weight=3.7))
    param = f"normalization: {normalization} " + (f"ignore_label: {ignore_label}" if ignore_label is not None else "")
    assert_equal(ours, run(cpp_net("SigmoidCrossEntropyLoss", scores, labels, param, 3.7)))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("ignore_label", [None, 2])
@pytest.mark.parametrize("shape", [(8, 20), (2, 5, 4, 3)])
@pytest.mark.parametrize("label_format", ["DENSE", "INDEX"])
def test_equals_cpp_softmax_with_loss(normalization, ignore_label, shape, label_format):
    random = np.random.RandomState(0)
    scores = (3 * random.randn(*shape)).astype(np.float32)
    classes = random.randint(0, shape[1], shape[:1] + shape[2:])
    if label_format == "INDEX":
        labels = classes.astype(np.float32)
        options = {"ignore_label": ignore_label}
    else:
        labels = (np.arange(shape[1]).reshape((-1,) + (1,) * (len(shape) - 2)) == classes[:, None]).astype(np.float32)
        if ignore_label is not None:
            labels[np.broadcast_to((classes == ignore_label)[:, None], shape)] = 9
        options = {"ignore_label": None if ignore_label is None else 9}
    options.update(normalization=normalization, label_format=label_format)
    ours = run(loss_net("MultiLabelSoftmaxLoss", scores, labels, param=options, loss_weight=3.7))
    param = f"normalization: {normalization} " + (f"ignore_label: {ignore_label}" if ignore_label is not None else "")
    assert_equal(ours, run(cpp_net("SoftmaxWithLoss", scores, classes.astype(np.float32), param, 3.7)))


def assert_equal(ours, theirs):
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    scale = np.abs(theirs[1]).max()  # C++ takes a probability in float32 from a label: one rounding of either
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6, atol=2e-7 * scale)


def test_the_second_top_is_caffes_softmax_and_sigmoid():
    random = np.random.RandomState(0)
    scores, labels = random.randn(4, 6).astype(np.float32), random.randint(-1, 2, (4, 6)).astype(np.float32)
    scores[0, :2] = 89, 100  # e^89 is infinite in float32
    for layer, cpp in (("MultiLabelSoftmaxLoss", "Softmax"), ("SigmoidCrossEntropyLoss", "Sigmoid")):
        text = input_layer("scores", (4, 6)) + input_layer("labels", (4, 6))
        text += loss_layer(layer, ["scores", "labels"], ["loss", "p"], param={"ignore_label": -1})
        one = net(text + f'layer {{ name: "cpp" type: "{cpp}" bottom: "scores" top: "cpp" }}', force_backward=False)
        fill(one, scores=scores, labels=labels)
        one.forward()
        np.testing.assert_allclose(one.blobs["p"].data, one.blobs["cpp"].data, rtol=1e-6)


@pytest.mark.parametrize("tops", [["scores"], ["loss", "labels"], ["loss", "p", "weights"]])
def test_a_top_that_is_a_bottom_is_refused(tops):
    """Backward reads scores and labels again: the loss was right, and its gradient another one."""
    text = input_layer("scores", (4, 1)) + input_layer("labels", (4, 1)) + input_layer("weights", (4,))
    with pytest.raises(ValueError, match=r"top (\d) is bottom \1; give the top a name of its own"):
        net(text + loss_layer("SigmoidCrossEntropyLoss", ["scores", "labels", "weights"], tops))


def test_exact_ignore_where_cpp_truncates():
    """C++ drops every soft label below 1 for ignore_label 0; we drop the zeros."""
    scores, labels = np.zeros((1, 4), np.float32), np.array([[0, 0.5, 0.9, 1]], np.float32)
    diff = run(loss_net("SigmoidCrossEntropyLoss", scores, labels, param={"ignore_label": 0}))[1]
    np.testing.assert_allclose(diff, [[0, 0, -0.4, -0.5]], atol=1e-7)


# Refusals: the text, and the type, as they arrive from caffe.Net

N, C = 8, 20
SCORES, LABELS = np.zeros((N, C), np.float32), np.zeros((N, C), np.float32)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


SETUP_REFUSALS = [
    ({"param": "[1]"}, "expected param_str to be a JSON object or a Python dict, got '[1]'; write e.g."),
    ({"param": "__import__('os')"}, "expected param_str to be a JSON object"),
    ({"param": {"normalisation": "FULL"}}, "got 'normalisation'; did you mean normalization?"),
    ({"param": {"reduce": 1}}, "expected parameters among axis, label_format"),
    ({"param": {"axis": 1.5}}, "axis must be a whole number, got 1.5; the default is 1"),
    ({"param": {"axis": 2}}, "axis 2 for scores (8, 20); give an axis that they have"),
    ({"param": {"normalization": "full"}}, "must be one of FULL, VALID, BATCH_SIZE, NONE, got 'full'"),
    ({"param": {"ignore_label": "x"}}, "ignore_label must be a finite number, or null, got 'x'"),
    ({"param": {"class_weight": [1, 2]}}, "class_weight has 2 numbers for 20 classes; give one for all or one each"),
    ({"param": {"class_weight": [-1] * 20}}, "class_weight must be a number in [0, 1e6], a list of one a class"),
    ({"param": {"class_weight": "no.npy"}}, "No such file"),
    ({"param": {"label_smoothing": 1}}, "label_smoothing must be a number in [0, 1), got 1"),
    ({"labels": np.zeros((N, C - 1))}, "scores (8, 20) and labels (8, 19) differ; both need one value per class"),
    ({"labels": np.zeros((C, N))}, "scores (8, 20) and labels (20, 8) differ"),
    ({"labels": np.zeros(3), "param": {"label_format": "INDEX"}}, "INDEX labels (3,) do not fit; give K class"),
    ({"weights": np.zeros(3)}, "weights (3,) for scores (8, 20); give one a row, 8 in all"),
    ({"tops": ["loss", "p", "q", "r"]}, "4 tops; give the loss and, optionally, the "),
    ({"param": {"reduction": "none"}}, "expected parameters among axis, "),
]


@each_loss
@pytest.mark.parametrize("given, text", SETUP_REFUSALS, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_refuses_at_setup(loss, given, text):
    if not loss.row_weights and "weights" in given:
        text = "weights (3,); expected none, as the loss is not a sum over rows; leave them out"
    if {"class_weight", "label_smoothing"} & set(given.get("param", ())) - {option.name for option in loss.options}:
        text = "expected parameters among axis, label_format, ignore_label, normalization"
    given = dict({"scores": SCORES, "labels": LABELS}, **given)
    with pytest.raises(ValueError, match=f"^{loss.__name__}: ") as error:
        loss_net(loss.__name__, **given)
    assert text in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@each_loss
@pytest.mark.parametrize("bottoms", [["scores"], ["scores", "labels", "labels", "labels"]], ids=len)
def test_refuses_a_wrong_number_of_bottoms(loss, bottoms):
    text = input_layer("scores", (2, 3)) + input_layer("labels", (2, 3))
    with pytest.raises(ValueError, match=f"^{loss.__name__}: {len(bottoms)} bottoms; give scores, labels and"):
        net(text + loss_layer(loss.__name__, bottoms))


SOFTMAX, SIGMOID = "MultiLabelSoftmaxLoss", "SigmoidCrossEntropyLoss"
INDEX = {"label_format": "INDEX"}
AT = (3, 17)
FORWARD_REFUSALS = [
    (SOFTMAX, {"labels": changed(LABELS, AT, -1)}, "labels[3, 17] is -1.0 (row 3, class 17); give numbers in [0, 1"),
    (SOFTMAX, {"labels": changed(LABELS, AT, np.inf)}, "labels[3, 17] is inf (row 3, class 17); give numbers in"),
    (SOFTMAX, {"labels": changed(LABELS, AT, np.nan)}, "labels[3, 17] is nan (row 3, class 17); give numbers in"),
    (SIGMOID, {"labels": changed(LABELS, AT, 255)}, "labels[3, 17] is 255.0 (row 3, class 17); give numbers in [0, 1]"),
    (SIGMOID, {"labels": changed(LABELS, AT, np.nan)}, "labels[3, 17] is nan (row 3, class 17); give numbers in"),
    (SOFTMAX, {"labels": np.full((N, 2), 20), "param": INDEX}, "labels[0, 0] is 20.0 (row 0); give whole numbers in"),
    (SOFTMAX, {"labels": np.full((N, 2), 0.5), "param": INDEX}, "labels[0, 0] is 0.5 (row 0); give whole numbers"),
    (SOFTMAX, {"labels": np.full((N, 2), np.nan), "param": INDEX}, "labels[0, 0] is nan (row 0); give whole numbers"),
    (SIGMOID, {"labels": np.full((N, 2), 7), "param": INDEX}, "labels[0, 0] is 7.0 (row 0); give each class of"),
    (SOFTMAX, {"weights": changed(np.ones(N), 5, -2)}, "weights[5] is -2.0 (row 5); give numbers in [0, 1e+06]"),
    (SOFTMAX, {"weights": changed(np.ones(N), 5, np.nan)}, "weights[5] is nan (row 5); give numbers in [0, 1e+06]"),
    (SOFTMAX, {"scores": changed(SCORES, AT, np.nan)}, "is not finite: scores[3, 17] is nan (row 3, class 17)"),
    (SIGMOID, {"scores": changed(SCORES, AT, -np.inf)}, "is not finite: scores[3, 17] is -inf (row 3, class 17)"),
    (SIGMOID, {"scores": SCORES + 3e38}, "is not finite in float32: scores[0, 0] is 3e+38 (row 0, class 0)"),
]  # fmt: skip


@pytest.mark.parametrize("layer, given, text", FORWARD_REFUSALS)
def test_refuses_at_forward(layer, given, text):
    all_positive = changed(LABELS, (slice(None), 17), 1)
    one = loss_net(layer, **dict({"scores": SCORES, "labels": all_positive}, **given))
    with pytest.raises(ValueError, match=f"^{layer}: ") as error:
        one.forward()
    assert text in str(error.value)
    assert len(str(error.value).splitlines()) == 1


# Training, by the caffe program

SOLVER = """net: "net.prototxt" base_lr: {rate} lr_policy: "fixed" max_iter: 60 display: 10 snapshot: 30
snapshot_prefix: "snap" solver_mode: CPU random_seed: 1"""


@pytest.fixture
def training(tmp_path):
    """A folder with data, a net and a solver to train it; some of its rows have no label."""
    random = np.random.RandomState(0)
    data = random.randn(200, 10).astype(np.float32)
    labels = (data.dot(random.randn(10, 6)) > 2).astype(np.float32)
    assert (labels.sum(1) == 0).any()
    with h5py.File(str(tmp_path / "data.h5"), "w") as file:
        file.update(data=data, labels=labels)
    (tmp_path / "data.txt").write_text("data.h5\n")
    write_training(tmp_path)
    return tmp_path


def write_training(folder, rate=0.5, **loss):
    text = 'layer { name: "data" type: "HDF5Data" top: "data" top: "labels" hdf5_data_param '
    text += '{ source: "data.txt" batch_size: 20 } }\n'
    text += 'layer { name: "scores" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param '
    text += '{ num_output: 6 weight_filler { type: "xavier" } } }\n'
    layer = loss.pop("layer", "MultiLabelSoftmaxLoss")
    (folder / "net.prototxt").write_text(text + loss_layer(layer, ["scores", "labels"], **loss))
    (folder / "solver.prototxt").write_text(SOLVER.format(rate=rate))


def logged_losses(output):
    return [float(line.split("loss = ")[1].split()[0]) for line in output.splitlines() if ", loss = " in line]


@pytest.mark.slow
@each_loss
def test_training_lowers_the_loss(training, loss):
    write_training(training, layer=loss.__name__)
    if not loss.has_probabilities:
        text = (training / "net.prototxt").read_text()
        squash = 'layer { name: "squash" type: "Sigmoid" bottom: "scores" top: "p" }\n'
        head, tail = text.rsplit("layer {", 1)
        (training / "net.prototxt").write_text(head + squash + "layer {" + tail.replace('"scores"', '"p"'))
    values = logged_losses(caffe_program("train", "--solver=solver.prototxt", cwd=training).stdout)
    assert values[-1] < 0.8 * values[0]


@pytest.mark.slow
def test_training_resumes(training):
    first = logged_losses(caffe_program("train", "--solver=solver.prototxt", cwd=training).stdout)
    resumed = caffe_program("train", "--solver=solver.prototxt", "--snapshot=snap_iter_30.solverstate", cwd=training)
    assert logged_losses(resumed.stdout)[-1] == pytest.approx(first[-1], rel=1e-4)


@pytest.mark.slow
def test_caffe_train_stops_at_bad_labels_and_keeps_its_snapshot(training):
    caffe_program("train", "--solver=solver.prototxt", cwd=training)
    snapshot = (training / "snap_iter_30.caffemodel").read_bytes()
    with h5py.File(str(training / "data.h5"), "r+") as file:
        file["labels"][7, 2] = -5
    failed = caffe_program("train", "--solver=solver.prototxt", cwd=training, check=False)
    assert failed.returncode == 1
    assert "MultiLabelSoftmaxLoss: labels[7, 2] is -5.0 (row 7, class 2); give numbers in [0, 1e+06]" in failed.stdout
    assert (training / "snap_iter_30.caffemodel").read_bytes() == snapshot


@pytest.mark.slow
def test_caffe_train_stops_at_divergence_and_names_the_score(training):
    write_training(training, rate=1e38, layer="SigmoidCrossEntropyLoss")
    failed = caffe_program("train", "--solver=solver.prototxt", cwd=training, check=False)
    assert failed.returncode == 1
    assert "SigmoidCrossEntropyLoss: the loss is " in failed.stdout
    assert "scores[" in failed.stdout


@pytest.mark.slow
def test_caffe_train_warns_once_without_a_loss_weight(training):
    write_training(training, loss_weight=None)
    log = caffe_program("train", "--solver=solver.prototxt", cwd=training).stdout
    text = "MultiLabelSoftmaxLoss: the top diff is 0 in the TRAIN phase, so that nothing is learnt from this loss"
    assert log.count(text) == 1
    write_training(training)
    assert text not in caffe_program("train", "--solver=solver.prototxt", cwd=training).stdout


def test_param_str_may_be_a_python_literal():
    scores, labels = inputs(Case(losses.MultiLabelSoftmaxLoss, {}, (6, 5), 1), dtype=np.float32)
    as_json = run(loss_net("MultiLabelSoftmaxLoss", scores, labels, param=json.dumps({"label_scale": "SUM"})))
    as_python = run(loss_net("MultiLabelSoftmaxLoss", scores, labels, param="{'label_scale': 'SUM', 'axis': -1}"))
    assert as_json[0] == as_python[0]


@pytest.mark.parametrize("label_format", ["DENSE", "INDEX"])
@each_loss
def test_an_iteration_allocates_nothing_of_the_blobs_size(loss, label_format):
    if kernels.level() == "numpy":
        return  # whole arrays are the formula's way
    random = np.random.RandomState(0)
    scores = random.rand(256, 17000).astype(np.float32)
    indices = random.randint(0, 8500, (256, 2)) * 2 + [0, 1]
    labels = np.zeros_like(scores)
    labels[np.arange(256)[:, None], indices] = 1
    labels = labels if label_format == "DENSE" else indices.astype(np.float32)
    layer = loss(label_format=label_format)
    diff = np.empty_like(scores)
    tracemalloc.start()
    layer.reshape(scores.shape, labels.shape)
    layer.forward(scores, labels)
    layer.backward(1.0, diff)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    layer.forward(scores, labels)
    layer.backward(1.0, diff)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept < scores.nbytes / 20
    assert peak - kept < 1e5
