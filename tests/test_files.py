"""Files that commands read and write: no FIFO is waited for, and of what is written, all is written or nothing."""

import os
import stat

import pytest
from nets import input_layer, net
from rewiring import DATA, FC, LOSS

from caffe_losses import files
from caffe_losses.__main__ import main

IMAGES = """
layer { name: "data" type: "ImageData" top: "data" top: "label"
  image_data_param { source: "in/train.txt" batch_size: 2 new_height: 4 new_width: 4 } }
"""
LOG = "I1125 10:00:00.0 1 solver.cpp:1] Iteration 0, loss = 0.5\n"


def names(folder):
    return sorted(os.listdir(str(folder)))


def outputs(folder, *paths, **options):
    return files.Outputs([str(folder / path) for path in paths], **options)


def fails(file):
    file.write(b"half of it")
    raise OSError(28, "No space left on device")


# Reading


def test_a_file_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100000)
    assert files.read(str(tmp_path / "a")) == b"x" * 100000
    with pytest.raises(FileNotFoundError):
        files.read(str(tmp_path / "b"))


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "fifo"))
    for path, kind in ((tmp_path / "fifo", "FIFO"), (tmp_path, "folder"), ("/dev/zero", "device")):
        with pytest.raises(ValueError, match=f"is a {kind}; expected a file"):
            files.read(str(path))


@pytest.mark.parametrize("words", [
    ["split", "fifo", "-o", "out"],
    ["resample", "fifo", "-o", "out.csv"],
    ["split", "list.csv", "--classes", "fifo", "-o", "out"],
    ["wire", "fifo", "--loss", "AsymmetricLoss", "-o", "out"],
    ["deploy", "fifo", "-o", "out"],
    ["gradcheck", "fifo"],
    ["plot", "fifo"],
    ["evaluate", "--model", "fifo", "--weights", "list.csv"],
    ["predict", "--model", "list.csv", "--weights", "fifo", "list.csv"],
    ["gradcheck", "net"],
    ["evaluate", "--model", "net", "--weights", "w.caffemodel"],
    ["wire", "net", "--loss", "AsymmetricLoss", "-o", "out", "--check"],
])  # fmt: skip
def test_no_command_waits_for_a_fifo(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    (tmp_path / "list.csv").write_text("path,labels\na.png,a\nb.png,b\n")
    (tmp_path / "h5.txt").write_text("fifo\n")
    data = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "h5.txt" } }'
    (tmp_path / "net").write_text(data + FC + LOSS)
    net(input_layer("data", (2, 5)) + FC).save(str(tmp_path / "w.caffemodel"))
    before = names(tmp_path)
    assert main(words) == 2
    assert "fifo is a FIFO; expected a file" in capsys.readouterr().err
    assert names(tmp_path) == before


# Writing


def test_texts_and_functions_are_written_and_folders_made(tmp_path):
    outputs(tmp_path, "new/folder/a", "b").write(["ä\n", lambda file: file.write(b"\x00")])
    assert (tmp_path / "new" / "folder" / "a").read_bytes() == "ä\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00"
    assert names(tmp_path) == ["b", "new"]
    mask = os.umask(0o027)
    try:
        outputs(tmp_path, "c").write([""])
    finally:
        os.umask(mask)
    assert stat.S_IMODE(os.stat(str(tmp_path / "c")).st_mode) == 0o640


def test_a_file_that_is_there_needs_force(tmp_path):
    (tmp_path / "a").write_text("old")
    os.chmod(str(tmp_path / "a"), 0o600)
    with pytest.raises(ValueError, match="is there already; give another output, or --force to write over it"):
        outputs(tmp_path, "a")
    outputs(tmp_path, "a", force=True).write(["new"])
    assert (tmp_path / "a").read_text() == "new"
    assert stat.S_IMODE(os.stat(str(tmp_path / "a")).st_mode) == 0o600


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_is_never_written_over(tmp_path, link):
    (tmp_path / "a").write_text("old")
    link(str(tmp_path / "a"), str(tmp_path / "b"))
    for path in ("a", "b", "./b"):
        with pytest.raises(ValueError, match="is an input of this command, and is not written over"):
            outputs(tmp_path, path, inputs=[str(tmp_path / "a")], force=True)


def test_a_link_stays_one(tmp_path):
    (tmp_path / "a").write_text("old")
    os.symlink("a", str(tmp_path / "b"))
    outputs(tmp_path, "b", force=True).write(["new"])
    assert (tmp_path / "b").is_symlink()
    assert (tmp_path / "a").read_text() == "new"


def test_other_names_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(str(tmp_path / "fifo"))
    for paths, message in [
        (["a", "./a"], "named for two outputs"),
        (["file/a"], "file is no folder"),
        (["fifo"], "is a FIFO"),
        (["."], "is a folder"),
    ]:
        with pytest.raises(ValueError, match=message):
            outputs(tmp_path, *paths, force=True)
    with pytest.raises(ValueError, match="is a device"):
        files.Outputs(["/dev/null"], force=True)


def test_nothing_is_written_unless_all_is(tmp_path):
    (tmp_path / "b").write_text("old")
    for force, paths in ((False, ["new/a", "c"]), (True, ["new/a", "b", "c"])):
        with pytest.raises(OSError, match=r"No space left on device: '.*/c'"):
            outputs(tmp_path, *paths, force=force).write(["", "", fails][-len(paths) :])
        assert names(tmp_path) == ["b"]
        assert (tmp_path / "b").read_text() == "old"


def test_a_name_that_cannot_be_given_gives_all_others_back(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")
    replace = os.replace

    def refuses(source, target):
        if target == str(tmp_path / "c"):
            raise PermissionError(1, "Operation not permitted", target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuses)
    with pytest.raises(PermissionError, match=r"Operation not permitted: '.*/c'$"):
        outputs(tmp_path, "a", "b", "c", force=True).write(["new"] * 3)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_file_that_comes_in_the_meantime_stays(tmp_path):
    output = outputs(tmp_path, "a")
    (tmp_path / "a").write_text("of another command")
    with pytest.raises(ValueError, match="is there already"):
        output.write(["new"])
    assert (tmp_path / "a").read_text() == "of another command"
    assert names(tmp_path) == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize("words, output", [
    (["split", "list.csv", "-o", "out"], "out/test.csv"),
    (["split", "list.csv", "-o", "out"], "out/classes.txt"),
    (["resample", "list.csv", "-o", "out.csv"], "out.csv"),
    (["wire", "net.prototxt", "--loss", "AsymmetricLoss", "-o", "out"], "out"),
    (["template", "lenet", "--loss", "softmax", "-o", "out"], "out/solver.prototxt"),
    (["plot", "train.log"], "training.png"),
])  # fmt: skip
def test_each_command_writes_over_nothing_without_force(tmp_path, monkeypatch, capsys, words, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("path,labels\n" + "".join(f"{k}.png,{k % 2}\n" for k in range(20)))
    (tmp_path / "net.prototxt").write_text(DATA + FC + LOSS)
    (tmp_path / "train.log").write_text(LOG)
    os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
    (tmp_path / output).write_text("old")
    before = sorted(tmp_path.rglob("*"))
    assert main(words) == 2
    assert f"{output} is there already" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / output).read_text() == "old"
    assert main([*words, "--force"]) == 0
    assert (tmp_path / output).read_bytes() != b"old"


@pytest.mark.parametrize("option", ["--json", "--png"])
def test_evaluate_refuses_before_its_work(tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").write_text(IMAGES + FC + LOSS)
    (tmp_path / "in").mkdir()
    for name in ("weights", "there", "in/train.txt"):
        (tmp_path / name).write_text("old")
    words = ["evaluate", "--model", "net", "--weights", "weights", option]
    assert main([*words, "there"]) == 2
    assert "there is there already" in capsys.readouterr().err
    for name in ("net", "weights", "in/train.txt"):
        assert main([*words, name, "--force"]) == 2
        assert f"{name} is an input of this command" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("words", [
    ["split", "in/train.csv", "-o", "in"],
    ["split", "in/train.csv", "--classes", "in/classes.txt", "-o", "in"],
    ["resample", "in/train.csv", "-o", "in/train.csv"],
    ["wire", "net", "--loss", "AsymmetricLoss", "-o", "net"],
    ["wire", "net", "--loss", "AsymmetricLoss", "--image-list", "in/train.csv", "in/train.csv", "--classes",
     "in/classes.txt", "-o", "in/classes.txt"],
    ["deploy", "net", "-o", "net"],
    ["plot", "train.log", "-o", "train.log"],
])  # fmt: skip
def test_no_command_writes_over_its_input(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    os.mkdir("in")
    texts = {
        "in/train.csv": "path,labels\n" + "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(20)),
        "in/classes.txt": "a\nb\n",
        "net": IMAGES + FC + LOSS,
        "train.log": LOG,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert main([*words, "--force"]) == 2
    assert "is an input of this command, and is not written over" in capsys.readouterr().err
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(texts)
    assert all((tmp_path / name).read_text() == text for name, text in texts.items())
