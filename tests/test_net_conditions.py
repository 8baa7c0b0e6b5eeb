"""What has to hold in each phase of a net."""

import numpy as np
import pytest
from databases import write_hdf5, write_lmdb
from rewiring import FC, LOSS, layer, parsed, view_of

from caffe_losses.net.conditions import check_labels
from caffe_losses.net.view import views

PICTURES = layer("data", "Data", "", "data", 'data_param { source: "pictures" backend: LMDB }')
TAGS = layer("tags", "HDF5Data", "", "label", 'hdf5_data_param { source: "tags.txt" }')


@pytest.mark.parametrize("text, right", [
    (TAGS, True),
    (TAGS.replace("tags.txt", "fewer.txt"), False),
    (TAGS.replace("tags.txt", "not_there.txt"), True),
])  # fmt: skip
def test_labels_have_a_record_for_each_image(tmp_path, monkeypatch, text, right):
    monkeypatch.chdir(tmp_path)
    write_lmdb(tmp_path / "pictures", np.zeros((6, 1, 2, 2), np.uint8))
    write_hdf5(tmp_path, "tags", label=np.zeros(6))
    write_hdf5(tmp_path, "fewer", label=np.zeros(5))
    view = view_of(PICTURES + text + FC + LOSS)
    if right:
        check_labels(view)
    else:
        with pytest.raises(ValueError, match=r"^layer tags \(HDF5Data\) .* and has 5 records, not 6: labels"):
            check_labels(view)


@pytest.mark.parametrize("more", ["shuffle: true", "rand_skip: 5"])
def test_labels_apart_need_the_order_of_the_files(more):
    shuffled = layer("data", "ImageData", "", "data x", f'image_data_param {{ source: "list" {more} }}')
    text = f"^layer data \\(ImageData\\) has {more.split(':')[0]}, and layer tags reads the labels of layer data"
    with pytest.raises(ValueError, match=text):
        check_labels(view_of(shuffled + TAGS + FC + LOSS))
    check_labels(view_of(shuffled.replace('top: "x"', 'top: "label"') + FC + LOSS))


def test_two_layers_with_weights_under_one_name_are_refused():
    """Trained, hit@1 was 1.00; evaluated and deployed, 0.21."""
    data = layer("data", "HDF5Data", "", "data label", 'hdf5_data_param { source: "x" }')
    text = data + FC + FC.replace('top: "fc"', 'top: "other"') + LOSS
    with pytest.raises(ValueError, match=r"^in TRAIN, two layers with weights have the name fc, those that make "):
        views(parsed(text).layer, parsed(text).state)
    apart = FC.replace(" } }", " } include { phase: TRAIN } }") + FC.replace(" } }", " } include { phase: TEST } }")
    assert len(views(parsed(data + apart + LOSS).layer, parsed(text).state)) == 2
