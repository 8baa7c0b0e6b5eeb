"""A folder that template wrote, trained in one go: the same as by hand, resumed, repeated, stopped."""

import math
import os
import re
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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """net/, a template on a few pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    paths = write_pictures(tmp_path / "pictures", 24, height=30, width=30)
    rows = [f"pictures/{path},{'ab'[k % 2]}{'|c' * (k % 3 == 0)}" for k, path in enumerate(paths)]
    (tmp_path / "list.csv").write_text("path,labels\n" + "\n".join(rows) + "\n")
    assert main(["split", "list.csv", "-o", "lists", "--test", "0.25"]) == 0
    return template(tmp_path)


def template(tmp_path, *more):
    words = ["--lists", "lists", "--batch", "3", "--iter-size", "1", "--epochs", "4", "--seed", "1", "-o", "net", *more]
    assert main(["template", "lenet", "--loss", "sigmoid", *words]) == 0
    return tmp_path / "net"


def run(*words, folder, ranks=0):
    command = [sys.executable, "-m", "caffe_losses", "train", *words]
    if ranks:
        command = [*MPIRUN, "-n", str(ranks), *command]
    return subprocess.run(command, cwd=str(folder.parent), env=ENVIRONMENT, capture_output=True, text=True, timeout=120)


def test_it_is_the_warm_up_and_the_training_by_hand(folder):
    done = run("net", folder=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "train.log").read_text() == done.stderr
    last = weights_of(folder / f"{NET}_iter_24.caffemodel")
    caffe_program("train", "--solver", "warmup_solver.prototxt", cwd=folder)
    warmup = max(int(path.stem.split("_")[-1]) for path in folder.glob("*.solverstate") if "_iter_1." in path.name)
    state = f"{NET}_iter_{warmup}.solverstate"
    caffe_program("train", "--solver", "solver.prototxt", "--snapshot", state, cwd=folder)
    by_hand = weights_of(folder / f"{NET}_iter_24.caffemodel")
    for name, array in by_hand.items():
        np.testing.assert_allclose(last[name], array, rtol=0, atol=2e-5, err_msg=str(name))


def test_the_best_of_what_is_kept_is_published(folder):
    done = run("net", folder=folder)
    assert done.returncode == 0, done.stderr
    values = dict(re.findall(r"Iteration (\d+), Testing net[^$]*?mAP = (\S+)", done.stderr))
    kept = [int(path.stem.split("_")[-1]) for path in folder.glob("*_iter_*.caffemodel")]
    assert len(kept) == 2 and 24 in kept
    best = max(kept, key=lambda k: (float(values[str(k)]), k))
    assert done.stdout == f"net/best.caffemodel: iteration {best} of 24, mAP {float(values[str(best)]):.4g}\n"
    assert (folder / "best.caffemodel").read_bytes() == (folder / f"{NET}_iter_{best}.caffemodel").read_bytes()


def test_of_a_loss_the_lowest_is_the_best(folder, tmp_path, capsys):
    template(tmp_path, "--metrics", "ranking_loss", "mAP", "--force")
    done = run("net", folder=folder)
    assert done.returncode == 0, done.stderr
    log, solver = folder / "train.log", recipe.prototxt.read_solver(str(folder / "solver.prototxt"))
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


def test_it_can_be_repeated_and_trained_anew(folder, tmp_path):
    assert run("net", folder=folder).returncode == 0
    log, best = ((folder / name).read_bytes() for name in ("train.log", "best.caffemodel"))
    template(tmp_path)  # writes the same
    again = run("net", folder=folder)
    assert (again.returncode, again.stdout) == (0, "net is trained: net/best.caffemodel; --force trains it anew\n")
    assert ((folder / "train.log").read_bytes(), (folder / "best.caffemodel").read_bytes()) == (log, best)
    anew = run("net", "--force", folder=folder)
    assert anew.returncode == 0
    assert (folder / "train.log").read_text() == anew.stderr
    assert weights_of(folder / "best.caffemodel").keys() == weights_of(folder / f"{NET}_iter_24.caffemodel").keys()


def test_it_goes_on_after_ctrl_c(folder, tmp_path):
    template(tmp_path, "--epochs", "4000", "--force")
    command = [sys.executable, "-m", "caffe_losses", "train", "net"]
    job = subprocess.Popen(
        command, cwd=str(tmp_path), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in job.stderr:
        if "Iteration 40" in line:
            break
    os.killpg(job.pid, signal.SIGINT)  # as a terminal does
    job.stderr.read()
    assert job.wait(60) == 130
    stopped = recipe.last_snapshot(str(folder), solver(folder))
    assert stopped >= 40
    template(tmp_path, "--epochs", "4000", "--force")
    short = (folder / "solver.prototxt").read_text()
    (folder / "solver.prototxt").write_text(re.sub(r"max_iter: \d+", f"max_iter: {stopped + 12}", short))
    done = run("net", "--weights", "net/none.caffemodel", folder=folder)
    assert done.returncode == 0, done.stderr
    told = f"net goes on from iteration {stopped}, and leaves --weights out; --force trains it anew\n"
    assert done.stdout.startswith(told)
    log = (folder / "train.log").read_text()
    assert "Iteration 40" in log
    assert f"_iter_{stopped + 12}.solverstate" in log
    assert "Iteration 0," not in done.stderr


def solver(folder):
    return recipe.prototxt.read_solver(str(folder / "solver.prototxt"))


def test_a_signal_to_the_command_reaches_the_training(folder, tmp_path):
    template(tmp_path, "--epochs", "4000", "--force")
    command = [sys.executable, "-m", "caffe_losses", "train", "net"]
    job = subprocess.Popen(command, cwd=str(tmp_path), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    for line in job.stderr:
        if "Iteration 20" in line:
            break
    job.terminate()
    job.stderr.read()
    assert job.wait(60) == 143
    assert recipe.last_snapshot(str(folder), solver(folder)) >= 20


def test_a_longer_training_that_was_there(folder, tmp_path):
    template(tmp_path, "--epochs", "8", "--force")
    assert run("net", folder=folder).returncode == 0
    template(tmp_path, "--force")
    refused = run("net", folder=folder)
    assert refused.returncode == 2
    assert "net/solver.prototxt ends at iteration 24, and net has a training up to 48; give another" in refused.stderr
    anew = run("net", "--force", folder=folder)
    assert anew.returncode == 0, anew.stderr
    assert (folder / f"{NET}_iter_48.solverstate").exists()  # of the other training
    again = run("net", folder=folder)
    assert (again.returncode, again.stdout) == (0, "net is trained: net/best.caffemodel; --force trains it anew\n")


@pytest.mark.parametrize("line", ["snapshot_format: HDF5", "snapshot_after_train: false"])
def test_a_solver_that_leaves_no_weights_is_refused(folder, line):
    with (folder / "solver.prototxt").open("a") as file:
        file.write(line + "\n")
    done = run("net", folder=folder)
    assert done.returncode == 2
    assert "expected snapshot_format BINARYPROTO and snapshot_after_train true" in done.stderr


def test_on_two_processes(folder):
    done = run("net", folder=folder, ranks=2)
    assert done.returncode == 0, done.stderr
    assert (folder / "best.caffemodel").exists()
    assert (folder / "train.log").read_text().count("Optimization Done.") == 1


def test_without_metrics_and_warm_up_the_last_is_the_best(folder, tmp_path):
    (folder / "warmup_solver.prototxt").unlink()
    template(tmp_path, "--metrics", "--warmup-epochs", "0", "--force")
    done = run("net", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "net/best.caffemodel: iteration 24 of 24\n"


@pytest.mark.parametrize("words, text", [
    (["lists"], "lists/solver.prototxt is not there; give a folder that caffe-losses template wrote"),
    (["net", "--solver", "net/solver.prototxt"], "not allowed with"),
    (["--solver", "net/solver.prototxt", "--force"], "--force: expected a FOLDER, got --solver; leave it out"),
    (["net", "--warmup", "3"], "--warmup: a FOLDER tells it; leave it out, or give --solver"),
    (["net", "--snapshot", "x"], "--snapshot: a FOLDER tells it; leave it out, or give --solver"),
    ([], "one of the arguments FOLDER --solver is required"),
])  # fmt: skip
def test_refusals(folder, words, text):
    done = run(*words, folder=folder)
    assert done.returncode == 2
    assert text in done.stderr
    assert not (folder / "train.log").exists()


def test_files_of_the_user_are_not_written_over(folder):
    (folder / "best.caffemodel").write_text("mine")
    done = run("net", folder=folder)
    assert done.returncode == 2
    assert "net/best.caffemodel is there already" in done.stderr
    assert (folder / "best.caffemodel").read_text() == "mine"


def test_snapshots_of_another_program_are_not_written_over(folder):
    path = folder / f"{NET}_iter_6.caffemodel"
    path.write_text("mine")
    done = run("net", folder=folder)
    assert done.returncode == 2
    assert f"net/{path.name} is there already; give another output, or --force" in done.stderr
    assert path.read_text() == "mine"
