"""caffe-losses split and resample: what they write, and what they say of a list and its pictures."""

import os
import re
import shutil

import numpy as np
import pytest
from pictures import write_pictures
from test_lists import tail

from caffe_losses.__main__ import main
from caffe_losses.data import lists
from caffe_losses.data.split import split


def test_split_command_is_complete_and_disjoint(tmp_path, capsys):
    source = tail(tmp_path)
    assert main(["split", source, "-o", str(tmp_path / "out"), "--test", "0.2", "--min-images", "5"]) == 0
    assert "train.txt: 100 images" in capsys.readouterr().out
    assert lists.read_classes(str(tmp_path / "out" / "classes.txt")) == ["a", "b"]
    parts = [lists.read(str(tmp_path / "out" / f"{name}.txt")) for name in ("train", "test")]
    assert [len(part) for part in parts] == [100, 25]
    assert {path for part in parts for path in part.paths} == {str(tmp_path / f"{k}.jpg") for k in range(125)}
    assert sum(part.frequencies() for part in parts).tolist() == [100, 25]


def test_split_names_all_classes_of_a_list_of_indices(tmp_path):
    """Also those that only images of one part have."""
    (tmp_path / "list.txt").write_text("".join(f"{k}.jpg {k}\n" for k in range(10)))
    assert main(["split", str(tmp_path / "list.txt"), "-o", str(tmp_path), "--test", "0.5"]) == 0
    assert lists.read_classes(str(tmp_path / "classes.txt")) == [str(k) for k in range(10)]


@pytest.mark.parametrize("arguments, message", [
    (["--test", "1"], "--test: expected a share in (0, 1), got 1.0"),
    (["--test", "0.001"], "too few"),
    (["--min-images", "101"], "no label has 101 images"),
])  # fmt: skip
def test_split_refuses(tmp_path, capsys, arguments, message):
    assert main(["split", tail(tmp_path), "-o", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def write(folder, name, *lines):
    (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(folder / name)


def said(capsys, *words, code=0):
    """What a command prints."""
    assert main(list(words)) == code
    output = capsys.readouterr()
    return output.err if code else output.out


def parts(folder, ending="csv"):
    """The paths in train and in test, without their folders."""
    names = lists.read_classes(str(folder / "classes.txt"))
    files = [lists.read(str(folder / f"{name}.{ending}"), names) for name in ("train", "test")]
    return [[os.path.basename(path) for path in part.paths] for part in files]


def test_how_the_list_was_read_is_said(tmp_path, capsys):
    names = write_pictures(tmp_path, 20)
    source = write(
        tmp_path,
        "list.csv",
        "path;labels",
        *(f"{name};{'sea|sun set' if k % 2 else 'dog'}" for k, name in enumerate(names)),
    )
    output = said(capsys, "split", source, "-o", str(tmp_path / "out"), "--test", "0.2").splitlines()
    assert output == [
        f"{source}: columns separated by semicolons, labels separated by |, labels are names",
        f"{source}: 20 images, 3 classes (dog, sea, sun set), 1 to 2 labels an image, 1.5 on average",
        f"{tmp_path}/out/test.csv: 4 images",
        f"{tmp_path}/out/train.csv: 16 images",
        f"{tmp_path}/out/classes.txt: 3 classes",
    ]


def test_what_is_odd_is_said(tmp_path, capsys):
    write_pictures(tmp_path, 12)
    (tmp_path / "3.png").write_bytes(b"no picture")
    os.remove(str(tmp_path / "4.png"))
    os.remove(str(tmp_path / "5.png"))
    os.mkfifo(str(tmp_path / "5.png"))
    lines = [f"{k}.png,{'cat' if k else 'Cat'}" for k in range(11)] + ["11.png,"]
    output = said(capsys, "split", write(tmp_path, "list.csv", "path,labels", *lines), "-o", str(tmp_path / "out"))
    assert f"3 pictures cannot be read, the first on line 5: {tmp_path}/3.png is no image" in output
    assert "1 image without labels, the first on line 13" in output
    assert "1 class under names that look alike: 'Cat' and 'cat'" in output
    assert "test.csv: 1 images; no image of 1 class (Cat)" in output
    output = said(capsys, "split", str(tmp_path / "list.csv"), "-o", str(tmp_path / "quick"), "--unopened")
    assert (
        f"2 pictures cannot be read, the first on line 6: [Errno 2] No such file or directory: '{tmp_path}/4.png'"
        in output
    )


@pytest.mark.parametrize("again", ["line", "other spelling", "copy", "link", "hard link"])
@pytest.mark.parametrize("seed", range(3))
def test_a_picture_stays_in_one_part(tmp_path, capsys, again, seed):
    write_pictures(tmp_path, 10)
    names = {}
    for k in range(10):
        source, other = tmp_path / f"{k}.png", tmp_path / f"copy of {k}.png"
        if again in ("copy", "link", "hard link"):
            {"copy": shutil.copy, "link": os.symlink, "hard link": os.link}[again](str(source), str(other))
            names[k] = other.name
        else:
            names[k] = source.name if again == "line" else f".//{source.name}"
    lines = [f"{k}.png,a" for k in range(10)] + [f"{names[k]},{'b' if k == 2 else 'a'}" for k in range(10)]
    source, out = write(tmp_path, "list.csv", "path,labels", *lines), tmp_path / "out"
    output = said(capsys, "split", source, "-o", str(out), "--test", "0.3", "--seed", str(seed))
    assert f"10 pictures in several lines, the first, {tmp_path}/0.png" in output
    assert "in the lines 2, 12; 1 of them with different labels; the lines of a picture stay in one part" in output
    train, test = ({name.replace("copy of ", "") for name in part} for part in parts(out))
    assert (len(train), len(test)) == (7, 3)
    assert not train & test


def test_links_are_known_without_opening(tmp_path, capsys):
    write_pictures(tmp_path, 2)
    os.symlink("0.png", str(tmp_path / "x.png"))
    source = write(tmp_path, "list.csv", "path,labels", "0.png,a", "1.png,a", "x.png,a")
    assert f"the first, {tmp_path}/0.png = {tmp_path}/x.png, in the lines 2, 4" in said(
        capsys, "split", source, "-o", str(tmp_path / "out"), "--test", "0.4", "--unopened"
    )
    assert parts(tmp_path / "out") == [["0.png", "x.png"], ["1.png"]]


def test_one_picture_cannot_be_split(tmp_path, capsys):
    write_pictures(tmp_path, 1)
    source = write(tmp_path, "list.csv", "path,labels", "0.png,a", "0.png,b")
    assert "2 images are too few for 2 parts, as only 1 differ" in said(
        capsys, "split", source, "-o", str(tmp_path / "out"), "--test", "0.5", code=2
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_many_pictures_are_opened_in_processes(tmp_path, capsys):
    write_pictures(tmp_path, 210, height=2, width=2)
    (tmp_path / "207.png").write_bytes(b"")
    source = write(tmp_path, "list.csv", "path,labels", *(f"{k}.png,a" for k in range(210)))
    assert "1 picture cannot be read, the first on line 209" in said(
        capsys, "split", source, "-o", str(tmp_path / "out")
    )


@pytest.mark.parametrize(
    "sizes, tests, expected", [([1] * 10, 3, 3), ([5, 5], 3, 5), ([8, 1, 1], 2, 2), ([3, 3, 3], 7, 6)]
)
def test_groups_are_not_divided(tmp_path, sizes, tests, expected):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    images = lists.read(write(tmp_path, "list.txt", *(f"{group} {k}" for k, group in enumerate(groups))))
    for seed in range(20):
        parts = split(images, {"test": tests, "validation": 2}, seed, groups)
        assert len(parts["test"]) == expected
        groups_of = [set(part.paths) for part in parts.values()]
        assert sum(map(len, groups_of)) == len(set().union(*groups_of)) == len(sizes)
        assert sum(map(len, parts.values())) == len(groups)
        assert parts["test"].paths == split(images, {"test": tests}, seed, groups)["test"].paths


def test_a_list_for_validation(tmp_path, capsys):
    names = write_pictures(tmp_path, 20)
    source = write(tmp_path, "list.csv", "path,labels", *(f"{name},{'ab'[k % 2]}" for k, name in enumerate(names)))
    words = ["split", source, "-o", str(tmp_path / "out"), "--test", "0.2"]
    output = said(capsys, *words, "--validation", "0.1")
    assert f"{tmp_path}/out/validation.csv: 2 images" in output
    known = lists.read_classes(str(tmp_path / "out" / "classes.txt"))
    parts = {
        name: lists.read(str(tmp_path / "out" / f"{name}.csv"), known).paths for name in ("train", "validation", "test")
    }
    assert {name: len(paths) for name, paths in parts.items()} == {"train": 14, "validation": 2, "test": 4}
    assert sorted(path for paths in parts.values() for path in paths) == sorted(str(tmp_path / name) for name in names)
    old = said(capsys, *words, "--force", code=2)
    assert f"{tmp_path}/out/validation.csv is there already, and not of this split; remove it" in old
    few = said(capsys, *words, "--force", "--validation", "0.8", code=2)
    assert "20 images are too few for a share of 0.2 for test and a share of 0.8 for validation" in few
    assert "--validation: expected a share in (0, 1), got 0.0" in said(
        capsys, *words, "--force", "--validation", "0", code=2
    )


def test_a_list_of_another_form_does_not_stay_beside(tmp_path, capsys):
    source = write(tmp_path, "list.txt", *(f"{k}.png a" for k in range(10)))
    write(tmp_path, "train.csv", "path,labels", "x.png,a")
    message = said(capsys, "split", source, "-o", str(tmp_path), "--force", code=2)
    assert "train.csv is there already, and not of this split; remove it, or give another folder" in message


def test_nothing_half_is_written(tmp_path, capsys):
    """A path with a space, from the folder of the list, does not go into a text list."""
    (tmp_path / "my pictures").mkdir()
    source = write(tmp_path / "my pictures", "list.txt", *(f"{k}.png a" for k in range(10)))
    assert "has spaces; write .csv or .jsonl" in said(capsys, "split", source, "-o", str(tmp_path / "out"), code=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "separator, expected", [("", ["Arrow", "Home Automation"]), (" ", ["Arrow", "Automation", "Home"])]
)
def test_the_separator_can_be_said(tmp_path, capsys, separator, expected):
    source = write(
        tmp_path,
        "list.csv",
        "path,labels",
        "1.png,Home Automation",
        "2.png,Home Automation",
        "3.png,Arrow",
        "4.png,Arrow",
    )
    assert "give --separator" not in said(capsys, "split", source, "-o", str(tmp_path / "out"), "--test", "0.5", code=2)
    said(capsys, "split", source, "-o", str(tmp_path / "out"), "--test", "0.5", "--separator", separator)
    assert lists.read_classes(str(tmp_path / "out" / "classes.txt")) == expected
    for part in ("train", "test"):
        copy = str(tmp_path / "out" / f"{part}-resampled.csv")
        said(capsys, "resample", str(tmp_path / "out" / f"{part}.csv"), "-o", copy)
        assert set(lists.read(copy).classes) <= set(expected)


def test_resample_into_another_folder_finds_the_pictures(tmp_path, capsys):
    """And not others of the same name, which may be there."""
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
        write_pictures(tmp_path / folder, 2)
    source = write(tmp_path / "in", "list.csv", "path,labels", "0.png,a", "1.png,b")
    said(capsys, "resample", source, "-o", str(tmp_path / "out" / "list.csv"))
    assert lists.read(str(tmp_path / "out" / "list.csv")).paths == [str(tmp_path / "in" / f"{k}.png") for k in range(2)]
    said(capsys, "resample", source, "-o", str(tmp_path / "in" / "again.csv"))
    assert lists.read(str(tmp_path / "in" / "again.csv")).paths == ["0.png", "1.png"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "txt"])
def test_resample_keeps_every_label_through_each_form(tmp_path, capsys, ending):
    rows = [f'{{"path": "{k}.png", "labels": ["Sea, blue", "a|b", "Été"]}}' for k in range(4)]
    source = write(tmp_path, "list.jsonl", *rows, '{"path": "4.png", "labels": ["rare one"]}')
    out = str(tmp_path / f"out.{ending}")
    if ending == "txt":
        assert "has spaces; write .csv or .jsonl" in said(capsys, "resample", source, "-o", out, code=2)
        assert not os.path.exists(out)
        return
    said(capsys, "resample", source, "-o", out)
    images = lists.read(out)
    assert images.classes == ["Sea, blue", "a|b", "rare one", "Été"]
    assert images.frequencies().tolist() == [4, 4, 2, 4]


def test_all_classes_that_are_named_stay(tmp_path, capsys):
    source = write(tmp_path, "list.csv", "path,labels", *(f"{k}.png,{'ab'[k % 2]}" for k in range(10)))
    classes = write(tmp_path, "names.txt", "b", "owl", "a")
    output = said(capsys, "split", source, "-o", str(tmp_path / "out"), "--classes", classes)
    assert lists.read_classes(str(tmp_path / "out" / "classes.txt")) == ["b", "owl", "a"]
    assert re.search(r"train\.csv: 9 images; no image of 1 class \(owl\)", output)
    output = said(capsys, "split", source, "-o", str(tmp_path / "less"), "--classes", classes, "--min-images", "2")
    assert "left out 1 class (owl), of fewer than 2 images, and 0 images of no other class" in output
    assert lists.read_classes(str(tmp_path / "less" / "classes.txt")) == ["b", "a"]


@pytest.mark.parametrize(
    "name, separator, ending", [("list.CSV", ",", "csv"), ("list.tsv", "\t", "csv"), ("list", " ", "txt")]
)
def test_the_lists_have_names_that_templates_find(tmp_path, capsys, name, separator, ending):
    lines = [f"{k}.png{separator}a" for k in range(10)]
    source = write(tmp_path, name, *([] if ending == "txt" else [f"path{separator}labels"]), *lines)
    said(capsys, "split", source, "-o", str(tmp_path / "out"))
    assert sorted(os.listdir(str(tmp_path / "out"))) == ["classes.txt", f"test.{ending}", f"train.{ending}"]
    assert [len(part) for part in parts(tmp_path / "out", ending)] == [9, 1]
