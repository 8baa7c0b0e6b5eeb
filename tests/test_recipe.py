"""A folder that template wrote, trained in one go: the same as by hand, resumed, repeated, stopped."""

import math
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from nets import caffe_program
from pictures import write_pictures
from training import ENVIRONMENT, MPIRUN
from training import weights as weights_of

from caffe_losses import recipe
from caffe_losses.__main__ import main

pytestmark = pytest.mark.slow

NET = "lenet_sigmoid"


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """The lists of a few pictures."""
    folder = tmp_path_factory.mktemp("lists")
    paths = write_pictures(folder, 24, height=30, width=30)
    rows = [f"{path},{'ab'[k % 2]}{'|c' * (k % 3 == 0)}" for k, path in enumerate(paths)]
    (folder / "list.csv").write_text("path,labels\n" + "\n".join(rows) + "\n")
    assert main(["split", str(folder / "list.csv"), "-o", str(folder / "lists"), "--test", "0.25"]) == 0
    return folder / "lists"


@pytest.fixture(scope="module")
def written(lists, tmp_path_factory):
    """net/, a template on these."""
    folder = tmp_path_factory.mktemp("written") / "net"
    template(lists, folder)
    return folder


@pytest.fixture(scope="module")
def trained(written, tmp_path_factory):
    """(net/ after its training, the finished process)."""
    folder = tmp_path_factory.mktemp("trained") / "net"
    shutil.copytree(str(written), str(folder))
    done = run("net", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture
def folder(written, tmp_path, monkeypatch):
    """net/ as it was written, in the current folder."""
    return here(written, tmp_path, monkeypatch)


@pytest.fixture
def trained_folder(trained, tmp_path, monkeypatch):
    """net/ after its training, in the current folder."""
    return here(trained[0], tmp_path, monkeypatch)


def here(net, tmp_path, monkeypatch):
    shutil.copytree(str(net), str(tmp_path / "net"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "net"


def template(lists, folder, *more):
    words = ["--batch", "3", "--iter-size", "1", "--epochs", "4", "--seed", "1", "--lists", str(lists), *more]
    assert main(["template", "lenet", "--loss", "sigmoid", "-o", str(folder), *words]) == 0


def set_end(folder, iteration):
    """Another max_iter."""
    path = folder / "solver.prototxt"
    path.write_text(re.sub(r"max_iter: \d+", f"max_iter: {iteration}", path.read_text()))


def run(*words, folder, ranks=0):
    command = [sys.executable, "-m", "caffe_losses", "train", *words]
    if ranks:
        command = [*MPIRUN, "-n", str(ranks), *command]
    return subprocess.run(command, cwd=str(folder.parent), env=ENVIRONMENT, capture_output=True, text=True, timeout=120)


def test_it_is_the_warm_up_and_the_training_by_hand(trained, trained_folder):
    folder = trained_folder
    assert (folder / "train.log").read_text() == trained[1].stderr
    last = weights_of(folder / f"{NET}_iter_24.caffemodel")
    caffe_program("train", "--solver", "warmup_solver.prototxt", cwd=folder)
    warmup = max(int(path.stem.split("_")[-1]) for path in folder.glob("*.solverstate") if "_iter_1." in path.name)
    state = f"{NET}_iter_{warmup}.solverstate"
    caffe_program("train", "--solver", "solver.prototxt", "--snapshot", state, cwd=folder)
    by_hand = weights_of(folder / f"{NET}_iter_24.caffemodel")
    for name, array in by_hand.items():
        np.testing.assert_allclose(last[name], array, rtol=0, atol=2e-5, err_msg=str(name))


def test_the_best_of_what_is_kept_is_published(trained):
    folder, done = trained
    values = dict(re.findall(r"Iteration (\d+), Testing net[^$]*?mAP = (\S+)", done.stderr))
    kept = [int(path.stem.split("_")[-1]) for path in folder.glob("*_iter_*.caffemodel")]
    assert len(kept) == 2 and 24 in kept
    best = max(kept, key=lambda k: (float(values[str(k)]), k))
    assert done.stdout == f"net/best.caffemodel: iteration {best} of 24, mAP {float(values[str(best)]):.4g}\n"
    assert (folder / "best.caffemodel").read_bytes() == (folder / f"{NET}_iter_{best}.caffemodel").read_bytes()


def test_of_a_loss_the_lowest_is_the_best(trained_folder, capsys):
    folder = trained_folder
    log, solver = folder / "train.log", solver_of(folder)
    first, last = sorted(recipe.snapshots(str(folder), solver))
    nan = math.nan
    for values, best in (((0.2, 0.3), first), ((0.3, 0.2), last), ((0.3, 0.3), last), ((nan, 0.3), last)):
        lines = [
            f"I1125 09:28:08.7 1 solver.cpp:336] Iteration {k}, Testing net (#0)\n"
            f"I1125 09:28:08.7 1 solver.cpp:414]     Test net output #0: ranking_loss = {value}\n"
            f"I1125 09:28:08.7 1 sgd.cpp:273] Snapshot {NET}_iter_{k}.solverstate\n"
            for k, value in zip((first, last), values)
        ]
        log.write_text("".join(lines))
        recipe.publish_best(str(folder), solver, "ranking_loss", str(folder / "best.caffemodel"))
        assert (
            f"iteration {best} of 24, ranking_loss {min(value for value in values if value > 0)}"
            in capsys.readouterr().out
        )


def test_it_can_be_repeated(lists, trained_folder, capsys):
    before = [(trained_folder / name).read_bytes() for name in ("train.log", "best.caffemodel")]
    template(lists, "net")  # writes the same
    capsys.readouterr()
    assert main(["train", "net"]) == 0
    assert capsys.readouterr().out == "net is trained: net/best.caffemodel; --force trains it anew\n"
    assert [(trained_folder / name).read_bytes() for name in ("train.log", "best.caffemodel")] == before


def test_it_goes_on_after_ctrl_c(folder):
    set_end(folder, 24000)
    command = [sys.executable, "-m", "caffe_losses", "train", "net"]
    job = subprocess.Popen(
        command, cwd=str(folder.parent), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in job.stderr:
        if "Iteration 40" in line:
            break
    os.killpg(job.pid, signal.SIGINT)  # as a terminal does
    job.stderr.read()
    assert job.wait(60) == 130
    stopped = recipe.last_snapshot(str(folder), solver_of(folder))
    assert stopped >= 40
    set_end(folder, stopped + 12)
    done = run("net", "--weights", "net/none.caffemodel", folder=folder)
    assert done.returncode == 0, done.stderr
    told = f"net goes on from iteration {stopped}, and leaves --weights out; --force trains it anew\n"
    assert done.stdout.startswith(told)
    log = (folder / "train.log").read_text()
    assert "Iteration 40" in log
    assert f"_iter_{stopped + 12}.solverstate" in log
    assert "Iteration 0," not in done.stderr


def solver_of(folder):
    return recipe.prototxt.read_solver(str(folder / "solver.prototxt"))


def test_a_signal_to_the_command_reaches_the_training(folder):
    set_end(folder, 24000)
    command = [sys.executable, "-m", "caffe_losses", "train", "net"]
    job = subprocess.Popen(command, cwd=str(folder.parent), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    for line in job.stderr:
        if "Iteration 20" in line:
            break
    job.terminate()
    job.stderr.read()
    assert job.wait(60) == 143
    assert recipe.last_snapshot(str(folder), solver_of(folder)) >= 20


def test_a_longer_training_that_was_there(lists, trained_folder, capsys):
    folder = trained_folder
    template(lists, "net", "--epochs", "3", "--force")
    assert main(["train", "net"]) == 2
    text = "net/solver.prototxt ends at iteration 18, and net has a training up to 24; give another"
    assert text in capsys.readouterr().err
    anew = run("net", "--force", folder=folder)
    assert anew.returncode == 0, anew.stderr
    assert (folder / "train.log").read_text() == anew.stderr
    assert (folder / f"{NET}_iter_24.solverstate").exists()  # of the other training
    assert weights_of(folder / "best.caffemodel").keys() == weights_of(folder / f"{NET}_iter_18.caffemodel").keys()
    assert main(["train", "net"]) == 0
    assert capsys.readouterr().out == "net is trained: net/best.caffemodel; --force trains it anew\n"


@pytest.mark.parametrize("line", ["snapshot_format: HDF5", "snapshot_after_train: false"])
def test_a_solver_that_leaves_no_weights_is_refused(folder, line, capsys):
    with (folder / "solver.prototxt").open("a") as file:
        file.write(line + "\n")
    assert main(["train", "net"]) == 2
    assert "expected snapshot_format BINARYPROTO and snapshot_after_train true" in capsys.readouterr().err


def test_on_two_processes(folder):
    done = run("net", folder=folder, ranks=2)
    assert done.returncode == 0, done.stderr
    assert (folder / "best.caffemodel").exists()
    assert (folder / "train.log").read_text().count("Optimization Done.") == 1


def test_without_metrics_and_warm_up_the_last_is_the_best(lists, folder):
    (folder / "warmup_solver.prototxt").unlink()
    template(lists, "net", "--metrics", "--warmup-epochs", "0", "--force")
    done = run("net", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "net/best.caffemodel: iteration 24 of 24\n"


@pytest.mark.parametrize("words, text", [
    (["none"], "none/solver.prototxt is not there; give a folder that caffe-losses template wrote"),
    (["net", "--solver", "net/solver.prototxt"], "not allowed with"),
    (["--solver", "net/solver.prototxt", "--force"], "--force: expected a FOLDER, got --solver; leave it out"),
    (["net", "--warmup", "3"], "--warmup: a FOLDER tells it; leave it out, or give --solver"),
    (["net", "--snapshot", "x"], "--snapshot: a FOLDER tells it; leave it out, or give --solver"),
    ([], "one of the arguments FOLDER --solver is required"),
])  # fmt: skip
def test_refusals(folder, words, text, capsys):
    assert main(["train", *words]) == 2
    assert text in capsys.readouterr().err
    assert not (folder / "train.log").exists()


def test_files_of_the_user_are_not_written_over(folder, capsys):
    (folder / "best.caffemodel").write_text("mine")
    assert main(["train", "net"]) == 2
    assert "net/best.caffemodel is there already" in capsys.readouterr().err
    assert (folder / "best.caffemodel").read_text() == "mine"


def test_snapshots_of_another_program_are_not_written_over(folder, capsys):
    path = folder / f"{NET}_iter_6.caffemodel"
    path.write_text("mine")
    assert main(["train", "net"]) == 2
    text = f"net/{path.name} is there already; give another output, or --force"
    assert text in capsys.readouterr().err
    assert path.read_text() == "mine"
