"""The check and `caffe train` with a solver of Caffe's defaults: both take a net, or both refuse it."""

import os

import numpy as np
import pytest
from databases import write_hdf5
from nets import caffe_program
from rewiring import LOSS, layer, parsed, python

from caffe_losses import wiring

pytestmark = pytest.mark.slow

BATCH, FEATURES, CLASSES = 4, 6, 5
SOLVER = 'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2 test_interval: 1 random_seed: 1 '
SOLVER += "snapshot_after_train: false solver_mode: CPU "  # and Caffe's defaults
TRAIN, TEST = "include { phase: TRAIN }", "include { phase: TEST }"
FC = "inner_product_param { num_output: 5 weight_filler { type: 'xavier' } %s }"
LAYERS = """
import caffe
class Fails(caffe.Layer):
    def setup(self, bottom, top): self.forwards = 0
    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        self.forwards += 1
        top[0].data[...] = bottom[0].data
        if self.param_str == 'second test' and self.phase == caffe.TEST and self.forwards == 2: raise ValueError('two')
        if self.param_str == 'of 2' and len(bottom[0].data) < 4: raise ValueError('of a batch of 2')
    def backward(self, top, down, bottom):
        bottom[0].diff[...] = top[0].diff
        if self.param_str == 'backward': raise ValueError('in backward')
"""


def data(more="", source="data", batch=BATCH, tops="data index tags"):
    param = f'hdf5_data_param {{ source: "{source}.txt" batch_size: {batch} }}'
    return layer("data", "HDF5Data", "", tops, f"{param} {more}")


def fc(more="", param="", name="fc", bottom="data", top="fc"):
    return layer(name, "InnerProduct", bottom, top, FC % param + more)


def fails(when):
    own = python("own", "layers_that_fail", "Fails", "fc", "own").replace('"Fails"', f'"Fails" param_str: "{when}"')
    return own + SINGLE.replace('"fc"', '"own"')


def bn(rate):
    return layer("bn", "BatchNorm", "fc", "fc", f"param {{ lr_mult: {rate} }} " * 3)


def ours(name):
    return python("loss", "caffe_losses.layers", name, "fc tags", "loss", "loss_weight: 1")


SINGLE = LOSS.replace('"label"', '"index"')
SPARE_TAGS, SPARE_INDEX = layer("spare", "Silence", "tags", ""), layer("spare", "Silence", "index", "")
BOTH, TAGS = data() + SPARE_TAGS, data() + SPARE_INDEX
METRICS = python("m", "caffe_losses.layers", "MultiLabelMetrics", "fc tags", "mAP", TEST)
METRICS = METRICS.replace('Metrics" }', """Metrics" param_str: '{"test_iter": 3}' }""")
HUGE = fc().replace("'xavier'", "'constant' value: 1e38")
SIX = "inner_product_param { num_output: 6 }"
OF_4 = layer("r", "Reshape", "fc", "r", "reshape_param { shape { dim: 4 dim: 5 } }") + SINGLE.replace('"fc"', '"r"')
PIXELS = "reshape_param { shape { dim: 0 dim: 1 dim: 1 dim: -1 } }"
MEMORY = "memory_data_param { batch_size: 4 channels: 6 height: 1 width: 1 }"
SHARE = "cannot share the weights of TRAIN: "
# name: (net, the reason why neither takes it; None: both take it)
NETS = {
    "plain": (BOTH + fc() + SINGLE, None),
    "other features in TEST": (
        data(TRAIN) + data(TEST, "wide") + SPARE_TAGS + fc() + SINGLE, SHARE + ".*Cannot share param 0"
    ),
    "other batch in TEST": (data(TRAIN) + data(TEST, batch=3) + SPARE_TAGS + fc() + SINGLE, None),
    "no bias in TEST": (BOTH + fc(TRAIN) + fc(TEST, "bias_term: false") + SINGLE, SHARE + ".*number of blobs"),
    "other classes in TEST": (
        BOTH + fc(TRAIN) + layer("fc", "InnerProduct", "data", "fc", TEST + SIX) + SINGLE, SHARE
    ),
    "a learned layer of TEST alone": (BOTH + fc() + SINGLE + fc(TEST, name="more", top="x"), None),
    "a layer that TEST lacks": (BOTH + fc(TRAIN) + SINGLE, "in TEST, layer loss takes fc, which no layer before it"),
    "a crop that TEST pools": (
        data(TRAIN) + data(TEST, "wide") + SPARE_TAGS + layer("r", "Reshape", "data", "r", PIXELS)
        + layer("p", "Pooling", "r", "p", "pooling_param { global_pooling: true }") + fc(bottom="p") + SINGLE, None
    ),
    "include and exclude": (
        BOTH + fc() + SINGLE + layer("s", "Silence", "fc", "", TRAIN + "exclude { phase: TEST }"), "include rules"
    ),
    "weights shared by name, of other shapes": (
        BOTH + fc('param { name: "w" }') + SINGLE + layer("b", "InnerProduct", "fc", "b", 'param { name: "w" }' + SIX),
        "does not load the TRAIN phase",
    ),
    "BatchNorm with rates that Caffe clears": (BOTH + fc() + bn(1) + SINGLE, None),
    "top_k of TEST": (
        BOTH + fc() + SINGLE + layer("a", "Accuracy", "fc index", "a", TEST + "accuracy_param { top_k: 9 }"),
        "Caffe does not load the TEST phase: .*top_k",
    ),
    "a batch that is told": (BOTH + fc() + OF_4, None),
    "parts of a batch": (BOTH + fc() + layer("r", "Slice", "fc", "a b c d", "slice_param { axis: 0 }") + SINGLE, None),
    "no small batch": (BOTH + fc() + fails("of 2"), None),
    "fails in the second test": (BOTH + fc() + fails("second test"), "the test after the first iteration: .*two"),
    "fails in backward": (BOTH + fc() + fails("backward"), "TRAIN phase fails in its first iteration: .*in backward"),
    "no label in sight": (TAGS + fc() + ours("SigmoidCrossEntropyLoss") + METRICS, None),
    "weights that overflow": (TAGS + HUGE + ours("SigmoidCrossEntropyLoss"), "the loss is not finite"),
    "the same with Caffe's loss": (BOTH + HUGE + SINGLE, None),
    "nan of TEST alone": (TAGS + fc() + layer("log", "Log", "fc", "fc", TEST) + ours("ZLPRLoss"), None),
    "no gradient": (BOTH + fc("param { lr_mult: 0 } param { lr_mult: 0 }") + SINGLE, None),
    "nothing to learn": (BOTH + layer("fc", "Split", "data", "fc x") + SINGLE, None),
    "memory that nobody fills": (
        layer("data", "MemoryData", "", "data index", MEMORY) + fc() + SINGLE, "Check failed: data_"
    ),
    "no such type": (BOTH + fc() + SINGLE + layer("s", "NoType", "fc", "", "include { min_level: 1 }"), None),
    "third row": (data(source="odd") + SPARE_INDEX + fc() + ours("SigmoidCrossEntropyLoss"), r"labels\[2, 1\] is 255"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets")
    random = np.random.RandomState(0)
    tags = np.float32(random.rand(12, CLASSES) < 0.5)
    tags[:2] = 0
    odd = tags.copy()
    odd[2, 1] = 255
    for name, features, labels in (("data", FEATURES, tags), ("wide", FEATURES + 1, tags), ("odd", FEATURES, odd)):
        numbers = random.standard_normal((12, features))
        write_hdf5(folder, name, data=numbers, index=random.randint(0, CLASSES, 12), tags=labels)
    (folder / "layers_that_fail.py").write_text(LAYERS)
    return folder


@pytest.mark.parametrize("name", NETS)
def test_the_check_says_what_training_does(folder, monkeypatch, name):
    text, reason = NETS[name]
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}")
    (folder / "net.prototxt").write_text(text)
    iterations = 3 if "MultiLabelMetrics" in text else 1
    (folder / "solver.prototxt").write_text(SOLVER + f"test_iter: {iterations}")
    done = caffe_program("train", "--solver", "solver.prototxt", cwd=folder, check=False)
    assert (done.returncode == 0) == (reason is None), done.stdout[-2000:]
    if reason is None:
        assert wiring.check(parsed(text))
    else:
        with pytest.raises(ValueError, match=rf"^check: [^\n]*{reason}[^\n]*$"):
            wiring.check(parsed(text))
