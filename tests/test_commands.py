"""What all commands share: their arguments, --version, and one line where Caffe or another module is missing."""

import argparse
import os
import subprocess
import sys

import caffe
import numpy as np
import pytest
from nets import input_layer, loss_layer
from rewiring import DATA, FC, LOSS

from caffe_losses import __version__, extras
from caffe_losses.__main__ import main
from caffe_losses.commands import arguments

HIDE = """
import os, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == os.environ["HIDDEN"]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""
HDF5 = """
layer { name: "data" type: "HDF5Data" top: "data" top: "labels" hdf5_data_param { source: "list.txt" batch_size: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 5 } }
"""
PICTURES = """
layer { name: "data" type: "Python" top: "data" top: "labels" python_param { module: "caffe_losses.layers"
  layer: "MultiLabelImageData" param_str: '{"source": "list.csv", "classes": 5, "batch_size": 2, "crop_size": 2}' } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 5 } }
"""


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"caffe-losses {__version__}\n"


@pytest.mark.parametrize("words", [
    ["gradcheck", "net.prototxt"],
    ["evaluate", "--model", "net.prototxt", "--weights", "w"],
    ["predict", "--model", "net.prototxt", "--weights", "w", "a.png"],
], ids=lambda words: words[0])  # fmt: skip
def test_a_gpu_that_is_not_there_is_refused(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(input_layer("scores", (2, 3)))
    (tmp_path / "w").write_bytes(b"")
    reason = (
        "CUDA sees "
        if hasattr(caffe._caffe.Blob, "_gpu_diff_ptr")
        else "this Caffe is built for the CPU only; leave it out, or build Caffe with CUDA"
    )
    assert main([*words, "--gpu", "99"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"caffe-losses: --gpu 99: {reason}")


@pytest.mark.parametrize("words, line", [
    (["gradcheck", "n", "--gpu", "-1"], "--gpu: expected a device number such as 0, got -1"),
    ([], "the following arguments are required: COMMAND"),
    (["wire"], "the following arguments are required: net, --loss, -o/--output"),
    (["plot", "a", "--no"], "unrecognized arguments: --no"),
    (["wire", "n", "-o", "o", "--loss", "Loss"], "--loss: invalid choice: 'Loss'"),
    (["wire", "n", "-o", "o", "--loss", "AsymmetricLoss", "--param", "a=1", "--param", "a=2"],
     "--param: expected KEY=VALUE, each key once, got a twice"),
    (["template", "lenet", "--loss", "softmax", "-o", "o", "--epochs", "0"],
     "--epochs: expected a number above 0, got 0"),
])  # fmt: skip
def test_a_wrong_argument_is_told_in_one_line(words, line, capsys):
    assert main(words) == 2
    output = capsys.readouterr()
    assert not output.out
    assert output.err.startswith(f"caffe-losses: {line}")
    assert len(output.err.splitlines()) == 1


@pytest.mark.parametrize("convert, text, value", [
    (arguments.positive, "7", 7),
    (arguments.size, "9,7", (9, 7)),
    (arguments.shape, "data=1,3,9,7", ("data", [1, 3, 9, 7])),
    (arguments.shape, "1,3", (None, [1, 3])),
    (arguments.key_value, "gamma=2", ("gamma", 2)),
    (arguments.key_value, "class_weight=[1, 2]", ("class_weight", [1, 2])),
    (arguments.key_value, "class_weight=a=b.npy", ("class_weight", "a=b.npy")),
    (arguments.key_value, "label_scale=SUM", ("label_scale", "SUM")),
])  # fmt: skip
def test_arguments_are_converted(convert, text, value):
    assert convert(text) == value


@pytest.mark.parametrize("convert, texts", [
    (arguments.positive, ["0", "-1", "1.5", "x", ""]),
    (arguments.size, ["9", "9,7,5", "0,1", "a,b", "9,"]),
    (arguments.shape, ["data=", "data=1,x", "1,0", "data"]),
    (arguments.key_value, ["gamma", ""]),
])  # fmt: skip
def test_arguments_are_refused(convert, texts):
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError, match=rf"^expected [^\n]*, got {text}$"):
            convert(text)


# Modules that are missing, hidden from a process of its own and from those that it starts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("commands")
    (place / "hide").mkdir()
    (place / "hide" / "sitecustomize.py").write_text(HIDE)
    loss = loss_layer("SigmoidCrossEntropyLoss", ["scores", "labels"])
    (place / "pictures.prototxt").write_text(PICTURES + loss)
    (place / "hdf5.prototxt").write_text(HDF5 + loss)
    (place / "single.prototxt").write_text(DATA + FC + LOSS)
    (place / "solver.prototxt").write_text('net: "pictures.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 1')
    (place / "list.csv").write_text("path,labels\na.png,1|2\nb.png,3\n")
    (place / "list.txt").write_text("")
    (place / "train.log").write_text("Iteration 0, loss = 0.5\n")
    scorer = input_layer("data", (1, 3, 2, 2)) + HDF5.strip().splitlines()[1]
    (place / "scorer.prototxt").write_text(scorer)
    net = caffe.Net(str(place / "scorer.prototxt"), caffe.TEST)
    net.params["fc"][0].data[...] = np.ones((5, 12))
    net.save(str(place / "net.caffemodel"))
    net.save_hdf5(str(place / "net.caffemodel.h5"))
    return place


def without(module, folder, *words):
    """The finished process of a command to which a module is missing."""
    path = os.pathsep.join([str(folder / "hide"), os.environ["PYTHONPATH"]])
    environment = dict(os.environ, HIDDEN=module, PYTHONPATH=path, GLOG_minloglevel="2")
    command = [sys.executable, "-m", "caffe_losses", *words]
    return subprocess.run(command, cwd=str(folder), env=environment, capture_output=True, text=True, timeout=120)


EVALUATE = ["evaluate", "--model", "pictures.prototxt", "--weights", "net.caffemodel"]
PREDICT = ["predict", "--model", "pictures.prototxt", "--weights", "net.caffemodel", "a.png"]
COMMANDS = {
    "gradcheck": ["gradcheck", "single.prototxt"],
    "template": ["template", "lenet", "--loss", "softmax", "-o", "template"],
    "wire": ["wire", "single.prototxt", "-o", "out.prototxt", "--loss", "AsymmetricLoss"],
    "deploy": ["deploy", "pictures.prototxt", "-o", "out.prototxt"],
    "evaluate": EVALUATE,
    "predict": PREDICT,
    "train": ["train", "--solver", "solver.prototxt"],
}
CAFFE = "Caffe is not installed for this Python; build it with make, or docker/install-caffe FOLDER"


FIRST = "check: the TRAIN phase fails in its first iteration: "


def not_installed(module, package):
    return f"the Python module {module} is not installed; pip install {package}"


@pytest.mark.slow
@pytest.mark.parametrize("module, reason", [("caffe", CAFFE), ("google", not_installed("google", "protobuf"))])
@pytest.mark.parametrize("command", COMMANDS)
def test_without_caffe_or_protobuf(folder, command, module, reason):
    done = without(module, folder, *COMMANDS[command])
    assert (done.returncode, done.stderr) == (2, f"caffe-losses: {reason}\n")
    assert done.stdout in ("", "Failed to include caffe_pb2, things might go wrong!\n")  # pycaffe's own
    assert not (folder / "out.prototxt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words, module, reason", [
    (PREDICT, "cv2", not_installed("cv2", "opencv-python-headless")),
    (EVALUATE, "cv2", not_installed("cv2", "opencv-python-headless")),
    (COMMANDS["train"], "cv2", FIRST + not_installed("cv2", "opencv-python-headless")),
    (["plot", "train.log"], "matplotlib", not_installed("matplotlib", "matplotlib")),
    ([*EVALUATE, "--png", "out.png"], "matplotlib", not_installed("matplotlib", "matplotlib")),
    ([*EVALUATE, "--weights", "net.caffemodel.h5"], "h5py", not_installed("h5py", "h5py")),
])  # fmt: skip
def test_without_an_extra(folder, words, module, reason):
    done = without(module, folder, *words)
    line = done.stderr.splitlines()[-1]
    assert (done.returncode, done.stdout) == (2, "")
    assert line == f"caffe-losses: {reason}"
    assert "Traceback" not in done.stderr


def test_all_missing_modules_are_named_at_once(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in ("h5py", "matplotlib") else name)
    text = (
        "the Python modules cv2, h5py, matplotlib are not installed; pip install opencv-python-headless h5py matplotlib"
    )
    assert extras.remedy("cv2") == text
    assert extras.remedy("tqdm") == not_installed("tqdm", "tqdm")


@pytest.mark.slow
def test_images_that_cannot_be_counted_say_why(folder):
    """h5py counts those of HDF5Data; Caffe itself reads them without."""
    import h5py

    with h5py.File(folder / "data.h5", "w") as file:
        file["data"], file["labels"] = np.ones((4, 12)), np.eye(4, 5)
    (folder / "list.txt").write_text("data.h5\n")
    words = ["evaluate", "--model", "hdf5.prototxt", "--weights", "net.caffemodel"]
    done = without("h5py", folder, *words)
    text = f"how many images to run is not known: {not_installed('h5py', 'h5py')}; give --iterations"
    assert (done.returncode, done.stderr) == (2, f"caffe-losses: {text}\n")
    assert without("h5py", folder, *words, "--iterations", "2").returncode == 0
    assert without("tqdm", folder, *words).returncode == 0  # a bar is not needed


@pytest.mark.slow
def test_a_users_module_that_is_missing(folder):
    net = input_layer("data", (2, 3)) + (
        'layer { name: "own" type: "Python" bottom: "data" top: "own" python_param { module: "no_such" layer: "Own" } }'
    )
    (folder / "own.prototxt").write_text(net + FC.replace("data", "own") + LOSS.replace("label", "data"))
    words = ["wire", "own.prototxt", "-o", "out.prototxt", "--loss", "AsymmetricLoss", "--labels", "data", "--check"]
    done = without("none", folder, *words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
