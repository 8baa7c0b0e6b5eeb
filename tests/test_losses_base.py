"""What base.py does for all losses: the border, copies, forks, scores that are not finite, reduction."""

import copy
import os
import pickle
import threading

import numpy as np
import pytest
from registry import CASES, build, case_id, inputs

import caffe_losses
from caffe_losses import losses

pytestmark = pytest.mark.usefixtures("arithmetic")

LOSSES = [getattr(losses, name) for name in losses.__all__]
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
each_weighted = pytest.mark.parametrize("case", [case for case in CASES if case.loss.row_weights], ids=case_id)

# The border: what `reshape` was told


def zeros(shape=(2, 3), dtype=np.float32, **more):
    return np.zeros(shape, dtype, **more)


def read_only():
    array = zeros()
    array.flags.writeable = False
    return array


def not_aligned():
    return zeros(25, np.uint8)[1:].view(np.float32).reshape(2, 3)


WRONG = [
    (lambda: zeros(dtype=np.float64), r"got float64 \(2, 3\), expected float32 \(2, 3\), C-contiguous, aligned"),
    (lambda: zeros((1, 2)), r"got float32 \(1, 2\), expected float32 \(2, 3\)"),
    (lambda: zeros((3, 2)), r"got float32 \(3, 2\), expected float32 \(2, 3\)"),
    (lambda: zeros(order="F"), r"got float32 \(2, 3\), not C-contiguous, expected"),
    (lambda: zeros((2, 6))[:, ::2], r"got float32 \(2, 3\), not C-contiguous, expected"),
    (lambda: zeros(dtype=">f4"), r"got >f4 \(2, 3\), expected float32"),
    (not_aligned, r"got float32 \(2, 3\), not aligned, expected"),
    (lambda: [[0, 0, 0], [0, 0, 0]], "got list, expected float32"),
    (lambda: 0, "got int, expected float32"),
]


def refused(function, *arguments, **named):
    with pytest.raises(ValueError) as error:
        function(*arguments, **named)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.fixture
def loss():
    """A sigmoid loss after its reshape."""
    loss = losses.SigmoidCrossEntropyLoss()
    loss.reshape((2, 3), (2, 3), (2,))
    return loss


@pytest.mark.parametrize("wrong, text", WRONG, ids=lambda x: x[:24] if isinstance(x, str) else "")
def test_arrays_that_reshape_was_not_told_are_refused(loss, wrong, text):
    arrays = {"scores": zeros(), "labels": zeros(), "weights": zeros(2)}
    for name in arrays:
        here = "got " if name == "weights" else text  # these are wrong in their shape, too
        with pytest.raises(ValueError, match=f"^SigmoidCrossEntropyLoss: {name}: {here}.*; give such an array, or"):
            loss.forward(**dict(arrays, **{name: wrong()}))
    for name in ("probabilities", "losses"):
        with pytest.raises(ValueError, match=f"^SigmoidCrossEntropyLoss: {name}: {text}.* writable; give np.empty"):
            loss.forward(**arrays, **{name: wrong()})
    loss.forward(**arrays)
    with pytest.raises(ValueError, match=f"^SigmoidCrossEntropyLoss: out: {text}.* writable; give np.empty"):
        loss.backward(1.0, wrong())


def test_inputs_may_be_read_only_and_outputs_may_not(loss):
    loss.forward(read_only(), read_only(), zeros(2))
    text = "out: got float32 (2, 3), read-only, expected float32 (2, 3), C-contiguous, aligned and writable; give np."
    assert text in refused(loss.backward, 1.0, read_only())
    assert loss.backward(1.0, zeros()).tolist() == [[0, 0, 0], [0, 0, 0]]  # of weights of 0


def test_weights_are_there_if_reshape_was_told_of_them(loss):
    assert "weights: got NoneType, expected float32 (2,), C-" in refused(loss.forward, zeros(), zeros())
    loss.reshape((2, 3), (2, 3))
    assert "weights: got float32 (2,), expected none; give" in refused(loss.forward, zeros(), zeros(), zeros(2))


def test_a_forward_needs_a_reshape(loss):
    fresh = losses.SigmoidCrossEntropyLoss()
    assert "forward has no reshape that it belongs to" in refused(fresh.forward, zeros(), zeros())
    refused(loss.reshape, (2, 3), (2, 4))
    assert "forward has no reshape that it belongs to" in refused(loss.forward, zeros(), zeros())


@each_loss
def test_a_call_takes_arrays_of_any_layout(loss):
    random = np.random.RandomState(0)
    scores, labels = random.rand(4, 5), (random.rand(4, 5) < 0.4) * 1.0
    expected = loss()(scores, labels)
    memory = np.zeros(scores.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(4, 5)
    memory[...] = scores
    for other in (np.asfortranarray(scores), np.repeat(scores, 2, axis=1)[:, ::2], scores.astype(">f8"), memory):
        found = loss()(other, np.asfortranarray(labels))
        assert found[0] == expected[0]
        np.testing.assert_array_equal(found[1], expected[1])


STRANGE_SHAPES = [(2, -3), (-2, -3), (2, 3.0), (2.5, 4), (2, "3"), 6, None]


@each_loss
@pytest.mark.parametrize("shape", STRANGE_SHAPES, ids=str)
def test_what_is_no_shape_is_refused(loss, shape):
    for k, name in enumerate(["scores", "labels"] + ["weights"] * loss.row_weights):
        shapes = [(2, 3), (2, 3), (2,)]
        shapes[k] = shape
        if name == "weights" and shape is None:
            continue
        one = loss()
        one.reshape((2, 4), (2, 4))
        expected = f"{loss.__name__}: {name} {shape!r}: expected a shape, whole numbers >= 0; give that of the array"
        assert refused(one.reshape, *shapes[: max(2, k + 1)]) == expected
        assert "forward has no reshape" in refused(one.forward, zeros(), zeros())


@each_loss
def test_shapes_that_no_memory_holds_are_refused(loss):
    for shape in ((10**9, 10**9), (2**62, 4), (3, 2**50)):
        text = (
            f"{loss.__name__}: scores {shape}: {shape[0] * shape[1]} numbers, more than fit into any memory; give fewer"
        )
        assert refused(loss().reshape, shape, shape).startswith(text)
    try:  # what is kept of a row is more than this machine has, where the formula keeps nothing
        loss().reshape((2**45, 1), (2**45, 1))
    except MemoryError as error:
        assert str(error) == f"{loss.__name__}: no memory left for scores ({2**45}, 1); give fewer rows"


def test_a_type_that_is_no_real_one_is_refused(loss):
    for dtype in (np.int8, np.float16, "f16", "no type", None.__class__):
        text = f"SigmoidCrossEntropyLoss: dtype is {dtype!r}; give np.float32 or np.float64"
        assert refused(loss.reshape, (2, 3), (2, 3), None, dtype) == text


NO_NUMBERS = {
    "complex": (np.ones((2, 3)) + 1j, r"complex128 \(2, 3\); give real numbers"),
    "text": (np.ones((2, 3)).astype(str), r"<U32 \(2, 3\); give real numbers"),
    "dates": (np.ones((2, 3)).astype("M8[s]"), r"datetime64\[s\] \(2, 3\); give real numbers"),
    "objects": ([[None, 1, 2], [1, 2, 3]], r"object \(2, 3\); give real numbers"),
    "records": (np.zeros((2, 3), "f4,f4"), r"\[.*\] \(2, 3\); give real numbers"),
    "masked": (
        np.ma.array(np.ones((2, 3)), mask=np.eye(2, 3)),
        r"a masked one; give \w+.filled\(VALUE\), and for labels ign",
    ),
    "masked, nowhere": (np.ma.array(np.ones((2, 3))), "a masked one; give "),
}


@each_loss
@pytest.mark.parametrize("array, text", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_arrays_of_what_are_no_numbers_are_refused(loss, array, text):
    """numpy would make numbers of them, and say so in a warning at most."""
    right = np.full((2, 3), 0.5)
    for name, arrays in (("scores", [array, right]), ("labels", [right, array]), ("weights", [right, right, array])):
        with pytest.raises(ValueError, match=f"^{loss.__name__}: {name}: expected an array of numbers, got {text}"):
            loss()(*arrays)


def test_lists_that_are_no_array_are_refused():
    with pytest.raises(ValueError, match=r"^HillLoss: labels: expected an array of numbers, got .*; give r"):
        losses.HillLoss()(zeros(), [[1, 0, 1], [1, 0]])


def test_a_forward_refuses_a_masked_array(loss):
    arrays = {"scores": zeros(), "labels": zeros(), "weights": zeros(2)}
    for name in arrays:
        text = refused(loss.forward, **dict(arrays, **{name: np.ma.array(arrays[name])}))
        assert text.startswith(f"SigmoidCrossEntropyLoss: {name}: expected an array of numbers, got a masked one")
    loss.forward(**arrays)
    assert "out: expected an array of numbers, got a masked one" in refused(loss.backward, 1.0, np.ma.array(zeros()))


def test_a_top_diff_is_one_finite_number(loss):
    loss.forward(zeros(), zeros(), np.ones(2, np.float32))
    expected = loss.backward(1.0, zeros())
    for one in (1, np.float32(1), np.int64(1)):
        np.testing.assert_array_equal(loss.backward(one, zeros()), expected)
    for wrong in (None, "1", [1.0], np.ones(1), np.ones((2, 3)), True, 1j):
        text = f"SigmoidCrossEntropyLoss: top_diff is {wrong!r}; give one number, such as top[0].diff.item()"
        assert refused(loss.backward, wrong, zeros()) == text.replace("\n", " ")
    for wrong in (np.nan, np.inf, -np.inf, 1e39):
        text = f"SigmoidCrossEntropyLoss: top_diff is {wrong}; give a number that is finite in float32: look at loss_w"
        assert refused(loss.backward, wrong, zeros()).startswith(text)


@each_loss
def test_one_loss_takes_arrays_of_both_types_in_turn(loss):
    scores, labels = np.random.RandomState(0).rand(4, 5), np.eye(5)[:4]
    one = loss()
    for dtype in (np.float32, np.float64, np.float32):
        found, expected = (each(scores.astype(dtype), labels) for each in (one, loss()))
        assert found[0] == expected[0]
        assert found[1].dtype == dtype
        np.testing.assert_array_equal(found[1], expected[1])
    one.reshape((4, 5), (4, 5))
    one.reshape((4, 5), (4, 5), None, np.float64)
    assert one.forward(scores, labels) == loss()(scores, labels)[0]


# Copies and forks


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_copy_has_the_same_options_and_computes_the_same(case):
    scores, labels = inputs(case)
    loss = build(case)
    fresh = pickle.dumps(loss)
    value, gradient = loss(scores, labels)
    for other in (copy.deepcopy(loss), copy.copy(loss), pickle.loads(pickle.dumps(loss)), pickle.loads(fresh)):
        found = other(scores, labels)
        assert found[0] == value
        np.testing.assert_array_equal(found[1], gradient)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.slow
def test_a_fork_while_another_thread_is_in_the_loss():
    random = np.random.RandomState(0)
    scores, labels = random.randn(300, 2000).astype(np.float32), (random.rand(300, 2000) < 0.1).astype(np.float32)
    loss = losses.MultiLabelSoftmaxLoss()
    value, gradient = loss(scores, labels)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            loss(scores, labels)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(3):
            while not loss.locks[os.getpid()].locked():
                pass
            child = os.fork()
            if not child:
                found = loss(scores, labels) if loss.locks[os.getppid()].locked() else (None, None)
                os._exit(3 if found[0] is None else int(found[0] != value or (found[1] != gradient).any()))
            assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) in (0, 3)  # 3: the other thread had just left it
    finally:
        stop.set()
        thread.join()


# Scores that are not finite


@each_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("label", [0, 1])
def test_a_score_of_infinity_or_nan_is_refused_alike(loss, dtype, bad, label):
    scores, labels = np.full((4, 5), 0.5, dtype), np.zeros((4, 5), dtype)
    scores[2, 3], labels[2, 3], labels[:, 1] = bad, label, 1
    scores[0, 0] = -np.inf if loss.has_probabilities else 0.5  # loses nothing at a label 0, so is not to blame
    text = f"{loss.__name__}: the loss is not finite: scores[2, 3] is {bad} (row 2, class 3); lower base_lr, clip"
    if not loss.has_probabilities:
        text = f"{loss.__name__}: scores[2, 3] is {bad} (row 2, class 3); give probabilities"
    assert refused(loss(), scores, labels).startswith(text)
    labels[2, 3] = 0.25
    scores[1, 2], labels[1, 2] = bad, 0.25
    loss(ignore_label=0.25)(scores, labels)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss.has_probabilities], ids=lambda loss: loss.__name__)
def test_minus_infinity_is_refused_where_the_loss_is_infinite(loss):
    scores, labels = np.zeros((2, 3)), np.array([[0.0, 0, 1], [1, 0, 0]])
    scores[0, 0] = -np.inf
    assert np.isfinite(loss()(scores, labels)[0])
    scores[1, 0] = -np.inf
    text = f"{loss.__name__}: the loss is not finite: scores[0, 0] is -inf (row 0, class 0); lower base_lr"
    assert refused(loss(), scores, labels).startswith(text)


@each_loss
@pytest.mark.parametrize("place, where", [
    ((1, 2, 3, 4), "row 39, class 2"), ((0, 1, 0, 3), "row 3, class 1"), ((0, 2, 2, 0), "row 10, class 2"),
])  # fmt: skip
def test_a_fault_on_pixels_is_named_by_row_and_class(loss, place, where):
    index = ", ".join(map(str, place))
    for name in ("scores", "labels"):
        arrays = {"scores": np.full((2, 3, 4, 5), 0.5), "labels": np.zeros((2, 3, 4, 5))}
        arrays[name][place] = np.nan
        assert f"{name}[{index}] is nan ({where}); " in refused(loss(), **arrays)
    indices = np.full((2, 4, 4, 5), -1.0)
    indices[place] = 7
    text = f"labels[{index}] is 7.0 ({where.split(',')[0]}); "
    assert text in refused(loss(label_format="INDEX"), np.full((2, 3, 4, 5), 0.5), indices)


# The formula's type


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_formula_gets_float64_and_its_numbers_are_rounded_once(case, monkeypatch):
    monkeypatch.setenv("CAFFE_LOSSES_KERNELS", "numpy")
    scores, labels = inputs(case, dtype=np.float32)
    weights = [np.linspace(0.1, 1, scores.size // scores.shape[case.axis]).astype(np.float32)] * case.loss.row_weights
    types, formula = set(), case.loss.formula

    def watched(self, *arrays):
        types.update(array.dtype.name for array in arrays)
        return formula(self, *arrays)

    monkeypatch.setattr(case.loss, "formula", watched)
    found = build(case)(scores, labels, *weights)
    assert types == {"float64", "bool"}
    exact = build(case)(*(array.astype(np.float64) for array in (scores, labels, *weights)))
    assert found[0] == exact[0]
    np.testing.assert_array_equal(found[1], exact[1].astype(np.float32))


# The losses that are summed


@each_weighted
def test_losses_are_those_that_are_summed(case):
    scores, labels = inputs(case)
    rows = scores.size // scores.shape[case.axis]
    for weights in ([], [np.arange(rows) % 3.0]):
        found, gradient = build(case, reduction="none")(scores, labels, *weights)
        loss, of_loss = build(case, normalization="NONE")(scores, labels, *weights)
        of_scores = issubclass(case.loss, losses.BinaryLoss)
        assert found.shape == (scores if of_scores else scores.sum(axis=case.axis)).shape
        assert found.dtype == scores.dtype
        assert found.sum() == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(gradient, of_loss, rtol=1e-12, atol=1e-15)
    of_each = np.zeros(found.shape)
    for row in range(rows):
        weights = (np.arange(rows) == row) * 1.0
        alone = build(case, reduction="none")(scores, labels, weights)[0]
        assert np.count_nonzero(alone.sum(axis=case.axis) if of_scores else alone) <= 1
        of_each += alone * (row % 3)
    np.testing.assert_allclose(found, of_each, rtol=1e-12, atol=1e-15)


def test_ignored_scores_lose_0_and_float32_stays_so():
    scores, labels = zeros((2, 3)), np.array([[1, 0, -1], [-1, -1, -1]])
    found, _ = caffe_losses.sigmoid_cross_entropy_loss(scores, labels, ignore_label=-1, reduction="none")
    np.testing.assert_array_equal(found, np.float32(np.log(2)) * np.array([[1, 1, 0], [0, 0, 0]], np.float32))
    found, _ = caffe_losses.multi_label_softmax_loss(scores, labels, ignore_label=-1, reduction="none")
    np.testing.assert_array_equal(found, np.float32([np.log(2), 0]))
    assert found.dtype == np.float32


def test_a_reduction_that_is_none():
    text = refused(losses.HillLoss, reduction="mean")
    assert text == "HillLoss: reduction must be one of normalized, none, got 'mean'; the default is \"normalized\""
    assert refused(losses.TwoWayLoss, reduction="none").endswith("got 'reduction'; remove it")
    loss = losses.TwoWayLoss()
    loss.reshape((2, 3), (2, 3))
    text = refused(loss.forward, zeros(), zeros(), losses=zeros(2))
    assert text == "TwoWayLoss: losses of rows; expected none, as the loss is not a sum over rows; leave them out"


def test_probabilities_and_losses_are_not_written_over_an_input():
    loss = losses.SigmoidCrossEntropyLoss()
    scores, labels = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    loss.reshape(scores.shape, labels.shape)
    for name in ("probabilities", "losses"):
        for array in (scores, labels):
            with pytest.raises(ValueError, match=f"{name}: is written over an input, which backward reads; give an"):
                loss.forward(scores, labels, **{name: array})
