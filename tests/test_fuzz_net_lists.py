"""Random small nets on pictures, wired to lists: the old net and the new one are run, and compared.

FUZZ sets how many (`make fuzz`: 20,000 of them at most). Each picture of the list tells its number and its labels, so
that a picture of another folder, or labels of another picture, are seen.
"""

import json
import os
from collections import namedtuple

import caffe
import cv2
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from databases import write_hdf5, write_lmdb
from google.protobuf import text_format
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from rewiring import layer

from caffe_losses import wiring
from caffe_losses.wiring import ImageLists

pytestmark = pytest.mark.slow

CASES = min(20000, int(os.environ.get("FUZZ", "40")))
FUZZ = settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

COUNT, CLASSES, BATCH, OLD_SIZE = 12, 3, 4, (10, 9)
PHASES = "TRAIN", "TEST"

# source: the type of the data layer. channels: of its images. told: whether its transform_param tells them.
# split: whether each phase has a data layer. crop: of TRAIN and TEST, 0: none. means: how many. files: whether the old
# data are there. names: of the two learned layers. loss_in: the phases of the loss. resize, color: what the user asks
Case = namedtuple("Case", "source channels told split crops means scale files names loss_in resize color shuffle")


@st.composite
def cases(draw):
    source = draw(st.sampled_from(["Data", "HDF5Data", "MemoryData", "Input", "ImageData", "MultiLabelImageData"]))
    crop = draw(st.sampled_from([0, 6])) if source not in ("HDF5Data", "Input", "MemoryData") else 0
    crops = (crop, draw(st.sampled_from([crop, 5])) if crop else 0)
    channels = draw(st.sampled_from([1, 3]))
    split = True if source == "Input" else draw(st.booleans())
    return Case(
        source, channels, draw(st.booleans()), split, crops if split else (crop, crop),
        draw(st.sampled_from([0, 1, channels])), draw(st.sampled_from([1, 0.5])), draw(st.booleans()),
        draw(st.sampled_from([("conv", "mid"), ("conv", "mid"), ("mid", "mid")])),
        draw(st.sampled_from([PHASES, PHASES, PHASES[:1]])), draw(st.sampled_from([None, None, (12, 11)])),
        draw(st.sampled_from([None, None, "BGR", "GRAY"])), draw(st.booleans()),
    )  # fmt: skip


# The net of a case


def net_of(case, folder):
    phases = PHASES if case.split else (None,)
    text = "".join(data_layer(case, folder, phase) for phase in phases)
    text += layer(case.names[0], "Convolution", "data", "conv", "convolution_param { num_output: 2 kernel_size: 3 }")
    text += layer(case.names[1], "InnerProduct", "conv", "mid", "inner_product_param { num_output: 4 }")
    text += layer("scores", "InnerProduct", "mid", "scores", "inner_product_param { num_output: 5 }")
    rule = "" if case.loss_in == PHASES else "include { phase: TRAIN }"
    text += layer("acc", "Accuracy", "scores label", "acc", "include { phase: TEST }")
    return text_format.Parse(
        text + layer("loss", "SoftmaxWithLoss", "scores label", "loss", rule), caffe_pb2.NetParameter()
    )


def data_layer(case, folder, phase):
    rule = f"include {{ phase: {phase} }}" if phase else ""
    where = folder if case.files else folder / "gone"
    crop = case.crops[phase == "TEST"]
    transform = f"crop_size: {crop} " * bool(crop) + "mean_value: 9 " * case.means + f"scale: {case.scale} "
    transform = f"transform_param {{ {transform} {told(case)} }}"
    height, width = OLD_SIZE
    params = {
        "Data": f'data_param {{ source: "{where}/lmdb{case.channels}" batch_size: {BATCH} backend: LMDB }} {transform}',
        "HDF5Data": f'hdf5_data_param {{ source: "{where}/rows{case.channels}.txt" batch_size: {BATCH} }}',
        "MemoryData": f"memory_data_param {{ batch_size: {BATCH} channels: {case.channels} height: {height} "
        f"width: {width} }} {transform}",
        "Input": f"input_param {{ shape {{ dim: {BATCH} dim: {case.channels} dim: {height} dim: {width} }} "
        f"shape {{ dim: {BATCH} }} }}",
        "ImageData": f'image_data_param {{ source: "old.txt" root_folder: "{folder}/old/" batch_size: {BATCH} '
        f"new_height: {height} new_width: {width} is_color: {str(case.channels == 3).lower()} "
        f"shuffle: {str(case.shuffle).lower()} }} {transform}",
        "MultiLabelImageData": our_param(case, folder, crop),
    }  # fmt: skip
    kind = "Python" if case.source == "MultiLabelImageData" else case.source
    return layer("data", kind, "", "data label", f"{params[case.source]} {rule}")


def told(case):
    return {1: "force_gray: true", 3: "force_color: true"}[case.channels] if case.told and case.source == "Data" else ""


def our_param(case, folder, crop):
    options = {"source": f"{folder}/old/list.txt", "root_folder": f"{folder}/old", "classes": CLASSES,
               "batch_size": BATCH, "new_height": OLD_SIZE[0], "new_width": OLD_SIZE[1]}  # fmt: skip
    options.update({"crop_size": crop} if crop else {}, **({"color": "GRAY"} if case.channels == 1 else {}))
    param = "python_param { module: 'caffe_losses.layers' layer: 'MultiLabelImageData' param_str: '{}' }"
    return param.replace("{}", json.dumps(options))


# Files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The old net's data, and a folder `new` with a list for each phase; in `old` are other pictures of the names."""
    made = tmp_path_factory.mktemp("lists")
    for channels in (1, 3):
        images = np.random.RandomState(0).randint(0, 256, (COUNT, channels, *OLD_SIZE)).astype(np.uint8)
        write_lmdb(made / f"lmdb{channels}", images)
        write_hdf5(made, f"rows{channels}", data=images, label=np.zeros(COUNT))
    for name, start in (("old", 100), ("new", 0)):
        (made / name).mkdir()
        for k in range(COUNT):
            cv2.imwrite(str(made / name / f"{k}.png"), np.full((14, 14, 3), start + 8 * k, np.uint8))
        lines = [f"{k}.png {k * CLASSES // COUNT}\n" for k in range(COUNT)]  # in the order of the classes
        for list_name in ("list.txt", "train.txt", "test.txt"):
            (made / name / list_name).write_text("".join(lines))
    return made


# What should come out


def refusal(case):
    """The words of the refusal, or None."""
    if case.names[0] == case.names[1]:
        return "two layers with weights have the name mid"
    known = case.told or (case.files and case.source != "Input") or case.means == 3
    if case.source == "Data" and not known and case.color is None:
        return "does not tell whether its images have colors"
    if case.source == "HDF5Data" and not case.files and case.color is None:
        return "does not tell whether its images have colors"
    sized = case.files or case.resize or (case.source == "Data" and any(case.crops))
    if case.source in ("Data", "HDF5Data") and not sized:
        return "does not tell how large its images are"
    return None


def size_of(case, crop):
    """The size of the new images."""
    if case.source in ("Input", "MemoryData"):
        return OLD_SIZE
    return (crop, crop) if crop else case.resize or OLD_SIZE


def channels_of(case):
    return {"BGR": 3, "GRAY": 1, None: case.channels}[case.color]


@FUZZ
@given(cases())
def test_a_net_on_a_list_takes_what_it_took(folder, case):
    net = net_of(case, folder)
    sources = [str(folder / "new" / name) for name in ("train.txt", "test.txt" if case.split else "train.txt")]
    lists = ImageLists(sources, CLASSES, case.resize, color=case.color)
    options = {"image_lists": lists, "num_classes": CLASSES, "batches": [BATCH, BATCH]}
    words = refusal(case)
    if words:
        with pytest.raises(ValueError, match=rf"^[^\n]*{words}[^\n]*$"):
            wiring.wire(net, "SigmoidCrossEntropyLoss", **options)
        event("refused")
        return
    wired, _ = wiring.wire(net, "SigmoidCrossEntropyLoss", **options)
    event("wired")
    for phase in PHASES:
        if case.means == 3 and channels_of(case) == 1:
            continue  # as the user asks, and the layer refuses
        crop = case.crops[phase == "TEST" if case.split else 0]
        loaded = load(wired, phase, folder)
        size = (BATCH, channels_of(case), *size_of(case, crop))
        assert loaded.blobs["data"].data.shape == size
        same_weights(case, net, loaded, phase, folder)
        pairs(case, loaded, phase)
    assert is_shuffled(wired, "TRAIN") and (not case.split or not is_shuffled(wired, "TEST"))


def load(net, phase, folder):
    path = str(folder / "net.prototxt")
    with open(path, "w") as file:
        file.write(text_format.MessageToString(net))
    return caffe.Net(path, getattr(caffe, phase))


def same_weights(case, net, loaded, phase, folder):
    """Where the old net is there, layers that nobody asked for have the shapes that they had."""
    alone = case.source in ("MemoryData", "Input") or (case.files and case.source in ("Data", "HDF5Data"))
    if not alone or case.color or case.resize:
        return
    event("old net run")
    old = load(net, phase, folder)
    for name in case.names:
        for before, after in zip(old.params[name], loaded.params[name]):
            assert before.data.shape == after.data.shape


def is_shuffled(net, phase):
    for one in net.layer:
        if one.name == "data" and (not one.include or one.include[0].phase == PHASES.index(phase)):
            return json.loads(one.python_param.param_str).get("shuffle", False)
    return None


def pairs(case, loaded, phase):
    """Pictures are those of the list's folder, with their own labels."""
    loaded.forward()
    images, labels = loaded.blobs["data"].data, loaded.blobs["labels"].data
    scale = case.scale if case.source in ("Data", "MemoryData", "ImageData") else 1
    mean = 9 if case.means and scale is not None and case.source in ("Data", "MemoryData", "ImageData") else 0
    for image, row in zip(images, labels):
        number = (image.mean() / scale + mean) / 8
        assert number == pytest.approx(round(number), abs=0.02) and round(number) < COUNT
        assert list(np.flatnonzero(row)) == [round(number) * CLASSES // COUNT]
