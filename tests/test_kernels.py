"""What the kernels promise beyond the contracts of all losses: any size, the same bits anywhere, threads."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from caffe_losses import losses
from caffe_losses.kernels import binding, build
from caffe_losses.losses.base import over_ranks

LOSSES = [getattr(losses, name) for name in losses.__all__]
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
SPATIAL = [(1, 3, 2), (2, 5, 15), (2, 4, 16), (3, 7, 17), (2, 6, 31), (1, 5, 150), (2, 3, 259), (1, 1100, 20)]
SIZES = [(1, 1), (3, 1), (5, 7), (4, 15), (4, 16), (3, 17), (2, 255), (2, 256), (2, 257), (3, 1000), *SPATIAL]
OPTIONS = [
    {},
    {"ignore_label": 0.5, "label_smoothing": 0.1, "class_weight": 2.0},
    {"label_format": "INDEX"},
    {"label_format": "INDEX", "ignore_label": 1, "label_smoothing": 0.1},
]


def known(loss, options):
    """Of these options, those that the loss has."""
    names = [option.name for option in loss.options]
    return {name: value for name, value in options.items() if name in names}


def inputs(loss, shape, options, dtype=np.float32, seed=0):
    random = np.random.RandomState(seed)
    scores = random.randn(*shape) * 3
    if not loss.has_probabilities:
        scores = 1 / (1 + np.exp(-scores))
    if options.get("label_format") == "INDEX":
        k = min(3, shape[1])
        first = random.randint(0, shape[1], (shape[0], 1) + shape[2:])
        labels = (first + np.arange(k).reshape((1, k) + (1,) * len(shape[2:]))) % shape[1]
        labels[random.rand(*labels.shape) < 0.3] = -1
    else:
        soft = 0.5 in options.values() or not issubclass(loss, losses.LogSumExpLoss)
        labels = random.choice([0, 0, 0, 1, 0.5] if soft else [0, 0, 1], shape)
    return scores.astype(dtype), labels.astype(dtype)


@each_loss
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_any_size_with_any_instruction_set(loss, options, dtype, shape, monkeypatch):
    scores, labels = inputs(loss, shape, options, dtype)
    weights = np.random.RandomState(1).rand(shape[0], *shape[2:]).astype(dtype)
    monkeypatch.setenv("CAFFE_LOSSES_KERNELS", "numpy")
    options = known(loss, options)
    weightings = (None, weights) if loss.row_weights else (None,)
    plain = [loss(**options)(scores, labels, w) for w in weightings]
    eps = float(np.finfo(dtype).eps)
    for level in binding.library().levels():
        monkeypatch.setenv("CAFFE_LOSSES_KERNELS", level)
        for (value, gradient), w in zip(plain, weightings):
            compiled = loss(**options)(scores, labels, w)
            assert compiled[0] == pytest.approx(value, rel=32 * eps, abs=32 * eps)
            np.testing.assert_allclose(compiled[1], gradient, rtol=0, atol=8 * eps * (1 + np.abs(gradient).max()))


@pytest.mark.parametrize("gamma", [0, 0.3, 0.5, 1, 1.5, 2.3, 3, 4.5, 7, 7.5, 8, 8.5, 9.5, 50])
@pytest.mark.parametrize(
    ("loss", "names"),
    [(losses.SigmoidFocalLoss, ["gamma"]), (losses.AsymmetricLoss, ["gamma_pos", "gamma_neg"])],
    ids=["focal", "asymmetric"],
)
def test_any_gamma(loss, names, gamma, monkeypatch):
    """Powers are products, a square root, or exponentials."""
    options = dict(dict.fromkeys(names, gamma), normalization="NONE")
    scores = np.linspace(-20, 20, 4001, dtype=np.float32).reshape(1, -1)
    labels = (np.arange(4001) % 2).reshape(1, -1).astype(np.float32)
    monkeypatch.setenv("CAFFE_LOSSES_KERNELS", "numpy")
    value, gradient = loss(**options)(np.float64(scores), labels)
    for level in binding.library().levels():
        monkeypatch.setenv("CAFFE_LOSSES_KERNELS", level)
        compiled = loss(**options)(scores, labels)
        assert compiled[0] == pytest.approx(value, rel=2e-6)
        np.testing.assert_allclose(compiled[1], gradient, rtol=0, atol=8 * 1.2e-7 * max(1, gamma))


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("temperatures", [{}, {"temperature_neg": 0.3, "temperature_pos": 7.0}], ids=str)
def test_a_highest_score_of_a_class_that_comes_late(direction, temperatures, monkeypatch):
    random = np.random.RandomState(0)
    shape = (2, 3, 2500)  # many times as many as are handled side by side
    scores = (direction * np.linspace(-100, 100, 2500) + random.randn(*shape)).astype(np.float32)
    labels = (random.rand(*shape) < 0.3).astype(np.float32)
    value, gradient = losses.TwoWayLoss(**temperatures)(scores, labels)
    monkeypatch.setenv("CAFFE_LOSSES_KERNELS", "numpy")
    plain_value, plain_gradient = losses.TwoWayLoss(**temperatures)(np.float64(scores), labels)
    assert value == pytest.approx(plain_value, rel=1e-6)
    np.testing.assert_allclose(gradient, plain_gradient, rtol=0, atol=1e-6 * np.abs(plain_gradient).max())


@pytest.mark.parametrize("sign", [1, -1])
def test_a_highest_score_that_leaves_nothing_of_a_long_sum(sign, monkeypatch):
    """What the roundings of the sum took away, up to 1e-3 here, goes with it."""
    random = np.random.RandomState(0)
    scores = (random.randn(1, 2, 20_000) / 2).astype(np.float32)
    labels = np.zeros(scores.shape, np.float32)
    labels[0, :, 5:9] = 1
    labels = labels if sign == 1 else 1 - labels
    scores[0, 0, -1] = sign * 60
    found = losses.TwoWayLoss(temperature_pos=1)(scores, labels)
    monkeypatch.setenv("CAFFE_LOSSES_KERNELS", "numpy")
    expected = losses.TwoWayLoss(temperature_pos=1)(np.float64(scores), labels)
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6 * np.abs(expected[1]).max())


@each_loss
@pytest.mark.parametrize("ignore_label", [None, 3])
@pytest.mark.parametrize("shape", [(2, 5), (2, 60), (2, 5, 3), (2, 5, 15), (2, 5, 40)], ids=str)
def test_a_wrong_label_is_noticed_wherever_it_is(loss, ignore_label, shape):
    """In each layout that the kernels know; found by reading: NaN among the indices of pixels was taken for padding."""
    scores = np.full(shape, 0.4, np.float32)
    indices = np.ones((2, 2, *shape[2:]), np.float32)
    indices[:, 0] = 0
    for label_format, right, wrong in (
        ("DENSE", np.zeros(shape, np.float32), (np.nan, np.inf, -1, 1e7)),
        ("INDEX", indices, (np.nan, np.inf, -2, shape[1], 0.5, 7e9)),
    ):
        one = loss(label_format=label_format, ignore_label=ignore_label)
        for place in (0, -1):
            for value in wrong:
                labels = right.copy()
                labels.flat[place] = value
                with pytest.raises(ValueError, match=r"labels\[.*\] is "):
                    one(scores, labels)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss.has_probabilities], ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_of_the_highest_scores_too_kernels_and_numpy_say_the_same(loss, dtype, options, monkeypatch):
    """A difference of two may be more than the type holds, and the loss not; or infinite, in one of them or in both."""
    random = np.random.RandomState(0)
    some = np.array([0.3, 0.6, 1, -0.3, -0.6, -1]) * np.finfo(dtype).max
    said = set()
    for k in range(40):
        shape = [(1, 3), (2, 3, 2), (1, 60), (2, 5, 20)][k % 4]
        _, labels = inputs(loss, shape, options, dtype, seed=k)
        scores = random.choice([0, 1, *some[k % 3 :: 3]], shape).astype(dtype)
        weights = (
            random.choice([0, 0.25, 1], scores[:, 0].shape).astype(dtype) if loss.row_weights and k % 8 > 3 else None
        )
        outcomes = []
        for level in (*binding.library().levels(), "numpy"):
            monkeypatch.setenv("CAFFE_LOSSES_KERNELS", level)
            try:
                one = loss(normalization=("FULL", "NONE")[k % 5 > 2], **known(loss, options))
                outcomes.append(one(scores, labels, weights))
            except ValueError as refusal:
                outcomes.append(str(refusal))
        *compiled, plain = outcomes
        said.add(isinstance(plain, str))
        for found in compiled:
            assert isinstance(found, str) == isinstance(plain, str)
            if isinstance(plain, str):
                assert found == plain
                continue
            assert found[0] == pytest.approx(plain[0], rel=1e-5)
            np.testing.assert_allclose(found[1], plain[1], rtol=0, atol=1e-5 * np.abs(plain[1]).max())
    assert said == {False, True}


def test_a_loss_that_the_formula_computed_is_counted_once_on_all_ranks():
    """Each rank has to ask as often as the others, whose kernels may do."""
    scores, labels = np.zeros((3, 3), np.float32), np.eye(3, dtype=np.float32)
    scores[0] = -2e38, 2e38, 0  # n + p is 4e38
    for loss, expected in ((losses.TwoWayLoss(), [3, 3]), (losses.MultiLabelSoftmaxLoss(ignore_label=-1), [3])):
        counts = []
        with over_ranks(lambda count, counts=counts: counts.append(count) or count):
            value, _ = loss(scores, labels)
        assert counts == expected
        assert value == pytest.approx(8e38 / 3 if len(counts) == 2 else 4e38 / 3)


def test_after_a_loss_that_the_formula_computed_the_kernel_computes_again():
    labels, usual = np.array([[1, 1, 0]], np.float32), np.array([[1, 2, 3]], np.float32)
    highest = np.array([[3e38, -3e38, 0]], np.float32)  # 6e38 apart, and the loss is half of that
    loss, out = losses.MultiLabelSoftmaxLoss(), np.empty((1, 3), np.float32)
    loss.reshape(labels.shape, labels.shape)
    for _ in range(2):
        assert loss.forward(highest, labels) == pytest.approx(3e38)
        np.testing.assert_array_equal(loss.backward(2.0, out), [[1, -1, 0]])
        assert loss.forward(usual, labels) == losses.MultiLabelSoftmaxLoss()(usual, labels)[0]
        np.testing.assert_array_equal(loss.backward(1.0, out), losses.MultiLabelSoftmaxLoss()(usual, labels)[1])


@each_loss
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(0, 5), (0, 5, 3), (2, 5, 0), (0, 5, 20)], ids=str)
def test_empty_blobs(loss, options, shape):
    scores = np.zeros(shape, np.float32)
    value, gradient = loss(**known(loss, options))(
        scores, scores if options.get("label_format") != "INDEX" else scores[:, :3]
    )
    assert value == 0
    assert gradient.shape == shape


def unaligned(array, offset):
    """A copy that starts `offset` bytes after a multiple of 64."""
    memory = np.zeros(array.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@each_loss
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(6, 37), (5, 300), (4, 9, 35), (3, 20, 7)], ids=str)
def test_the_same_bits_wherever_the_arrays_and_rows_are(loss, options, shape):
    scores, labels = inputs(loss, shape, options)
    layer = loss(normalization="NONE", **known(loss, options))
    value, gradient = layer(scores, labels)
    for offset in (4, 20, 60):
        moved = layer(unaligned(scores, offset), unaligned(labels, 64 - offset))
        assert moved[0] == value
        np.testing.assert_array_equal(moved[1], gradient)
    if issubclass(loss, losses.TwoWayLoss):
        return  # a row's gradient depends on the others
    order = np.random.RandomState(1).permutation(shape[0])
    np.testing.assert_array_equal(layer(scores[order], labels[order])[1], gradient[order])
    for row in range(shape[0]):
        np.testing.assert_array_equal(layer(scores[row : row + 1], labels[row : row + 1])[1], gradient[row : row + 1])


@each_loss
def test_a_softmax_of_one_class_is_exactly_0_and_no_loss_is_negative(loss):
    random = np.random.RandomState(0)
    for shape in [(50, 1), (2, 1, 40), (300, 20), (3, 20, 33)]:
        for margin in (0, 5, 20, 60):
            scores = random.randn(*shape).astype(np.float32)
            scores[:, 0] += margin
            labels = np.zeros(shape, np.float32)
            labels[:, 0] = 1
            if not loss.has_probabilities:
                scores = (1 / (1 + np.exp(-np.float64(scores)))).astype(np.float32)
            for row in range(shape[0]):
                value, gradient = loss()(scores[row : row + 1], labels[row : row + 1])
                assert value >= 0
                if shape[1] == 1 and loss is losses.MultiLabelSoftmaxLoss:
                    assert value == 0
                    assert not gradient.any()


@pytest.mark.parametrize(
    "shape", [(4, 20_000), (2, 20_000, 3), (1, 20_000, 20), (1, 200_000, 2), (1, 1_000_000)], ids=str
)
def test_very_many_classes_keep_their_digits(shape):
    """The bound of tests/test_truth.py holds for any number of classes: sums of exponentials are in float64."""
    random = np.random.RandomState(0)
    for spread in (0.1, 4):
        scores = (spread * random.randn(*shape)).astype(np.float32)
        labels = np.zeros(shape, np.float32)
        labels[:, 3] = labels[:, 70] = 1
        value, gradient = losses.MultiLabelSoftmaxLoss(normalization="NONE")(scores, labels)
        exact = np.exp(np.float64(scores) - scores.max(axis=1, keepdims=True))
        p = exact / exact.sum(axis=1, keepdims=True)
        ulp = float(np.spacing(np.float32(1)))
        assert np.abs(gradient - (p - labels / 2)).max() <= 2 * ulp
        np.testing.assert_allclose(gradient[labels == 0], p[labels == 0], rtol=4e-6)  # |s - max s| / 2 ulp
        assert value == pytest.approx(-(labels / 2 * np.log(p)).sum(), rel=2 * ulp)


@each_loss
def test_threads(loss):
    """On objects of their own they run side by side; on one, one after another."""
    cases = [inputs(loss, (64, 500), {}, seed=seed) for seed in range(4)]
    expected = [loss()(*case) for case in cases]
    shared, wrong = loss(), []

    def work(k):
        own = loss()
        for layer in (own, shared) * 20:
            value, gradient = layer(*cases[k])
            if value != expected[k][0] or (gradient != expected[k][1]).any():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_each_kernel_is_a_loss_s_and_each_loss_has_one():
    assert {vars(loss).get("kernel") for loss in LOSSES} == set(binding.library().losses)


def test_a_class_derived_from_one_with_a_kernel_runs_its_own_formula():
    class Doubled(losses.SigmoidCrossEntropyLoss):
        def negative(self, scores):
            return tuple(2 * x for x in super().negative(scores))

    scores, labels = np.ones((2, 3)), np.zeros((2, 3))
    assert Doubled()(scores, labels)[0] == pytest.approx(2 * losses.SigmoidCrossEntropyLoss()(scores, labels)[0])


def run(code, **environment):
    return subprocess.run([sys.executable, "-W", "always", "-c", code], env=dict(os.environ, **environment),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)  # fmt: skip


@pytest.mark.slow
def test_what_is_said_without_kernels():
    code = """
import numpy as np
from caffe_losses import losses
from caffe_losses.kernels import binding, build
{}
for loss in (losses.MultiLabelSoftmaxLoss(), losses.SigmoidFocalLoss()):
    loss(np.zeros((2, 3)), np.ones((2, 3)))
"""
    missing = run(code.format("build.LIBRARY = '/nowhere/library.so'"))
    assert missing.returncode == 0, missing.stderr
    assert missing.stderr.count("the kernels are not compiled") == 1
    assert "compile them with python -m caffe_losses.kernels" in missing.stderr
    stale = run(code.format("build.digest = lambda: 'another'"))
    assert stale.stderr.count("the kernels were compiled from other sources") == 1
    assert "kernels" not in run(code.format("")).stderr
    refused = run(code.format(""), CAFFE_LOSSES_KERNELS="fast")
    assert "CAFFE_LOSSES_KERNELS: expected v4, v3, base or numpy, got 'fast'" in refused.stderr


ELF_OF_AARCH64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00\x01\x00\x00\x00" + bytes(40)
ELF_OF_AARCH64 += build.seal(ELF_OF_AARCH64)


def cut(library):
    return library[: len(library) // 2]


def damaged(library):
    """One bit in the middle is another one."""
    middle = len(library) // 2
    return library[:middle] + bytes([library[middle] ^ 16]) + library[middle + 1 :]


def test_a_library_is_ours_if_each_of_its_bytes_is(tmp_path):
    path, whole = tmp_path / "library.so", Path(build.LIBRARY).read_bytes()
    path.write_bytes(whole)
    assert build.is_ours(str(path))
    for wrong in (cut(whole), damaged(whole), whole[1:], whole[:-1], whole + b"\0", b"", whole[-24:], whole[:-24]):
        path.write_bytes(wrong)
        assert not build.is_ours(str(path))


WRONG_LIBRARIES = {"arm": ELF_OF_AARCH64, "cut": cut, "damaged": damaged, "empty": b"", "text": b"no library\n"}


@pytest.mark.slow
@pytest.mark.parametrize("content", WRONG_LIBRARIES.values(), ids=WRONG_LIBRARIES)
def test_a_library_that_cannot_be_loaded_means_numpy(content, tmp_path):
    path = tmp_path / "library.so"
    whole = Path(build.LIBRARY).read_bytes()
    path.write_bytes(content(whole) if callable(content) else content)
    code = f"""
import numpy as np
from caffe_losses import kernels, losses
from caffe_losses.kernels import build
build.LIBRARY = {str(path)!r}
for loss in (losses.MultiLabelSoftmaxLoss(), losses.SigmoidFocalLoss()):
    loss(np.zeros((2, 3)), np.ones((2, 3)))
print(kernels.level())
"""
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "numpy\n"), done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "RuntimeWarning" in line]
    reason = "cannot be loaded (" if content is ELF_OF_AARCH64 else "were compiled from other sources, or are damaged,"
    assert f"caffe_losses: the kernels {reason}" in line
    assert line.endswith("compile them with python -m caffe_losses.kernels")


@pytest.mark.slow
def test_compiling_without_a_compiler_says_so():
    failed = subprocess.run([sys.executable, "-m", "caffe_losses.kernels"], env=dict(os.environ, CC="/nowhere/cc"),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr.startswith("caffe_losses: cannot compile the kernels: ")
    assert len(failed.stderr.splitlines()) == 1
