"""Random small nets: wired, checked, trained for two iterations, and compared with what should have changed.

FUZZ sets how many (`make fuzz`: 20,000 of them at most). What should change is read off how the net was drawn.
"""

import os
from collections import namedtuple

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from databases import write_hdf5
from google.protobuf import text_format
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from rewiring import OF_SCORES, check_here, layer

from caffe_losses import losses, wiring

pytestmark = pytest.mark.slow

CASES = min(20000, int(os.environ.get("FUZZ", "300")))
FUZZ = settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

BATCH, ROWS, FEATURES, CLASSES = 4, 12, 6, 5
ACTIVATIONS = {"ReLU": "Sigmoid", "Sigmoid": "Sigmoid Softmax", "TanH": "Sigmoid Softmax", "ELU": "Sigmoid",
               "Dropout": "", "PReLU": ""}  # those that keep these kinds of loss from learning  # fmt: skip
KINDS = {"SoftmaxWithLoss": "index", "HingeLoss": "index", "SigmoidCrossEntropyLoss": "tags", "EuclideanLoss": "tags"}
PHASES = "TRAIN", "TEST"
STAGES = {"TRAIN": "fit", "TEST": "measure"}

# A head of a net: its loss layers have the name, and its scorer the name with _scores.
# kind: of the loss. way: how its labels come. activation: after the scorer, or None. place: in place or not.
# only: the phase that alone has the activation, if it is in place, or None.
# split: what of "loss" and "scores" TRAIN and TEST have one layer each of. weight: loss_weight
Head = namedtuple("Head", "name kind way activation in_place only split weight accuracy")
# A net and how to wire it. data: "one" layer for both phases, one a "phase", or one a "stage".
# apart: whether labels have a data layer of their own. names: of the heads to replace; None: all
Case = namedtuple("Case", "heads data apart loss num_classes new_labels names")


@st.composite
def cases(draw):
    count = draw(st.integers(1, 3))
    one_kind = draw(st.sampled_from(["index", "tags", None, None]))
    heads = []
    for k in range(count):
        kinds = [kind for kind, labels in KINDS.items() if one_kind in (None, labels)]
        kind = draw(st.sampled_from(kinds))
        ways = ["direct", "split"] if KINDS[kind] == "index" else ["direct", "split", "slice", "concat", "reshape"]
        heads.append(Head(
            f"head{k}", kind, draw(st.sampled_from(ways)), draw(st.sampled_from([None, None, *ACTIVATIONS])),
            draw(st.booleans()), draw(st.sampled_from([None, None, *PHASES])),
            draw(st.sets(st.sampled_from(["loss", "scores"]))), draw(st.sampled_from([1, 0.5, 2])),
            KINDS[kind] == "index" and draw(st.booleans()),
        ))  # fmt: skip
    names = draw(st.none() | st.lists(st.sampled_from([head.name for head in heads]), min_size=1, unique=True))
    return Case(
        heads, draw(st.sampled_from(["one", "phase", "stage"])), draw(st.booleans()), draw(st.sampled_from(OF_SCORES)),
        draw(st.sampled_from([None, CLASSES, 3])), draw(st.booleans()), names,
    )  # fmt: skip


# The prototxt of a case


def rule(case, phase):
    if case.data == "one":
        return ""
    return f"include {{ phase: {phase} }}" if case.data == "phase" else f'include {{ stage: "{STAGES[phase]}" }}'


def hdf5(name, tops, source, rules):
    return layer(name, "HDF5Data", "", tops, f'hdf5_data_param {{ source: "{source}" batch_size: {BATCH} }} {rules}')


def data_layers(case, sources):
    text = ""
    for phase in PHASES[: 1 if case.data == "one" else 2]:
        where = sources[phase]
        tops = ["data", "index tags both rest"]
        if case.apart:
            for name, top in zip(("pictures", "marks"), tops):
                text += hdf5(name, top, where, rule(case, phase))
        else:
            text += hdf5("all", " ".join(tops), where, rule(case, phase))
    return text


def label_layers():
    """The ways of the labels: each gives what `index` or `tags` has."""
    slices = f"slice_param {{ axis: 1 slice_point: {CLASSES} }}"
    text = layer("cut", "Slice", "both", "cut_tags cut_rest", slices) + layer("hush", "Silence", "cut_rest", "")
    text += layer("halves", "Slice", "tags", "half0 half1", "slice_param { axis: 1 slice_point: 2 }")
    text += layer("joined", "Concat", "half0 half1", "joined_tags", "concat_param { axis: 1 }")
    shape = f"reshape_param {{ shape {{ dim: 0 dim: {CLASSES} }} }}"
    text += layer("shaped", "Reshape", "tags", "shaped_tags", shape)
    text += layer("doubled", "Split", "tags", "split_tags split_more") + layer("hush2", "Silence", "split_more", "")
    text += layer("doubled_index", "Split", "index", "split_index split_index_more")
    return text + layer("hush3", "Silence", "split_index_more rest", "")


def labels_of(head):
    if head.way == "direct":
        return KINDS[head.kind]
    ways = {"slice": "cut_tags", "concat": "joined_tags", "reshape": "shaped_tags"}
    return ways.get(head.way, f"split_{KINDS[head.kind]}")


def scores_of(head):
    """The blob that the loss takes, and that which its scorer makes."""
    raw = f"{head.name}_raw"
    return (raw if head.activation is None or head.in_place else f"{head.name}_act"), raw


def head_layers(head):
    taken, raw = scores_of(head)
    size = f'inner_product_param {{ num_output: {CLASSES} weight_filler {{ type: "xavier" }} }}'
    text = "".join(layer(f"{head.name}_scores", "InnerProduct", "trunk", raw, f"{size} {more}")
                   for more in rules(head, "scores"))  # fmt: skip
    if head.activation is not None:
        only = f"include {{ phase: {head.only} }}" if head.only and head.in_place else ""
        text += layer(f"{head.name}_act", head.activation, raw, taken, only)
    if head.accuracy:
        text += layer(f"{head.name}_acc", "Accuracy", f"{taken} {labels_of(head)}", f"{head.name}_acc")
    for more in rules(head, "loss"):
        more = f"loss_weight: {head.weight} {more}"
        text += layer(head.name, head.kind, f"{taken} {labels_of(head)}", f"{head.name}_loss", more)
    return text


def rules(head, what):
    return [f"include {{ phase: {phase} }}" for phase in PHASES] if what in head.split else [""]


def net_of(case, sources):
    size = 'inner_product_param { num_output: 7 weight_filler { type: "xavier" } }'
    text = data_layers(case, sources) + label_layers() + layer("trunk", "InnerProduct", "data", "trunk", size)
    text += layer("trunk_relu", "ReLU", "trunk", "trunk") + "".join(map(head_layers, case.heads))
    return text_format.Parse(text, caffe_pb2.NetParameter())


# Files


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """{phase: (list of the net's own data, list of new labels)}, and the arrays of each phase."""
    folder, random, named, arrays = tmp_path_factory.mktemp("nets"), np.random.RandomState(0), {}, {}
    for phase in PHASES:
        tags = random.randint(0, 2, (ROWS, CLASSES))
        both = np.hstack([tags, random.rand(ROWS, 2)])
        arrays[phase] = {"data": random.randn(ROWS, FEATURES), "tags": tags, 3: random.randint(0, 2, (ROWS, 3)),
                         CLASSES: random.randint(0, 2, (ROWS, CLASSES))}  # fmt: skip
        index = random.randint(0, CLASSES, (ROWS, 1))
        write_hdf5(folder, phase, data=arrays[phase]["data"], index=index, tags=tags, both=both, rest=both[:, :1])
        for count in (3, CLASSES):
            write_hdf5(folder, f"{phase}{count}", labels=arrays[phase][count])
            named[phase, count] = str(folder / f"{phase}{count}.txt")
        named[phase] = str(folder / f"{phase}.txt")
    return folder, named, arrays


# What should come out


def is_refused(case):
    """The words of the refusal, or None."""
    chosen = [head for head in case.heads if case.names is None or head.name in case.names]
    origins = {KINDS[h.kind] if h.way in ("direct", "split", "reshape") else labels_of(h) for h in chosen}
    if case.names is None and len(origins) > 1:
        return "the losses have different labels"
    if case.num_classes and any(head.activation == "PReLU" for head in chosen):  # with weights for each class
        return "its scores come through"
    return None


def hinders(head, case):
    activation = getattr(losses, case.loss).activation
    return head.activation is not None and activation in ACTIVATIONS[head.activation].split()


def is_bypassed(head, case):
    """Whether a Sigmoid is taken for the one that makes probabilities."""
    return head.activation == "Sigmoid"


def expected_text(case, net, wired):
    """Compare each layer of the wired net with what the case says of it."""
    chosen = {head.name: head for head in case.heads if case.names is None or head.name in case.names}
    now, old = {}, {}
    for layers, by_name in ((wired.layer, now), (net.layer, old)):
        for one in layers:
            by_name.setdefault(one.name, []).append(one)
    renamed = case.num_classes not in (None, CLASSES)
    for head in case.heads:
        scorer = f"{head.name}_scores"
        if head.name not in chosen:
            assert now[head.name] == old[head.name]
            assert now[scorer] == old[scorer]
            assert now.get(f"{head.name}_act") == old.get(f"{head.name}_act")
            assert now.get(f"{head.name}_acc") == old.get(f"{head.name}_acc")
            continue
        name = f"{scorer}_{case.num_classes}" if renamed else scorer
        assert {one.inner_product_param.num_output for one in now[name]} == {case.num_classes or CLASSES}
        assert (f"{head.name}_act" in now) == (head.activation is not None and not gone(head, case))
        assert f"{head.name}_acc" not in now
        for one, before in zip(now[head.name], old[head.name]):
            assert one.python_param.layer == case.loss
            assert one.loss_weight[0] == head.weight
            taken, raw = scores_of(head)
            assert list(one.bottom) == [raw if gone(head, case) else taken, new_labels(case, head)]
            assert one.include == before.include
    for name in ("trunk", "trunk_relu"):
        assert now[name] == old[name]


def gone(head, case):
    return hinders(head, case) or is_bypassed(head, case)


def new_labels(case, head):
    return "labels" if case.new_labels else labels_of(head)


# The test


@FUZZ
@given(cases())
def test_wired_nets_train_on_the_right_pairs(sources, case):
    folder, named, arrays = sources
    net = net_of(case, named)
    stages = tuple([STAGES[phase]] for phase in PHASES) if case.data == "stage" else ((), ())
    count = case.num_classes or CLASSES
    chosen = [head for head in case.heads if case.names is None or head.name in case.names]
    usable = case.new_labels or (count == CLASSES and all(KINDS[head.kind] == "tags" for head in chosen))
    options = {"num_classes": case.num_classes, "heads": case.names, "stages": stages}
    if case.new_labels:
        phases = ("TRAIN", "TRAIN") if case.data == "one" else PHASES
        options["sources"] = [named[phase, count] for phase in phases]
    refusal = is_refused(case)
    if refusal:
        with pytest.raises(ValueError, match=rf"^[^\n]*{refusal}[^\n]*$"):
            wiring.wire(net, case.loss, **options)
        event("refused")
        return
    before = net.SerializeToString()
    wired, lines = wiring.wire(net, case.loss, **options)
    assert net.SerializeToString() == before
    assert all("\n" not in line for line in lines)
    expected_text(case, net, wired)
    if not usable:
        event("labels of one number an image")
        return
    event("trained")
    assert [line.split()[1] for line in check_here(wired, stages=stages)] == ["TRAIN", "TEST"]
    train(folder, case, chosen, wired, arrays, count)


def train(folder, case, chosen, wired, arrays, count):
    """Two iterations: each pair is of one row, each loss that of its scores and labels, and what learns has moved."""
    (folder / "net.prototxt").write_text(text_format.MessageToString(wired))
    solver = caffe_pb2.SolverParameter(
        net=str(folder / "net.prototxt"), test_iter=[1], test_interval=100, base_lr=0.01, lr_policy="fixed", max_iter=2,
        random_seed=1, test_initialization=False, snapshot_after_train=False, display=0,
    )  # fmt: skip
    if case.data == "stage":
        solver.train_state.stage.append(STAGES["TRAIN"])
        solver.test_state.add().stage.append(STAGES["TEST"])
    (folder / "solver.prototxt").write_text(text_format.MessageToString(solver))
    solver = caffe.SGDSolver(str(folder / "solver.prototxt"))
    first = {name: blobs[0].data.copy() for name, blobs in solver.net.params.items()}
    for iteration in range(2):
        solver.step(1)
        compare(case, chosen, solver.net, arrays["TRAIN"], iteration, count)
    test = solver.test_nets[0]
    test.share_with(solver.net)
    test.forward()
    compare(case, chosen, test, arrays["TRAIN" if case.data == "one" else "TEST"], 0, count)
    for head in chosen:
        name = f"{head.name}_scores" + (f"_{count}" if count != CLASSES else "")
        assert (solver.net.params[name][0].data != first[name]).any()


def compare(case, chosen, net, arrays, iteration, count):
    rows = np.arange(iteration * BATCH, (iteration + 1) * BATCH) % ROWS
    np.testing.assert_array_equal(net.blobs["data"].data, np.float32(arrays["data"][rows]))
    for head in chosen:
        labels = net.blobs[new_labels(case, head)].data
        np.testing.assert_array_equal(labels, np.float32(arrays[count if case.new_labels else "tags"][rows]))
        taken, raw = scores_of(head)
        scores = net.blobs[raw if gone(head, case) else taken].data
        value, _ = getattr(losses, case.loss)()(scores, labels)
        assert net.blobs[f"{head.name}_loss"].data == pytest.approx(value, rel=1e-5)
