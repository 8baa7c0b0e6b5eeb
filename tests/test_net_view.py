"""The layers of a phase."""

import pytest
from rewiring import DATA, FC, LOSS, layer, parsed, refused, view_of

from caffe_losses.net.view import cut, data_tops, views


def test_dangling_blob_is_refused():
    assert refused(DATA + LOSS) == "layer loss takes fc, which no layer before it makes"


BRANCHES = (
    DATA
    + FC
    + layer("relu", "ReLU", "fc", "fc")
    + layer("other", "InnerProduct", "data", "other")
    + layer("flat", "Flatten", "label", "flat")
    + LOSS
)


def test_makers_and_takers_know_layers_in_place():
    view = view_of(BRANCHES)
    data, fc, relu, other, _, loss = view.layers
    assert view.maker(loss, "fc") is relu
    assert view.maker(relu, "fc") is fc
    assert view.takers(fc, "fc") == [relu]
    assert view.takers(relu, "fc") == [loss]
    assert view.takers(data, "data") == [fc, other]
    assert view.last_maker("fc") is relu
    with pytest.raises(
        ValueError, match=r"^expected a blob of the net, got f; it has data, label, fc, other, flat, loss"
    ):
        view.last_maker("f")


def test_what_is_needed_is_in_the_nets_order():
    view = view_of(BRANCHES)
    data, _, relu, other, flat, _ = view.layers
    assert [layer.name for layer in view.needed([relu])] == ["data", "fc", "relu"]
    assert [layer.name for layer in view.needed([other, flat])] == ["data", "other", "flat"]
    assert data_tops(view.needed([relu])) == [(data, "data")]
    assert data_tops(view.needed([flat])) == [(data, "label")]
    assert data_tops([data], ["label"]) == [(data, "label")]


def test_a_cut_net_has_no_rules_and_leaves_the_whole_as_it_is():
    net = parsed(BRANCHES.replace("inner_product_param", "include { phase: TEST } inner_product_param", 1))
    view = views(net.layer, net.state)["TEST"]
    small = cut(net, view, [view.last_maker("fc")])
    assert [layer.name for layer in small.layer] == ["data", "fc", "relu"]
    assert not any(layer.include for layer in small.layer)
    assert net.layer[1].include


def test_labels_are_what_comes_unlearned_from_other_data():
    view = view_of(BRANCHES)
    loss = view.layers[-1]
    assert view.are_labels(loss, "label", "fc")
    assert not view.are_labels(loss, "fc", "label")
    same = view_of(DATA + FC + layer("flat", "Flatten", "data", "flat") + layer("l", "HingeLoss", "fc flat", "l"))
    assert not same.are_labels(same.layers[-1], "flat", "fc")


@pytest.mark.parametrize("rule, phases", [
    ("include { phase: TRAIN }", ["TRAIN"]),
    ("exclude { phase: TRAIN }", ["TEST"]),
    ('include { stage: "deploy" }', []),
    ('include { not_stage: "deploy" }', ["TRAIN", "TEST"]),
    ("include { min_level: 1 }", []),
    ("include { max_level: 0 }", ["TRAIN", "TEST"]),
    ("include { phase: TRAIN } include { phase: TEST }", ["TRAIN", "TEST"]),
])  # fmt: skip
def test_rules_are_caffes(rule, phases):
    net = parsed(DATA + FC + layer("more", "Silence", "fc", "", rule))
    all_views = views(net.layer, net.state)
    assert [phase for phase, view in all_views.items() if any(one.name == "more" for one in view.layers)] == phases


def test_phases_are_those_that_the_net_was_made_for():
    net = parsed(DATA.replace("hdf5_data_param", "include { phase: TRAIN } hdf5_data_param") + FC)
    assert list(views(net.layer, net.state)) == ["TRAIN"]
    for text, message in [("", "the net has no layers"), (FC, "layer fc takes data, which no layer before it makes")]:
        net = parsed(text)
        with pytest.raises(ValueError, match=f"^{message}$"):
            views(net.layer, net.state)
