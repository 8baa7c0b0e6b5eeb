"""What a list of images may look like, what is read of it, and what is refused with its line and a remedy."""

import codecs
import json

import numpy as np
import pytest

from caffe_losses.data import lists

NAMES = ["cat", "dog", "Home Automation", "sea, sunset"]


def listed(folder, name, content, classes=None, separator=None):
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    (folder / name).write_bytes(data)
    return lists.read(str(folder / name), classes, separator)


def labels(images):
    return [images.names(k) for k in range(len(images))]


def csv(*cells, header="path,labels"):
    return header + "\n" + "".join(f"{k}.png,{cell}\n" for k, cell in enumerate(cells))


# Separators of labels


@pytest.mark.parametrize("cells, separator, expected", [
    (("cat|dog", "cat", ""), None, [["cat", "dog"], ["cat"], []]),
    (("cat; dog", "cat"), None, [["cat", "dog"], ["cat"]]),
    (("Home Automation|cat", "cat"), None, [["Home Automation", "cat"], ["cat"]]),
    (("Home Automation|", "cat"), None, [["Home Automation"], ["cat"]]),
    (("0|3", "3"), None, [["0", "3"], ["3"]]),
    (("0 3", "3"), None, [["0", "3"], ["3"]]),
    (('"0,3"', "3"), None, [["0", "3"], ["3"]]),
    (("Home Automation", "cat"), "", [["Home Automation"], ["cat"]]),
    (("Home Automation", "cat"), " ", [["Automation", "Home"], ["cat"]]),
    (('"sea, sunset"', "sea"), ",", [["sea", "sunset"], ["sea"]]),
    (('"sea, sunset"', "sea"), "", [["sea, sunset"], ["sea"]]),
    (("cat/dog", "cat"), "/", [["cat", "dog"], ["cat"]]),
    (('"sea, sunset|cat"', "cat"), "|", [["cat", "sea, sunset"], ["cat"]]),
])  # fmt: skip
def test_labels_are_separated_by_one_separator(tmp_path, cells, separator, expected):
    assert labels(listed(tmp_path, "list.csv", csv(*cells), separator=separator)) == expected


@pytest.mark.parametrize("cells, expected", [
    (("Home Automation", "cat"), [["Home Automation"], ["cat"]]),
    (("cat dog", "dog"), [["cat", "dog"], ["dog"]]),
    (('"sea, sunset"', "dog"), [["sea, sunset"], ["dog"]]),
    (('"cat,dog"', "dog"), [["cat", "dog"], ["dog"]]),
    (('"sea, sunset|cat"', "dog"), [["cat", "sea, sunset"], ["dog"]]),
    (("0|2", "1"), [["cat", "Home Automation"], ["dog"]]),
])  # fmt: skip
def test_the_names_of_the_classes_tell_the_separator(tmp_path, cells, expected):
    assert labels(listed(tmp_path, "list.csv", csv(*cells), NAMES)) == expected


def test_names_that_fit_in_two_ways_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"line 2: .*'a b', which is one label, or several; .* as in a b\|"):
        listed(tmp_path, "list.csv", csv("a b", "a"), ["a", "b", "a b"])
    assert labels(listed(tmp_path, "list.csv", csv("a b|", "a"), ["a", "b", "a b"])) == [["a b"], ["a"]]


@pytest.mark.parametrize("name, content, message", [
    ("list.csv", csv("cat", "Home Automation"), "line 3: .*'Home Automation', which is one label, or 2 separated"),
    ("list.csv", csv('"sea, sunset"'), "line 2: .*'sea, sunset', which is one label, or 2 separated by commas"),
    ("list.csv", csv("a|b", "a;b"), r"line 3: expected one separator of labels, got \| \(line 2\) and ; \(line 3\)"),
    ("list.csv", csv('"a,b"', "a|b"), r"line 3: expected one separator of labels, got \| \(line 3\) and commas"),
    ("list.csv", csv("\"['a', 'b']\""), "line 2: .*is a list in brackets; write a|b"),
    ("list.txt", "a.jpg 3 4\nb.jpg 3,4\n", "line 2: expected labels separated by spaces, got '3,4' with commas; say"),
    ("list.txt", "a.jpg cat;dog\n", "line 1: expected labels separated by spaces, got 'cat;dog' with ;"),
    ("list.jsonl", '{"path": "a", "labels": ["a"]}', None),
])  # fmt: skip
def test_separators_that_are_not_sure_are_refused(tmp_path, name, content, message):
    if message is None:
        with pytest.raises(ValueError, match="expected cells with several labels for --separator"):
            listed(tmp_path, name, content, separator="|")
        return
    with pytest.raises(ValueError, match=message) as refusal:
        listed(tmp_path, name, content)
    assert "\n" not in str(refusal.value)


# Vectors, numbers, repeated labels


@pytest.mark.parametrize("name, content", [
    ("list.txt", "a.jpg 0 0 1\nb.jpg 1 0 0\n"),
    ("list.txt", "a.jpg -1 1\nb.jpg 1 -1\n"),
    ("list.txt", "a.jpg 0 1\nb.jpg 1 0\n"),
    ("list.txt", "a.jpg 1.0 0.0 1.0\nb.jpg 0.0 0.0 1.0\n"),
    ("list.csv", csv("1|0|0", "0|1|0")),
    ("list.csv", csv("0 1 1 1", "0 0 0 1")),
    ("list.csv", csv('"-1,1"', '"1,1"')),
    ("list.jsonl", '{"path": "a", "labels": [0, 0, 1]}\n{"path": "b", "labels": [1, 1, 0]}\n'),
])  # fmt: skip
@pytest.mark.parametrize("classes", [None, 3, ["0", "1", "-1"]])
def test_a_number_a_class_is_no_list_of_labels(tmp_path, name, content, classes):
    with pytest.raises(
        ValueError, match=r"line [12]: .*one number a class goes into a \.csv list with a column for each"
    ):
        listed(tmp_path, name, content, classes)


def test_short_lists_of_indices_are_no_vectors(tmp_path):
    assert labels(listed(tmp_path, "list.txt", "a.jpg 0 1\nb.jpg 0 1\n")) == [["0", "1"], ["0", "1"]]
    assert labels(listed(tmp_path, "list.txt", "a.jpg 1\nb.jpg 0\nc.jpg 0 1\n")) == [["1"], ["0"], ["0", "1"]]


@pytest.mark.parametrize("name, content, classes, message", [
    ("list.txt", "a.jpg cat\nb.jpg cat dog cat\n", None, "line 2: expected each label once, got 'cat' twice; leave it"),
    ("list.txt", "a.jpg 4\nb.jpg 4 2 4\n", 5, "line 2: expected each label once, got '4' twice"),
    ("list.jsonl", '{"path": "a", "labels": ["x ", "x"]}', None, "line 1: expected a class name without .*'x '"),
    ("list.jsonl", '{"path": "a", "labels": {"x": 1, "x": 0}}', None, "line 1: .* got a name twice in an object"),
    ("list.csv", csv("cat|1", "dog"), NAMES, "line 2: expected one of 4 classes, got the label '1'; labels are names"),
    ("list.csv", csv("Cat"), NAMES, "line 2: expected one of 4 classes, got the label 'Cat'; did you mean 'cat'?"),
    ("list.csv", csv("cat|-1", "dog"), None, "line 2: expected names, or class indices from 0 on, got the label '-1'"),
    ("list.txt", "a.jpg 3 5 -1\n", None, "line 1: .*got the label '-1'; list the labels that the image has"),
    ("list.txt", "a.jpg 3\nb.jpg 0.5\n", None, "line 2: .*got the label '0.5'"),
    ("list.txt", "a.jpg 3\nb.jpg 4000000000\n", None, "line 2: expected one of 16777216 classes"),
    ("list.txt", "a.jpg 3\nb.jpg ²\n", 5, "line 2: expected a class index, got the label '²'"),
    ("list.txt", "a.jpg\nb.jpg\n", None, "expected images with labels, got 2 lines without any"),
])  # fmt: skip
def test_labels_that_are_no_classes(tmp_path, name, content, classes, message):
    with pytest.raises(ValueError, match=message):
        listed(tmp_path, name, content, classes)


def test_numbers_with_zeros_in_front_are_names(tmp_path):
    assert labels(listed(tmp_path, "list.csv", csv("a007|b", "007"))) == [["a007", "b"], ["007"]]


# Tables


@pytest.mark.parametrize("content", [
    "path;labels;weight\na.png;cat|dog;2\nb.png;dog;1\n",
    "path\tlabels\tweight\na.png\tcat|dog\t2\nb.png\tdog\t1\n",
    "sep=;\r\npath;labels;weight\r\na.png;cat|dog;2\r\nb.png;dog;1\r\n",
    "PATH,Labels,Weight\ra.png,cat|dog,2\rb.png,dog,1\r",
    '\n"Path" , "Labels" , "WEIGHT"\n"a.png",cat|dog,2\n,,\n"b.png",dog,1\n'.replace(" ,", ",").replace(", ", ","),
    "Image;Cat_;Dog;weight\n".replace("Cat_", "cat").replace("Dog", "dog") + "a.png;1;1;2\nb.png;0;1;1\n",
])  # fmt: skip
def test_tables_of_excel_and_others_are_read(tmp_path, content):
    images = listed(tmp_path, "list.csv", content)
    assert images.paths == ["a.png", "b.png"]
    assert labels(images) == [["cat", "dog"], ["dog"]]
    assert images.weights.tolist() == [2, 1]


@pytest.mark.parametrize("content, message", [
    ("path,width,cat\na,64,1\n", r"line 2: expected a number in \[0, 1\] for the class width, got '64'"),
    ("path,cat\na,1\nb,-1\n", "line 3: .*got '-1'; take out a column that is no class, and write 0, not -1"),
    ("path,cat\na,nan\n", r"line 2: expected a number in \[0, 1\]"),
    ('path;cat\na;"0,5"\n', "line 2: expected a number for cat, got '0,5'"),
    ("path,cat,cat\na,1,0\n", "each name once, got 'cat' twice"),
    ("path,Path,cat\na,b,0\n", "each name once, got 'Path' twice"),
    ("path\na\n", "expected a column labels, or one for each class"),
    (",path,cat\n0,a,1\n", "one for each class with its name, got the header ',path,cat'; name each column"),
    ("path|labels\na|b\n", "line 1: expected a header with a column path, separated by commas, semicolons or tabs"),
    ("path,labels\na,cat\n,dog\n", "line 3: expected a path, got an empty cell"),
    ('path,labels\na,"cat\nb,dog\n', "line 3: .*look for a quote"),
    ('path,labels\na,"cat"x\n', "line 2: .*look for a quote"),
    ('path,labels\na,"cat\ndog|owl"\n', r"line 3: expected a class name without line breaks.*'cat\\ndog'"),
    ("path,labels\na,cat,dog\n", "line 2: expected 2 cells as in the header, got 3; quote a cell"),
])  # fmt: skip
def test_tables_that_are_not_understood(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as refusal:
        listed(tmp_path, "list.csv", content)
    assert "\n" not in str(refusal.value)


def test_columns_that_are_not_used_are_said(tmp_path):
    images = listed(tmp_path, "list.csv", "path,width,labels\na,64,cat\n")
    assert images.layout == "columns separated by commas (width: not used), one label in a cell, labels are names"


# Text and JSON


@pytest.mark.parametrize("name, content, message", [
    ("list.txt", "my cat.jpg cat\n", "line 1: expected labels after the path my, got 'cat.jpg', which is a path or"),
    ("list.txt", "a.jpg,3\n", "line 1: expected a path, a space and labels, got 'a.jpg,3'; separate them by spaces"),
    ("list.txt", "path,labels\na.jpg,cat\n", "line 1: .*got the header 'path,labels'; call the list .csv"),
    ("list.txt", "path labels\na.jpg cat\n", "line 1: .*got the header 'path labels'"),
    ("list.json", '[{"path": "a.jpg", "labels": ["cat"]}]', "line 1: expected a path and labels, got JSON; call the"),
    ("list.jsonl", '{"path": "a", "labels": "sea sunset"}', "line 1: .*got the text 'sea sunset' for labels"),
    ("list.jsonl", '{"path": "a", "labels": 3}', "line 1: .*got '3' for labels, which is no list"),
    ("list.jsonl", '{"path": "a", "labels": [true]}', "line 1: .*got the label 'True'"),
    ("list.jsonl", '{"path": "a", "labels": [1.0]}', "line 1: .*got the label '1.0'"),
    ("list.jsonl", '{"path": "a", "labels": [null]}', "line 1: .*got the label 'None'"),
    ("list.jsonl", '{"path": "a", "labels": {"x": "1"}}', "line 1: .*got '1' for x; a label has a number"),
    ("list.jsonl", '{"path": "a", "labels": {"x": NaN}}', "line 1: .*got NaN"),
    ("list.jsonl", '{"path": "a", "labels": {"x": -2}}', "line 1: .*got '-2' for x"),
    ("list.jsonl", '{"path": "a", "labels": [""]}', "line 1: expected a class name"),
    ("list.jsonl", '{"path": "", "labels": ["x"]}', "line 1: .*got a path that is no text"),
    ("list.jsonl", '{"path": "a", "labels": ["x"], "weight": true}', "line 1: expected a weight"),
    ("list.jsonl", "[" * 100000, "line 1: expected e.g."),
    ("list.jsonl", '{"path": "a", "labels": ["\\ud800"]}', "line 1: expected a class name without"),
])  # fmt: skip
def test_text_and_json_that_are_not_understood(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as refusal:
        listed(tmp_path, name, content)
    assert "\n" not in str(refusal.value)


# Encodings


@pytest.mark.parametrize("mark, encoding", [
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"), (b"", "utf-8"),
])  # fmt: skip
def test_encodings_with_a_mark_are_read(tmp_path, mark, encoding):
    images = listed(tmp_path, "list.csv", mark + "path,labels\nstraße.png,Bär|猫\n".encode(encoding))
    assert images.paths == ["straße.png"]
    assert sorted(images.classes) == ["Bär", "猫"]
    (tmp_path / "classes.txt").write_bytes(mark + "Bär\r\n猫\r\n".encode(encoding))
    assert lists.read_classes(str(tmp_path / "classes.txt")) == ["Bär", "猫"]


@pytest.mark.parametrize("encoding, message", [
    ("latin-1", "line 3: expected UTF-8, got the byte 0xe4 after 'b.png,B'; save the file as UTF-8, or convert it"),
    ("utf-16-le", "line 1: expected text, got a zero byte; save the file as UTF-8"),
])  # fmt: skip
def test_other_encodings_are_refused_by_line(tmp_path, encoding, message):
    with pytest.raises(ValueError, match=message):
        listed(tmp_path, "list.csv", "path,labels\na.png,x\nb.png,Bär\n".encode(encoding))
    with pytest.raises(ValueError, match=r"classes\.txt, line "):
        (tmp_path / "classes.txt").write_bytes("x\nBär\n".encode(encoding))
        lists.read_classes(str(tmp_path / "classes.txt"))


# Writing


STRANGE = ["a,b", "a b", "a|b", "a;b", 'a"b', "007", "7", "猫", "path", "[x]", "-1", "weight", "x.jpg", "'", "#"]


@pytest.mark.parametrize("ending", [".txt", ".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("name", STRANGE)
def test_every_name_is_kept_or_refused(tmp_path, ending, name):
    """Of one label in an image, and of two."""
    for own in ([name], [name, "other"]):
        rows = [
            {"path": "a b.png" if ending != ".txt" else "a.png", "labels": own},
            {"path": "b.png", "labels": ["other"]},
        ]
        images = listed(tmp_path, "in.jsonl", "\n".join(map(json.dumps, rows)), sorted({name, "other"}))
        try:
            content = lists.text(images, str(tmp_path / f"out{ending}"))
        except ValueError as refusal:
            assert ending != ".jsonl"
            assert "write .csv or .jsonl" in str(refusal) or "use a .jsonl list" in str(refusal)
            continue
        (tmp_path / f"out{ending}").write_text(content, encoding="utf-8")
        again = lists.read(str(tmp_path / f"out{ending}"), images.classes)
        assert (again.paths, labels(again)) == (images.paths, labels(images))
        try:
            alone = lists.read(str(tmp_path / f"out{ending}"))
        except ValueError:
            continue  # it needs the names, and says so
        assert labels(alone) == [sorted(own), ["other"]]


def test_a_path_that_a_form_cannot_hold_is_refused(tmp_path):
    images = listed(tmp_path, "in.jsonl", json.dumps({"path": "a\nb.png", "labels": ["x"]}))
    for ending in (".csv", ".jsonl"):
        (tmp_path / f"out{ending}").write_text(lists.text(images, f"out{ending}"), newline="")
        assert lists.read(str(tmp_path / f"out{ending}")).paths == ["a\nb.png"]
    with pytest.raises(ValueError, match=r"out\.txt"):
        lists.text(images, "out.txt")
    images.paths = ["\udce4.png"]
    with pytest.raises(ValueError, match=r"out\.csv: .*is a name that UTF-8 cannot hold"):
        lists.text(images, "out.csv")


def test_subsets_keep_lines_and_layout(tmp_path):
    images = listed(tmp_path, "list.csv", csv("cat", "dog", "cat"))
    part = images.subset(np.array([2, 0]))
    assert part.lines.tolist() == [4, 2]
    assert part.layout == images.layout
