"""The net for inference: of stock nets, with their scores; and each rule on small nets."""

import os

import caffe
import numpy as np
import pytest
from rewiring import (
    CLASSES,
    DATA,
    FC,
    LOSS,
    MODELS,
    OF_SCORES,
    STOCK,
    deployed,
    parsed,
    python,
    stock,
    with_random_data,
)

from caffe_losses import wiring
from caffe_losses.net import prototxt


@pytest.mark.parametrize("model, loss", [*zip(MODELS, OF_SCORES), ("bvlc_googlenet", "MultiLabelSoftmaxLoss")])
def test_deploy_net_of_a_stock_net_has_its_scores(model, loss, tmp_path):
    net, _ = wiring.wire(stock(model), loss, num_classes=CLASSES)
    deploy, lines, *_ = wiring.deploy(net)
    prototxt.write(with_random_data(net, CLASSES), str(tmp_path / "net.prototxt"))
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
    with pytest.raises(ValueError, match="the net has no loss, so that it is not clear what its scores are"):
        wiring.deploy(prototxt.read(path).net)


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
