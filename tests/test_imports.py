"""caffe-losses import, on small sets of each layout."""

import json

import numpy as np
import pytest
from layouts import CELEBA, coco_document, write_voc
from pictures import write_pictures

from caffe_losses.__main__ import main
from caffe_losses.data import Batches, lists


def run(*arguments):
    return main(["import", *map(str, arguments)])


def refused(capsys, *arguments):
    """The line that a command is refused with."""
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("caffe-losses: ") and error.count("\n") == 1
    return error[len("caffe-losses: ") : -1]


def labels_in(path):
    """{file: labels, with their values if they are not 1} of a list that was written, and its classes."""
    classes = lists.read_classes(str(path.parent / "classes.txt"))
    images = lists.read(str(path), classes)
    rows = images.dense(np.arange(len(images)), len(classes))
    names = [name.rpartition("/")[2] for name in images.paths]
    return {name: {c: v for c, v in zip(classes, row) if v} for name, row in zip(names, rows)}, classes


# COCO


@pytest.fixture
def coco(tmp_path):
    (tmp_path / "images").mkdir()
    write_pictures(tmp_path / "images", 4)
    (tmp_path / "instances.json").write_text(json.dumps(coco_document()))
    return tmp_path


def import_coco(folder, *arguments, output="lists/train.csv"):
    fixed = ["coco", folder / "instances.json", "--images", folder / "images", "-o", folder / output]
    return [*fixed, *arguments]


@pytest.mark.parametrize(
    "rule, crowd", [(None, {"dog": 1}), ("count", {"dog": 1}), ("drop", {}), ("ignore", {"dog": -1})]
)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_coco(coco, rule, crowd, form, capsys):
    arguments = import_coco(coco, *(["--difficult", rule] if rule else []), output=f"lists/train.{form}")
    if rule == "ignore" and form == "csv":
        assert "this form of list cannot hold these images" in refused(capsys, *arguments)
        assert not (coco / "lists").exists()
        return
    assert run(*arguments) == 0
    labels, classes = labels_in(coco / f"lists/train.{form}")
    assert classes == ["traffic light", "dog", "cat"]
    assert labels == {"2.png": {"traffic light": 1, "dog": 1}, "0.png": crowd, "1.png": {"dog": 1}, "3.png": {}}
    assert list(labels) == ["2.png", "0.png", "1.png", "3.png"]
    printed = capsys.readouterr().out
    assert "4 images, 3 classes (traffic light, dog, cat)" in printed
    assert f"{1 + (rule == 'drop')} image{'s' * (rule == 'drop')} without labels" in printed
    assert f"1 label of difficult objects alone: {rule or 'count'}" in printed


def test_names_with_spaces_do_not_go_into_a_text_list(coco, capsys):
    assert "or a label of it has spaces; write .csv or .jsonl" in refused(
        capsys, *import_coco(coco, output="train.txt")
    )
    assert not (coco / "train.txt").exists() and not (coco / "classes.txt").exists()


def change(*path, to):
    """A function that puts a value into the document."""

    def changed(document):
        *parents, last = path
        for key in parents:
            document = document[key]
        document[last] = to

    return changed


@pytest.mark.parametrize("changed, message", [
    (change("annotations", to=None), "expected a COCO instances file, with a list annotations, got none"),
    (change("images", 1, to=7), r"images[1]: expected id with a number or text, got '7'"),
    (change("images", 1, "file_name", to=3), "images[1]: expected file_name with text, got"),
    (change("images", 1, "id", to=2), "images[1]: expected each id once, got '2' twice"),
    (change("categories", 1, "id", to=18), "categories[1]: expected each id once, got '18' twice"),
    (change("categories", 1, "name", to="cat"), "categories: expected each name once, got 'cat' twice"),
    (change("categories", 1, "name", to="a\nb"), "classes.txt, line 2: expected a class name without line breaks"),
    (change("annotations", 2, "category_id", to=4), "annotations[2]: category_id '4' is not known"),
    (change("annotations", 2, "image_id", to=44), "annotations[2]: image_id '44' is not known"),
    (change("annotations", 2, "iscrowd", to=2), "annotations[2]: iscrowd '2' is not known"),
    (change("annotations", 2, to={"image_id": 1, "caption": "a dog"}), "annotations[2]: expected category_id with a"),
    (change("images", 1, "file_name", to="none.png"), "none.png is no file, 1 picture of 4 like it; give the folder"),
    (change("images", to=[]), "annotations[0]: image_id '2' is not known"),
])  # fmt: skip
def test_what_is_no_coco_is_refused(coco, changed, message, capsys):
    document = coco_document()
    changed(document)
    (coco / "instances.json").write_text(json.dumps(document))
    assert message in refused(capsys, *import_coco(coco))
    assert not (coco / "lists").exists()


@pytest.mark.parametrize("text, message", [
    ('{"images": [],\n "annotations": }', "instances.json, line 2: expected a COCO instances file, which is JSON; "),
    ("[]", "expected a COCO instances file, with a list images, got none"),
    ('{"images": [], "annotations": [], "categories": []}', "expected pictures, got none"),
    ("[" * 100000, "got lists in lists"),
])  # fmt: skip
def test_nor_is_this(coco, text, message, capsys):
    (coco / "instances.json").write_text(text)
    assert message in refused(capsys, *import_coco(coco))


# VOC


HARD, PLAIN = "<difficult>1</difficult>", "<difficult>0</difficult>"
VOC = {
    "train": {"a_1": [("dog", PLAIN), ("dog", HARD), ("cat", HARD)], "a_2": [("cat", ""), ("cat", "")], "a_3": []},
    "val": {"b_1": [("dog", PLAIN)]},
}


@pytest.fixture
def voc(tmp_path):
    write_voc(tmp_path / "VOC2012", VOC, ["bird", "cat", "dog"])
    return tmp_path


def import_voc(folder, *arguments, part="train", output="lists/train.csv"):
    return ["voc", folder / "VOC2012", "--set", part, "-o", folder / output, *arguments]


@pytest.mark.parametrize("rule, hard", [(None, {"cat": 1}), ("drop", {}), ("ignore", {"cat": -1})])
def test_voc(voc, rule, hard, capsys):
    assert run(*import_voc(voc, *(["--difficult", rule] if rule else []), output="lists/train.jsonl")) == 0
    labels, classes = labels_in(voc / "lists/train.jsonl")
    assert classes == ["bird", "cat", "dog"]
    assert labels == {"a_1.jpg": {"dog": 1, **hard}, "a_2.jpg": {"cat": 1}, "a_3.jpg": {}}
    printed = capsys.readouterr().out
    assert "1 image without labels" in printed
    assert "no image of" in printed


def test_the_sets_of_voc_have_the_same_classes(voc, capsys):
    assert run(*import_voc(voc)) == 0
    before = (voc / "lists/classes.txt").read_text()
    assert run(*import_voc(voc, part="val", output="lists/test.csv")) == 0
    assert "classes.txt: 3 classes, kept" in capsys.readouterr().out
    assert labels_in(voc / "lists/test.csv") == ({"b_1.jpg": {"dog": 1}}, ["bird", "cat", "dog"])
    assert (voc / "lists/classes.txt").read_text() == before


def test_without_files_of_classes_they_are_those_of_the_objects(tmp_path, capsys):
    write_voc(tmp_path / "VOC2012", dict(VOC, val={"b_1": [("elk", "")]}))
    assert run(*import_voc(tmp_path)) == 0
    assert labels_in(tmp_path / "lists/train.csv")[1] == ["cat", "dog"]
    error = refused(capsys, *import_voc(tmp_path, part="val", output="lists/test.csv"))
    assert "classes.txt is there already, without the class 'elk' of" in error
    assert not (tmp_path / "lists/test.csv").exists()


@pytest.mark.parametrize("name, text, message", [
    ("Annotations/a_2.xml", "<annotation>\n<filename>", "a_2.xml, line 2: expected XML of VOC, got "),
    ("Annotations/a_2.xml", "<html/>", "a_2.xml: expected an annotation of VOC, with a filename, got <html>"),
    ("Annotations/a_2.xml", "<annotation/>", "a_2.xml: expected an annotation of VOC, with a filename"),
    (
        "Annotations/a_2.xml",
        "<annotation><filename>a_2.jpg</filename><object/></annotation>",
        "a_2.xml, object 1: expected a name, and difficult 0 or 1, got '' and '0'",
    ),
    (
        "Annotations/a_2.xml",
        "<annotation><filename>a_2.jpg</filename><object><name>a</name><difficult>?</difficult></object></annotation>",
        "a_2.xml, object 1: expected a name, and difficult 0 or 1, got 'a' and '?'",
    ),
    ("ImageSets/Main/train.txt", "a_1\na_2 -1\n", "train.txt, line 2: expected the name of one picture, got 'a_2 -1'"),
    ("ImageSets/Main/train.txt", "\n", "expected pictures, got none"),
    ("ImageSets/Main/train.txt", "a_1\na_9\n", "a_9.xml"),
    (
        "Annotations/a_2.xml",
        "<annotation><filename>z.jpg</filename></annotation>",
        "train.txt, line 2: {}/JPEGImages/z.jpg is no file, 1 picture of 3 like it",
    ),
])  # fmt: skip
def test_what_is_no_voc_is_refused(voc, name, text, message, capsys):
    (voc / "VOC2012" / name).write_text(text)
    assert message.format(voc / "VOC2012") in refused(capsys, *import_voc(voc))
    assert not (voc / "lists").exists()


def test_a_set_that_is_not_there(voc, capsys):
    assert "expected a VOC folder with the set test, which has train, val" in refused(
        capsys, *import_voc(voc, part="test")
    )
    assert "which has no file for any set" in refused(capsys, "voc", voc, "--set", "train", "-o", voc / "x.csv")


# Tables of attributes

TABLES = {
    "list_attr_celeba.txt": CELEBA,
    "kaggle.csv": "image_id,Smiling,Young,Bald\n0.png,1,-1,1\n1.png,-1,-1,-1\n2.png,-1,1,-1\n",
    "zeros.csv": "file;Smiling;Young;Bald\r\n0.png;1;0;1\r\n1.png;0;0;0\r\n2.png;0;1;0\r\n",
}
PARTITIONS = {
    "list_eval_partition.txt": "0.png 0\n1.png 2\n2.png 2\n",
    "partition.csv": "image_id,partition\n0.png,0\n1.png,2\n2.png,2\n",
    "words.txt": "0.png train\n1.png test\n2.png test\n",
}
OF_TABLE = {"0.png": {"Smiling": 1, "Bald": 1}, "1.png": {}, "2.png": {"Young": 1}}


@pytest.fixture
def table(tmp_path):
    """A function that writes a table, and gives the arguments to import it."""
    (tmp_path / "images").mkdir()
    write_pictures(tmp_path / "images", 3)

    def arguments(text=CELEBA, name="list_attr_celeba.txt"):
        (tmp_path / name).write_text(text)
        return ["attributes", tmp_path / name, "--images", tmp_path / "images", "-o", tmp_path / "lists/train.csv"]

    return arguments


@pytest.mark.parametrize("name", TABLES)
def test_attributes(table, tmp_path, name):
    assert run(*table(TABLES[name], name)) == 0
    assert labels_in(tmp_path / "lists/train.csv") == (OF_TABLE, ["Smiling", "Young", "Bald"])


@pytest.mark.parametrize("name", PARTITIONS)
def test_their_sets(table, tmp_path, name, capsys):
    (tmp_path / name).write_text(PARTITIONS[name])
    for part, pictures in (("train", ["0.png"]), ("test", ["1.png", "2.png"])):
        assert run(*table(), "--force", "--partition", tmp_path / name, "--set", part) == 0
        assert labels_in(tmp_path / "lists/train.csv")[0] == {picture: OF_TABLE[picture] for picture in pictures}
    message = refused(capsys, *table(), "--force", "--partition", tmp_path / name, "--set", "val")
    assert "expected pictures of the set val, got the sets " in message


def test_a_partition_of_other_pictures(table, tmp_path, capsys):
    (tmp_path / "p.txt").write_text("0.png 0\n1.png 0\n")
    message = refused(capsys, *table(), "--partition", tmp_path / "p.txt", "--set", "train")
    assert f"list_attr_celeba.txt, line 5: 2.png is not in {tmp_path}/p.txt" in message
    (tmp_path / "p.txt").write_text("0.png 0\n1.png\n")
    message = refused(capsys, *table(), "--partition", tmp_path / "p.txt", "--set", "train")
    assert "p.txt, line 2: expected a picture and its set, got '1.png'" in message


@pytest.mark.parametrize("name, text, message", [
    ("a.txt", "Smiling Young\n0.png 1 -1\n", "line 1: expected the number of pictures, as in list_attr_celeba.txt"),
    ("a.txt", "", "line 1: expected the number of pictures"),
    ("a.txt", CELEBA.replace("3", "4", 1), "line 1: says 4 pictures, and 3 follow; get the whole file"),
    ("a.txt", CELEBA.replace("-1 -1 -1", "-1 -1"), "line 4: expected a picture and 3 values, got 3 cells"),
    ("a.txt", CELEBA.replace("-1 -1 -1", "-1 2 -1"), "line 4: expected 0, 1 or -1 for Young, got '2'"),
    ("a.txt", CELEBA.replace("-1 -1 -1", "-1 0 -1"), "line 4: expected -1 or 1 as in line 3, got 0; write one"),
    ("a.txt", CELEBA.replace("Young", "Bald"), "expected names of attributes, each once, got 'Bald, Bald'"),
    ("a.csv", "image_id\n0.png\n", "expected names of attributes, each once, got ''"),
    ("a.csv", "", "expected names of attributes, each once"),
    ("a.csv", 'image_id,Young\n"0.png,1\n', "line 2: expected a CSV table, got "),
    ("a.csv", "image_id,Young\n0.png,1\n3.png,1\n", "line 3: {}/3.png is no file, 1 picture of 2 like it; give the"),
])  # fmt: skip
def test_what_is_no_table_is_refused(table, tmp_path, name, text, message, capsys):
    assert message.format(tmp_path / "images") in refused(capsys, *table(text, name))
    assert not (tmp_path / "lists").exists()


# The command


@pytest.mark.parametrize("arguments, message", [
    (["coco", "x.json", "-o", "x.csv"], "import coco: expected --images, got none; give it"),
    (["voc", "x", "-o", "x.csv"], "import voc: expected --set, got none; give it"),
    (["coco", "x.json", "--images", "x", "-o", "x.csv", "--set", "train"], "import coco: --set says nothing"),
    (
        ["attributes", "x", "--images", "x", "-o", "x.csv", "--difficult", "drop"],
        "import attributes: --difficult says nothing about this layout; leave it out",
    ),
    (["attributes", "x", "--images", "x", "-o", "x.csv", "--set", "train"], "--set and --partition go together"),
    (["imagenet", "x", "-o", "x.csv"], "invalid choice: 'imagenet'"),
    (["coco", "none.json", "--images", "x", "-o", "x.csv"], "none.json"),
])  # fmt: skip
def test_options_that_do_not_fit_are_refused(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *arguments)


def test_a_list_that_is_there_is_not_written_over(coco, capsys):
    assert run(*import_coco(coco)) == 0
    before = (coco / "lists/train.csv").read_text()
    assert "is there already" in refused(capsys, *import_coco(coco, "--difficult", "drop"))
    assert (coco / "lists/train.csv").read_text() == before
    assert run(*import_coco(coco, "--difficult", "drop", "--force")) == 0
    assert (coco / "lists/train.csv").read_text() != before


@pytest.mark.slow
def test_the_data_layer_and_split_read_what_is_imported(voc):
    assert run(*import_voc(voc)) == 0
    source, classes = (str(voc / "lists" / name) for name in ("train.csv", "classes.txt"))
    reader = Batches(True, source=source, classes=classes, batch_size=3)
    assert reader.next().labels.tolist() == [[0, 1, 1], [0, 1, 0], [0, 0, 0]]
    reader.close()
    assert main(["split", source, "--classes", classes, "--test", "0.4", "-o", str(voc / "parts")]) == 0
    assert (voc / "parts/classes.txt").read_text() == "bird\ncat\ndog\n"
