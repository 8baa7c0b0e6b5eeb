"""Images and labels stay pairs, wherever each comes from."""

import json

import numpy as np
import pytest
from databases import write_hdf5
from nets import net
from rewiring import FC, LOSS, layer, parsed, refused, wire

from caffe_losses import wiring
from caffe_losses.net import view
from caffe_losses.wiring import ImageLists

LISTS = ImageLists(["train.csv", "test.csv"], 5, (20, 20), color="BGR")


def source(name, tops, rule="", kind="Data", more=""):
    param = {"Data": "data_param", "HDF5Data": "hdf5_data_param", "ImageData": "image_data_param"}[kind]
    return layer(name, kind, "", tops, f'{param} {{ source: "{name}_{tops[0]}" batch_size: 4 {more} }} {rule}')


def both_phases(make):
    return "".join(make(f"include {{ phase: {phase} }}") for phase in ("TRAIN", "TEST"))


APART = both_phases(lambda rule: source("pictures", "data", rule) + source("marks", "label", rule))


def read_sources(wired):
    return [(one.type, one.data_param.source, list(one.top)) for one in wired.layer if not one.bottom]


def test_a_label_layer_is_replaced_and_images_are_not():
    wired, lines = wiring.wire(parsed(APART + FC + LOSS), "MultiLabelSoftmaxLoss", sources=["a", "b"])
    assert read_sources(wired) == [
        ("Data", "pictures_d", ["data"]), ("Data", "a", ["labels"]),
        ("Data", "pictures_d", ["data"]), ("Data", "b", ["labels"]),
    ]  # fmt: skip
    assert "marks: removed: nothing else takes what this Data reads" in lines


def test_with_a_list_both_layers_go():
    wired, _ = wiring.wire(parsed(APART + FC + LOSS), "MultiLabelSoftmaxLoss", image_lists=LISTS)
    data = [one for one in wired.layer if not one.bottom]
    assert [one.name for one in data] == ["pictures", "pictures"]
    assert [list(one.top) for one in data] == [["data", "labels"]] * 2
    assert [json.loads(one.python_param.param_str)["source"] for one in data] == ["train.csv", "test.csv"]


@pytest.mark.parametrize("more", ["shuffle: true", "rand_skip: 3"])
def test_pictures_apart_from_labels_stay_in_step(more):
    text = source("pictures", "data", kind="ImageData", more=more).replace('top: "data"', 'top: "data" top: "none"')
    wired, _ = wire(text + source("marks", "label") + FC + LOSS, sources=["a", "a"])
    assert not wired["pictures"].image_data_param.shuffle and not wired["pictures"].image_data_param.rand_skip


def test_other_tops_of_the_label_layer_are_kept_or_refused():
    text = source("pictures", "data") + source("marks", "label box", kind="HDF5Data") + FC + LOSS
    text += FC.replace('"fc"', '"other"') + layer("second", "EuclideanLoss", "other box", "second")
    wired, _ = wire(text, heads=["loss"], sources=["a", "a"])
    assert wired["marks"].top == ["box"] and wired["labels"].top == ["labels"]
    assert refused(text, heads=["loss"], image_lists=ImageLists(["a", "a"], 5, (9, 9), color="BGR")) == (
        "layer marks (HDF5Data) is in use besides the loss, and would give what is of other images than those of the "
        "list; take out what takes it, or give --label-source instead"
    )


def test_a_list_has_one_image():
    two = source("left", "data") + source("right", "more") + source("marks", "label")
    join = layer("join", "Concat", "data more", "joined")
    assert refused(two + join + FC.replace('"data"', '"joined"') + LOSS, image_lists=LISTS) == (
        "the scores are made of what left, right read, and a list takes the place of one layer only"
    )


CUT = layer("cut", "Slice", "all", "tags rest", "slice_param { slice_point: 5 }") + layer("hush", "Silence", "rest", "")


@pytest.mark.parametrize("way, gone", [
    (CUT, {"cut", "hush"}),
    (layer("twice", "Split", "all", "tags rest") + layer("hush", "Silence", "rest extra", ""), {"twice"}),
    (layer("flat", "Flatten", "all", "f") + layer("shape", "Reshape", "f", "tags"), {"flat", "shape"}),
    (layer("join", "Concat", "all extra", "tags"), {"join"}),
])  # fmt: skip
def test_what_made_the_old_labels_goes_with_them(way, gone):
    text = source("data", "data all extra", kind="HDF5Data") + way + FC + LOSS.replace('"label"', '"tags"')
    wired, lines = wire(text, sources=["a.txt", "a.txt"])
    assert not gone & wired.keys() and wired["loss"].bottom == ["fc", "labels"]
    assert all(any(line.startswith(f"{name}: removed: ") for line in lines) for name in gone)
    assert "all" not in wired["data"].top
    if "hush" not in gone and "hush" in text:
        assert wired["hush"].bottom == ["extra"]


def test_what_another_head_needs_of_the_old_labels_stays():
    text = source("data", "data all", kind="HDF5Data") + CUT.replace('"hush"', '"show"') + FC
    text += (
        LOSS.replace('"label"', '"tags"') + FC.replace('"fc"', '"o"') + layer("second", "HingeLoss", "o rest", "second")
    )
    wired, _ = wire(text, heads=["loss"], sources=["a", "a"])
    assert wired["cut"].top == ["tags", "rest"] and wired["data"].top == ["data", "all"]


# Stages


STAGED = [
    ("include { phase: TEST stage: 'late' }", ["b"]),
    ("include { phase: TEST stage: 'late' } include { phase: TEST not_stage: 'late' min_level: 3 }", ["b"]),
    ("include { phase: TEST min_level: 2 }", ["b"]),
    ("exclude { phase: TRAIN } exclude { stage: 'early' } exclude { max_level: 1 }", ["b"]),
    ("include { stage: 'late' }", ["b"]),
]


@pytest.mark.parametrize("rule, expected", STAGED)
@pytest.mark.parametrize("lists", [False, True])
def test_the_layer_of_test_gets_the_source_for_test(rule, expected, lists):
    text = source("data", "data label", "include { phase: TRAIN }") + source("data", "data label", rule) + FC + LOSS
    given = {"image_lists": ImageLists(["a", "b"], 5, (9, 9), color="BGR")} if lists else {"sources": ["a", "b"]}
    wired, lines = wiring.wire(parsed(text), "MultiLabelSoftmaxLoss", **given)
    if lists:
        got = [json.loads(one.python_param.param_str)["source"] for one in wired.layer if not one.bottom]
    else:
        got = [one.data_param.source for one in wired.layer if one.top == ["labels"]]
    assert got == ["a", *expected]
    assert lines[0].startswith(
        "TEST: not looked at, as layer fc takes data, which no layer before it makes; the net has"
    )


def test_stages_choose_the_layers_of_each_phase():
    text = "".join(
        source(stage, "data label", f"include {{ stage: '{stage}' }}") for stage in ("fit", "measure", "use")
    )
    assert refused(text + FC + LOSS) == (
        "layer fc takes data, which no layer before it makes; the net has layers for the stages fit, measure, use: "
        "name them with --stage, first that of TRAIN, then that of TEST, e.g. --stage fit measure"
    )
    wired, lines = wiring.wire(
        parsed(text + FC + LOSS), "AsymmetricLoss", sources=["a", "b"], stages=(["fit"], ["measure"])
    )
    rules = {one.data_param.source: list(one.include[0].stage) for one in wired.layer if one.top == ["labels"]}
    assert rules["a"] == ["fit"] and rules["b"] == ["measure"]
    assert "use: left as it is: its rules leave it out, and do not say of TRAIN or TEST" in lines
    assert lines[-1] == 'stages: give the solver train_state { stage: "fit" } and test_state { stage: "measure" }'


def test_levels_are_named():
    text = source("data", "data label", "include { min_level: 1 }") + FC + LOSS
    assert "for some levels alone: write the level into it, e.g. state { level: 1 }" in refused(text)
    assert wire("state { level: 1 } " + text)[0]["loss"].type == "Python"


@pytest.mark.parametrize("rule, train, test", [
    ("", True, True),
    ("include { phase: TEST stage: 'a' }", False, True),
    ("include { stage: 'a' not_stage: 'b' }", True, True),
    ("exclude { phase: TRAIN }", False, True),
    ("exclude { phase: TRAIN stage: 'a' }", True, True),
    ("exclude { stage: 'a' }", True, True),
    ("exclude { }", False, False),
])  # fmt: skip
def test_where_a_layer_may_be(rule, train, test):
    one = parsed(layer("one", "Silence", "x", "", rule)).layer[0]
    assert [view.may_be_in(one, phase) for phase in ("TRAIN", "TEST")] == [train, test]


# Batches and means


def test_batches_and_means(tmp_path):
    text = both_phases(lambda rule: source("data", "data label", rule)) + FC + LOSS
    wired, lines = wiring.wire(parsed(text), "AsymmetricLoss", sources=["a", "b"], batches=[8, 2])
    assert [one.data_param.batch_size for one in wired.layer if not one.bottom] == [8, 8, 2, 2]
    assert lines[:2] == ["data: batch size 4 -> 8", "data: batch size 4 -> 2"]
    lists = ImageLists(["a", "b"], 5, (9, 9), [1.0, 2.0, 3.0])
    mean = text.replace("data_param", "transform_param { mean_file: 'old' scale: 0.5 } data_param")
    wired, _ = wiring.wire(parsed(mean), "AsymmetricLoss", image_lists=lists, batches=[8, 2])
    options = [json.loads(one.python_param.param_str) for one in wired.layer if not one.bottom]
    assert [one["batch_size"] for one in options] == [8, 2]
    assert all(one["mean_value"] == [1, 2, 3] and "mean_file" not in one and one["scale"] == 0.5 for one in options)
    lists = ImageLists(["a", "a"], 5, (9, 9), color="BGR")
    inputs = layer("data", "Python", "", "data label", "python_param { module: 'mine' layer: 'Reader' }") + FC + LOSS
    assert "does not tell how many images it reads; give --batch" in refused(inputs, image_lists=lists)
    assert wire(inputs, image_lists=lists, batches=[8, 8])[0]["data"].python_param.layer == "MultiLabelImageData"
    lists = ImageLists(["a", "a"], 5, color="BGR")
    assert "does not tell how large its images are; give --resize H,W" in (
        refused(inputs, image_lists=lists, batches=[8, 8])
    )


def test_rows_are_the_same_in_real_caffe(tmp_path):
    numbers = np.arange(12)
    write_hdf5(tmp_path, "pictures", data=np.repeat(numbers[:, None], 3, 1))
    write_hdf5(tmp_path, "old", label=numbers[::-1])
    write_hdf5(tmp_path, "new", labels=np.repeat(numbers[:, None], 5, 1))
    text = source("pictures", "data", kind="HDF5Data") + source("old", "label", kind="HDF5Data")
    text = text.replace("pictures_d", str(tmp_path / "pictures.txt")).replace("old_l", str(tmp_path / "old.txt"))
    paths = [str(tmp_path / "new.txt")] * 2
    options = {"soft_labels": True}  # numbers of rows are no labels
    wired, _ = wiring.wire(parsed(text + FC + LOSS), "MultiLabelSoftmaxLoss", options=options, sources=paths)
    loaded = net(str(wired))
    for _ in range(5):
        loaded.forward()
        assert (loaded.blobs["data"].data[:, 0] == loaded.blobs["labels"].data[:, 0]).all()
