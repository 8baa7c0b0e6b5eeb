"""What a deploy net promises: each rule on a small net, in real Caffe."""

import caffe
import numpy as np
import pytest
from nets import input_layer, net
from rewiring import DATA, FC, LOSS, deployed, layer, parsed, python

from caffe_losses import wiring

SHAPE = {None: [1, 4]}
FC2 = 'layer { name: "fc2" type: "InnerProduct" bottom: "x" top: "fc2" inner_product_param { num_output: 3 } }\n'
CUT, SUM = layer("cut", "Split", "fc", "a b"), layer("sum", "Eltwise", "a b", "x")
FILLED = 'inner_product_param { weight_filler { type: "gaussian" std: 1 }'


def same_scores(text, scores="fc2"):
    """The deployed net's layers; its scores have been compared with those of the TEST phase, in Caffe."""
    caffe.set_random_seed(0)
    body = text.replace("inner_product_param {", FILLED)
    loss = layer("loss", "SoftmaxWithLoss", f"{scores} label", "loss")
    inference = wiring.deploy(parsed(DATA + body + loss), shapes=SHAPE)
    tested = net(input_layer("data", (1, 4)) + body, phase=caffe.TEST)
    run = net(str(inference.net), phase=caffe.TEST)
    run.share_with(tested)
    run.blobs["data"].data[...] = tested.blobs["data"].data[...] = np.random.RandomState(0).randn(1, 4)
    s = tested.forward()[scores].astype(np.float64)
    expected = np.exp(s) / np.exp(s).sum(-1, keepdims=True)
    np.testing.assert_allclose(run.forward()[inference.outputs[0].blob], expected, atol=1e-6)
    layers = {one.name: one for one in inference.net.layer}
    assert not {one.type for one in layers.values()} & {"Dropout", "Split"}
    return layers, inference.lines


@pytest.mark.parametrize("text", [
    layer("drop", "Dropout", "fc", "fc") + FC2.replace('"x"', '"fc"'),
    layer("drop", "Dropout", "fc", "x") + FC2,
    layer("drop", "Dropout", "data", "d") + layer("relu", "ReLU", "d", "x") + FC2,
    layer("drop", "Dropout", "fc", "x") + layer("relu", "ReLU", "x", "x") + FC2,
    CUT + layer("relu", "ReLU", "a", "c") + SUM.replace('"a"', '"c"') + FC2,
    CUT + layer("drop", "Dropout", "b", "b") + SUM + FC2,
    CUT + layer("drop", "Dropout", "b", "d") + layer("relu", "ReLU", "d", "d") + SUM.replace('"b"', '"d"') + FC2,
])  # fmt: skip
def test_layers_that_do_nothing_in_test_are_taken_out(text):
    _, lines = same_scores(FC + text)
    assert any(line.startswith("taken out, as they do nothing in TEST: ") for line in lines)


def test_scores_below_a_dropout():
    layers, lines = same_scores(FC + layer("drop", "Dropout", "fc", "x"), scores="x")
    assert layers["prob"].bottom == ["fc"]
    assert "prob: Softmax of fc" in lines


def test_batch_norm_says_its_statistics():
    layers, lines = same_scores(FC + layer("bn", "BatchNorm", "fc", "x", "batch_norm_param { eps: 1 }") + FC2)
    assert layers["bn"].batch_norm_param.use_global_stats
    assert "use_global_stats: true added to 1 BatchNorm layers" in lines


@pytest.mark.slow
def test_axes_are_counted_from_the_front():
    spread = layer("spread", "Reshape", "fc", "r", "reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }")
    join = layer("join", "Concat", "r r", "x", "concat_param { axis: -1 }")
    layers, _ = same_scores(FC + spread + join + FC2.replace("num_output", "axis: -2 num_output"))
    assert layers["spread"].reshape_param.axis == 2
    assert layers["join"].concat_param.axis == 2
    assert layers["fc2"].inner_product_param.axis == 1
    last = LOSS.replace('top: "loss"', 'top: "loss" softmax_param { axis: -1 }')
    assert deployed(DATA + FC + last, shapes=SHAPE)[0]["prob"].softmax_param.axis == 1


@pytest.mark.parametrize("text, reason", [
    (python("own", "mine", "Twice", "data", "x"), r"layer own \(mine.Twice\) is none of Caffe's own, and other "
     "programs cannot run it; replace it by layers that Caffe has"),
    (layer("own", "Mish", "data", "x"), r"layer own \(Mish\) is none of Caffe's own"),
    (layer("cut", "Split", "data", "x b") + layer("relu", "ReLU", "x", "x"),
     r"layer cut \(Split\): a layer works in place on one of x, b, and so changes all of them; give that layer a top"),
])  # fmt: skip
def test_what_other_programs_cannot_run_is_refused(text, reason):
    inference = wiring.deploy(parsed(DATA + text + FC2 + LOSS.replace('"fc"', '"fc2"')), shapes=SHAPE)
    with pytest.raises(ValueError, match=reason):
        wiring.check_contract(inference.net)


def test_statistics_of_a_batch_are_refused():
    batch = layer("bn", "BatchNorm", "data", "x", "batch_norm_param { use_global_stats: false }")
    text = r"^layer bn \(BatchNorm\) says use_global_stats: false, so that its output depends on the other images"
    with pytest.raises(ValueError, match=text):
        deployed(DATA + batch + FC2 + LOSS.replace('"fc"', '"fc2"'), shapes=SHAPE)
    both = "".join(
        batch.replace("false }", f"{told} }} include {{ phase: {phase} }}")
        for phase, told in (("TRAIN", "false"), ("TEST", "true"))
    )
    net, _ = deployed(DATA + both + FC2 + LOSS.replace('"fc"', '"fc2"'), shapes=SHAPE)
    assert net["bn"].batch_norm_param.use_global_stats
