"""docs/coming-from-another-layer.md: each row of its table, by `wire`, in real Caffe.

The old layer is Caffe's own. Of a published one in Python, it is written from the definition of its loss and gradient.
"""

import sys
from types import ModuleType

import caffe
import cv2
import documents
import numpy as np
import pytest
from nets import fill, input_layer, loss_layer, net, run
from pictures import picture
from rewiring import command, layer, parsed, wire

from caffe_losses.net.sources import transform_for_testing

N, C = 6, 5
random = np.random.RandomState(0)
DATA = random.randn(N, 4)
SCORES = """layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 1 } } }
"""
SOFTMAX = layer("softmax", "Softmax", "scores", "p")
INDEX = np.array([0, 2, 1, 4, 4, 3])
BINARY = np.eye(C)[INDEX] + np.eye(C)[(INDEX + 1) % C]
REAL = BINARY * random.uniform(0.5, 3, (N, C))
WEIGHTS = random.uniform(0, 2, N)
H = random.uniform(0, 1, (C, C))
BALANCE = random.uniform(0.5, 2, C)


class Published(caffe.Layer):
    """A published layer: `term` of one image gives its loss, and the gradient that the layer gives of it."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def terms(self, bottom):
        """The losses and the gradients of the images."""
        rows = zip(*(np.float64(bottom[k].data) for k in range(len(bottom))))
        return map(np.array, zip(*(self.term(*row) for row in rows)))

    def forward(self, bottom, top):
        losses, _ = self.terms(bottom)
        top[0].data[...] = losses.mean()

    def backward(self, top, propagate_down, bottom):
        _, gradients = self.terms(bottom)
        bottom[0].diff[...] = gradients / len(gradients)


class CustomSoftmaxLoss(Published):
    """-1/M sum of y log p. Its gradient takes each label that is not 0 for 1."""

    @staticmethod
    def term(s, y):
        p = np.exp(s) / np.exp(s).sum()
        return -(y * np.log(p)).sum() / np.count_nonzero(y), p - (y != 0) / np.count_nonzero(y)


class FocalLoss(Published):
    """(1 - p)^3 times the cross-entropy of both sides, times a number for each class."""

    balance = 1

    def term(self, s, y):
        p = 1 / (1 + np.exp(-s))
        loss = np.where(y, -np.log(p) * (1 - p) ** 3, -np.log(1 - p) * p**3)
        yes, no = (1 - p) ** 3 * (3 * p * np.log(p) + p - 1), p**3 * (p - 3 * (1 - p) * np.log(1 - p))
        return (self.balance * loss).sum(), self.balance * np.where(y, yes, no)


class Balanced(FocalLoss):
    balance = BALANCE


class SoftmaxSoftLabel(Published):
    """-log p of one class, times the weight of the image."""

    @staticmethod
    def term(s, index, weight):
        p = np.exp(s) / np.exp(s).sum()
        c = int(index.item())
        return -weight.item() * np.log(p[c]), weight.item() * (p - np.eye(C)[c])


@pytest.fixture(autouse=True)
def published(monkeypatch):
    module = ModuleType("published_losses")
    module.CustomSoftmaxLoss, module.FocalLoss, module.SoftmaxSoftLabel = CustomSoftmaxLoss, FocalLoss, SoftmaxSoftLabel
    monkeypatch.setitem(sys.modules, "published_losses", module)
    return module


def python(kind, bottoms, param_str=""):
    text = f"python_param {{ module: 'published_losses' layer: '{kind}' param_str: \"{param_str}\" }}"
    return layer("loss", "Python", bottoms, "loss", f"loss_weight: 1 {text}")


def results(text, loss, blobs, new=None, blob="scores", **options):
    """(loss, gradient) of the net as it is, and as `wire` makes it, of the same weights and inputs.

    new  blobs that the wired net takes instead
    """
    inputs = {"data": DATA, **blobs, **(new or {})}
    body = "".join(input_layer(name, np.shape(values)) for name, values in inputs.items()) + SCORES + text
    wired, _ = wire(body, loss, **options)
    caffe.set_random_seed(0)
    new_body = "".join(f"layer {{ {one} }}\n" for one in wired.values())
    nets = [net(part, force_backward=False) for part in (body, new_body)]
    nets[1].share_with(nets[0])
    pairs = []
    for loaded in nets:
        fill(loaded, **inputs)
        value = float(loaded.forward()["loss"].flat[0])
        loaded.backward()
        pairs.append((value, loaded.blobs[blob].diff.copy()))
    return pairs


LOSS = layer("loss", "{}", "scores label", "loss")
# by the row of the table: the old layer, the new one, the blobs that the old one takes, and what `wire` is told
EQUAL = {
    "SoftmaxWithLoss": (
        LOSS.replace("{}", "SoftmaxWithLoss"), "MultiLabelSoftmaxLoss", {"label": INDEX},
        {"options": {"label_format": "INDEX"}},
    ),
    "SigmoidCrossEntropyLoss": (
        LOSS.replace("{}", "SigmoidCrossEntropyLoss"), "SigmoidCrossEntropyLoss", {"label": BINARY}, {},
    ),
    "MultinomialLogisticLoss": (
        SOFTMAX + layer("loss", "MultinomialLogisticLoss", "p label", "loss"), "MultiLabelLogisticLoss",
        {"label": INDEX}, {"options": {"label_format": "INDEX"}},
    ),
    "InfogainLoss": (
        layer("loss", "InfogainLoss", "scores label H", "loss"), "MultiLabelSoftmaxLoss",
        {"label": INDEX, "H": H.reshape(1, 1, C, C)},
        {"options": {"label_scale": "NONE"}, "labels": "rows", "new": {"rows": H[INDEX]}},
    ),
    "CustomSoftmaxLoss (Python)": (
        python("CustomSoftmaxLoss", "scores label"), "MultiLabelSoftmaxLoss", {"label": BINARY}, {},
    ),
    "FocalLoss (Python)": (
        python("FocalLoss", "scores label", "{'focusing_parameter': 3}"), "SigmoidFocalLoss", {"label": BINARY}, {},
    ),
    "SoftmaxSoftLabel (Python)": (
        python("SoftmaxSoftLabel", "scores label weight"), "MultiLabelSoftmaxLoss",
        {"label": INDEX, "weight": WEIGHTS}, {"options": {"label_format": "INDEX"}},
    ),
}  # fmt: skip
OTHERS = {"EuclideanLoss", "HingeLoss", "Pascal example"}  # with a test each, below


def test_each_row_of_the_table_has_a_test():
    (rows,) = (rows for rows in documents.tables("docs/coming-from-another-layer.md") if rows[0][0] == "old layer")
    assert {row[0].replace("`", "") for row in rows[1:]} == {*EQUAL, *OTHERS}


@pytest.mark.parametrize("name", EQUAL)
def test_loss_and_gradient_are_the_same(name):
    text, loss, blobs, options = EQUAL[name]
    (old, old_gradient), (new, new_gradient) = results(text, loss, blobs, **options)
    assert np.abs(old_gradient).max() > 0.01
    assert new == pytest.approx(old, rel=1e-6)
    np.testing.assert_allclose(new_gradient, old_gradient, atol=1e-6)


def test_balances_of_the_focal_loss_are_weights_of_classes(published):
    published.FocalLoss = Balanced
    text = python("FocalLoss", "scores label", "{'focusing_parameter': 3}")
    options = {"class_weight": BALANCE.tolist()}
    (old, old_gradient), (new, new_gradient) = results(text, "SigmoidFocalLoss", {"label": BINARY}, options=options)
    assert new == pytest.approx(old, rel=1e-6)
    np.testing.assert_allclose(new_gradient, old_gradient, atol=1e-6)


def test_custom_softmax_loss_with_real_labels_has_a_gradient_that_is_none():
    """The same loss; but only ours has the derivative of it, which central differences give."""
    text = python("CustomSoftmaxLoss", "scores label")
    (old, old_gradient), (new, new_gradient) = results(text, "MultiLabelSoftmaxLoss", {"label": REAL})
    assert new == pytest.approx(old, rel=1e-6)
    assert np.abs(new_gradient - old_gradient).max() > 0.01
    caffe.set_random_seed(0)
    loaded = net(input_layer("data", DATA.shape) + SCORES)
    loaded.blobs["data"].data[...] = DATA
    s, step = np.float64(loaded.forward()["scores"]), 1e-5

    def loss(scores):
        return np.mean([CustomSoftmaxLoss.term(*row)[0] for row in zip(scores, REAL)])

    for k in np.ndindex(N, C):
        change = np.zeros((N, C))
        change[k] = step
        assert new_gradient[k] == pytest.approx((loss(s + change) - loss(s - change)) / (2 * step), abs=1e-6)


def test_rows_without_a_label_are_no_nan():
    """The published formula divides by their number of labels."""
    label = BINARY * (INDEX != 4)[:, None]
    with np.errstate(invalid="ignore"):
        (old, _), (new, gradient) = results(
            python("CustomSoftmaxLoss", "scores label"), "MultiLabelSoftmaxLoss", {"label": label}
        )
    assert np.isnan(old) and np.isfinite(new) and np.isfinite(gradient).all()


def test_scores_at_which_a_probability_rounds_to_0_or_1():
    """The published focal loss takes the logarithm of that probability."""
    text = python("FocalLoss", "scores label", "{'focusing_parameter': 3}")
    with np.errstate(all="ignore"):
        (old, _), (new, gradient) = results(text, "SigmoidFocalLoss", {"label": BINARY, "data": 1000 * DATA})
    assert not np.isfinite(old)
    assert np.isfinite(new) and np.isfinite(gradient).all()


def test_euclidean_loss_pulls_scores_to_the_labels():
    """Its gradient is (s - y) / N: above 1, a positive's score is pulled down. Ours is below 0 for each positive."""
    text = layer("loss", "EuclideanLoss", "scores label", "loss")
    (_, old), (_, new) = results(text, "SigmoidCrossEntropyLoss", {"label": BINARY})
    caffe.set_random_seed(0)
    loaded = net(input_layer("data", DATA.shape) + SCORES)
    loaded.blobs["data"].data[...] = DATA
    s = np.float64(loaded.forward()["scores"])
    np.testing.assert_allclose(old, (s - BINARY) / N, atol=1e-6)
    np.testing.assert_allclose(new, (1 / (1 + np.exp(-s)) - BINARY) / N, atol=1e-6)
    high = (s > 1) & (BINARY == 1)
    assert high.any() and (old[high] > 0).all() and (new[high] < 0).all()


def test_hinge_loss_stops_at_a_margin():
    """Its gradient is -1/N or 1/N inside of the margin, and 0 beyond it; ours is that of a sigmoid everywhere."""
    text = layer("loss", "HingeLoss", "scores label", "loss")
    (_, old), (_, new) = results(text, "SigmoidCrossEntropyLoss", {"label": INDEX}, labels="rows",
                                 new={"rows": np.eye(C)[INDEX]})  # fmt: skip
    assert set(np.unique(np.round(old * N, 5))) == {-1, 0, 1}
    assert (np.sign(new)[old != 0] == np.sign(old)[old != 0]).all()
    assert (new != 0).all()


PASCAL = """
layer {{ name: "data" type: "Python" top: "data" top: "label" include {{ phase: {} }}
  python_param {{ module: "pascal_multilabel_datalayers" layer: "PascalMultilabelDataLayerSync"
    param_str: "{{'batch_size': 2, 'im_shape': [11, 13], 'split': '{}', 'pascal_root': '/VOC2012'}}" }} }}
"""
PASCAL_NET = """
layer { name: "score" type: "InnerProduct" bottom: "data" top: "scores"
  inner_product_param { num_output: 20 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "scores" bottom: "label" top: "loss" }
"""


@pytest.mark.slow
def test_the_pascal_example(tmp_path, monkeypatch):
    """Its images become what its transformer makes of them, its loss and gradient stay."""
    monkeypatch.chdir(tmp_path)
    for k in range(4):
        cv2.imwrite(f"{k}.png", picture(k, height=20, width=18))
    names = [f"c{c}" for c in range(20)]
    (tmp_path / "classes.txt").write_text("\n".join(names))
    rows = [f"{k}.png,c{k}|c{k + 1}\n" for k in range(4)]
    (tmp_path / "list.csv").write_text("path,labels\n" + "".join(rows))
    text = PASCAL.format("TRAIN", "train") + PASCAL.format("TEST", "val") + PASCAL_NET
    (tmp_path / "net.prototxt").write_text(text)
    words = ["--image-list", "list.csv", "list.csv", "--classes", "classes.txt", "--loss", "SigmoidCrossEntropyLoss"]
    assert command("wire", "net.prototxt", "-o", "new.prototxt", *words) == 0
    wired = parsed((tmp_path / "new.prototxt").read_text())
    assert ["mirror" in layer.python_param.param_str for layer in wired.layer[:2]] == [True, False]
    for k in range(2):
        made = transform_for_testing(wired.layer[1])(f"{k}.png")
        resized = cv2.resize(picture(k, height=20, width=18), (13, 11))
        np.testing.assert_allclose(made, resized.transpose(2, 0, 1) - np.float32(128), atol=1e-5)

    loaded = net((tmp_path / "new.prototxt").read_text(), force_backward=False)
    loss = float(loaded.forward()["loss"].flat[0])
    loaded.backward()
    stock = net(input_layer("data", (2, 3, 11, 13)) + input_layer("label", (2, 20)) + PASCAL_NET, force_backward=False)
    stock.share_with(loaded)
    fill(stock, data=loaded.blobs["data"].data, label=loaded.blobs["labels"].data)
    assert float(stock.forward()["loss"].flat[0]) == pytest.approx(loss, rel=1e-6)
    stock.backward()
    np.testing.assert_allclose(loaded.blobs["scores"].diff, stock.blobs["scores"].diff, atol=1e-6)


def test_softmax_with_loss_ends_at_87_3_where_ours_goes_on():
    inputs = {"scores": np.array([[0.0, 100]]), "label": np.zeros(1)}
    bottoms = "".join(input_layer(name, values.shape) for name, values in inputs.items())
    found = []
    for loss in (
        layer("loss", "SoftmaxWithLoss", "scores label", "loss"),
        loss_layer("MultiLabelSoftmaxLoss", list(inputs), param={"label_format": "INDEX"}),
    ):
        loaded = net(bottoms + loss)
        fill(loaded, **inputs)
        found.append(run(loaded))
    (old, old_gradient), (new, new_gradient) = found
    assert (round(old, 1), new) == (87.3, 100)
    np.testing.assert_array_equal(old_gradient, new_gradient)
