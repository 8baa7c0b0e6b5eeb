import numpy as np
import pytest

from caffe_losses.__main__ import main
from caffe_losses.data import lists
from caffe_losses.data.order import repeat_factors

DENSE = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
FORMS = {
    "names.txt": "a.jpg cat fish\nb.jpg\n\nc.jpg dog\n",
    "indices.txt": "a.jpg 2 0\nb.jpg\nc.jpg 1\n",
    "column.csv": "path,labels\na.jpg,fish|cat\nb.jpg,\nc.jpg,dog\n",
    "semicolons.csv": "image,labels\na.jpg,cat; fish\nb.jpg,\nc.jpg,dog\n",
    "spaces.csv": "labels,file\ncat fish,a.jpg\n,b.jpg\ndog,c.jpg\n",
    "columns.csv": "path,fish,cat,dog\na.jpg,1,1,0\nb.jpg,0,,0\nc.jpg,0,0,1.0\n",
    "rows.jsonl": '{"path": "a.jpg", "labels": ["fish", "cat"]}\n{"path": "b.jpg", "labels": []}\n'
    '{"path": "c.jpg", "labels": {"dog": 1}}\n',
}


def listed(folder, name, text, classes=("cat", "dog", "fish")):
    (folder / name).write_text(text)
    return lists.read(str(folder / name), classes)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(tmp_path, name):
    images = listed(tmp_path, name, FORMS[name])
    assert images.paths == ["a.jpg", "b.jpg", "c.jpg"]
    assert images.dense(np.arange(3), 3).tolist() == DENSE
    assert images.indices([0, 1, 2], 2).tolist() == [[0, 2], [-1, -1], [1, -1]]
    assert images.weights is None


def test_classes_are_the_list_s_own_in_alphabetical_order(tmp_path):
    assert listed(tmp_path, "list.csv", FORMS["columns.csv"], None).classes == ["cat", "dog", "fish"]
    assert listed(tmp_path, "list.txt", FORMS["names.txt"], None).classes == ["cat", "dog", "fish"]
    indexed = listed(tmp_path, "list.txt", FORMS["indices.txt"], None)
    assert indexed.classes is None
    assert indexed.num_classes() == 3


def test_a_name_with_spaces_is_one_label(tmp_path):
    images = listed(tmp_path, "list.csv", "path,labels\na b.jpg,traffic light\n", ["traffic light", "light"])
    assert images.paths == ["a b.jpg"]
    assert images.dense([0], 2).tolist() == [[1, 0]]


def test_weights_and_values(tmp_path):
    images = listed(tmp_path, "list.csv", "path,cat,dog,weight\na.jpg,0.5,0,2\nb.jpg,1,1,\n", ["cat", "dog"])
    assert images.dense([1, 0], 2).tolist() == [[1, 1], [0.5, 0]]
    assert images.weights.tolist() == [2, 1]
    assert images.frequencies().tolist() == [2, 1]
    images = listed(tmp_path, "list.jsonl", '{"path": "a.jpg", "labels": {"cat": 3, "dog": -1}}', ["cat", "dog"])
    assert images.dense([0], 2).tolist() == [[3, -1]]


WRONG = {
    "list.txt": ("a.jpg cat\nb.jpg bird\n", "line 2: expected one of 3 classes, got the label 'bird'"),
    "range.txt": ("a.jpg 3\n", "line 1: expected one of 3 classes, got the label '3'"),
    "empty.txt": ("\n", "got an empty file"),
    "header.csv": ("a.jpg,cat\n", "line 1: expected a header with a column path, .* got 'a.jpg,cat'"),
    "cells.csv": ("path,labels\na.jpg,cat,dog\n", "line 2: expected 2 cells as in the header, got 3"),
    "number.csv": ("path,cat\na.jpg,yes\n", "line 2: expected a number for cat, got 'yes'"),
    "weight.csv": ("path,labels,weight\na.jpg,cat,-1\n", r"line 2: expected a weight in \[0, 1e6\], got '-1'"),
    "row.jsonl": ('{"path": "a.jpg"}\n', "line 1: expected e.g."),
    "no.jsonl": ("cat.jpg cat\n", "line 1: expected e.g."),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_line(tmp_path, name):
    text, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        listed(tmp_path, name, text)


def test_class_files(tmp_path):
    (tmp_path / "classes.txt").write_text("cat\n\ntraffic light\n")
    assert lists.read_classes(str(tmp_path / "classes.txt")) == ["cat", "traffic light"]
    (tmp_path / "classes.txt").write_text("cat\ncat\n")
    with pytest.raises(ValueError, match="each once, got cat"):
        lists.read_classes(str(tmp_path / "classes.txt"))


def written(images, path):
    path.write_text(lists.text(images, str(path)))
    return lists.read(str(path), images.classes)


@pytest.mark.parametrize("ending", [".txt", ".csv", ".tsv", ".jsonl"])
def test_what_is_written_is_read_again(tmp_path, ending):
    images = listed(tmp_path, "list.txt", FORMS["names.txt"])
    again = written(images, tmp_path / f"out{ending}")
    assert again.paths == images.paths
    assert again.dense(range(3), 3).tolist() == DENSE


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_values_and_weights_are_written(tmp_path, ending):
    images = listed(tmp_path, "list.csv", "path,cat,a b,weight\na.jpg,0.123456789,1,0.1\n", ["cat", "a b"])
    again = written(images, tmp_path / f"out{ending}")
    assert again.dense([0], 2).tolist() == images.dense([0], 2).tolist()
    assert again.weights.tolist() == images.weights.tolist()
    with pytest.raises(ValueError, match=r"write \.csv or \.jsonl"):
        lists.text(images, str(tmp_path / "out.txt"))


def tail(folder):
    """100 images of a, 25 of b, 4 of c and b."""
    labels = ["a"] * 100 + ["b"] * 21 + ["b c"] * 4
    path = folder / "tail.txt"
    path.write_text("".join(f"{k}.jpg {label}\n" for k, label in enumerate(labels)))
    return str(path)


def test_square_root_resampling_repeats_by_the_rarest_label(tmp_path):
    factors = repeat_factors(lists.read(tail(tmp_path)))
    np.testing.assert_allclose(factors[[0, 100, 121]], [1, 2, 5])


def test_resample_command(tmp_path, capsys):
    out = str(tmp_path / "out.txt")
    assert main(["resample", tail(tmp_path), "-o", out]) == 0
    assert "162 lines for 125 images, at most 5 of one" in capsys.readouterr().out
    assert lists.read(out).frequencies().tolist() == [100, 62, 20]
