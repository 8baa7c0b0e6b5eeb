"""A folder that template wrote, trained in one go: the same as by hand, resumed, repeated, stopped."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from nets import caffe_program
from pictures import write_pictures
from training import ENVIRONMENT, MPIRUN
from training import weights as weights_of

from caffe_losses.__main__ import main
from caffe_losses.evaluation import read_log
from caffe_losses.parallel import records

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
    return folder, run("net", folder=folder)


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


COMMAND = [sys.executable, "-m", "caffe_losses", "train"]


def run(*words, folder, ranks=0, check=True, **environment):
    command = [*MPIRUN, "-n", str(ranks), *COMMAND, *words] if ranks else [*COMMAND, *words]
    done = subprocess.run(command, cwd=str(folder.parent), env={**ENVIRONMENT, **environment}, capture_output=True,
                          text=True, timeout=120)  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done


def start(folder, **more):
    """A training that takes long, once it is under way."""
    set_end(folder, 24000)
    more = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
    job = subprocess.Popen([*COMMAND, "net"], cwd=str(folder.parent), env=ENVIRONMENT, **more)
    while reached(folder) < 40:
        assert job.poll() is None
        time.sleep(0.05)
    return job


def reached(folder):
    """The last iteration in the log."""
    log = folder / "train.log"
    iterations = re.findall(r"Iteration (\d+) \(", log.read_text()) if log.exists() else []
    return int(iterations[-1]) if iterations else -1


def snapshots(folder):
    return sorted(records.read_all(str(folder / NET)))


def same_as_unstopped(folder, written, end):
    """Whether the weights at the end are, to the bit, those of a training that nobody stopped."""
    whole = folder.parent / "whole" / "net"
    shutil.copytree(str(written), str(whole))
    set_end(whole, end)
    run("net", folder=whole)
    name = f"{NET}_iter_{end}.caffemodel"
    return (whole / name).read_bytes() == (folder / name).read_bytes()


def test_it_is_the_warm_up_and_the_training_by_hand(trained_folder):
    folder = trained_folder
    last = weights_of(folder / f"{NET}_iter_24.caffemodel")
    caffe_program("train", "--solver", "warmup_solver.prototxt", cwd=folder)
    warmup = max(int(path.stem.split("_")[-1]) for path in folder.glob("*.solverstate") if "_iter_1." in path.name)
    state = f"{NET}_iter_{warmup}.solverstate"
    caffe_program("train", "--solver", "solver.prototxt", "--snapshot", state, cwd=folder)
    by_hand = weights_of(folder / f"{NET}_iter_24.caffemodel")
    for name, array in by_hand.items():
        np.testing.assert_allclose(last[name], array, rtol=0, atol=2e-5, err_msg=str(name))


def test_the_log_is_for_plots_and_the_terminal_for_people(trained):
    folder, done = trained
    log = (folder / "train.log").read_text()
    assert "Optimization Done." in log and "solver.cpp" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "caffe-losses: net: what Caffe prints goes to net/train.log"
    assert any(re.match(r"iteration 24: hit@1 \S+, loss \S+, mAP \S+$", line) for line in lines)


def test_the_best_of_what_is_kept_is_published(trained):
    folder, done = trained
    values = read_log(str(folder / "train.log")).test["mAP"]
    kept = snapshots(folder)
    assert len(kept) == 2 and 24 in kept
    for k in kept:
        record = json.loads((folder / f"{NET}_iter_{k}.json").read_text())
        assert (record["iteration"], record["type"]) == (k, "SGD")
        assert record["tests"]["mAP"] == pytest.approx(values[k], rel=1e-4)
    best = max(kept, key=lambda k: (values[k], k))
    assert done.stdout == f"net/best.caffemodel: iteration {best} of 24, mAP {values[best]:.4g}\n"
    assert (folder / "best.caffemodel").read_bytes() == (folder / f"{NET}_iter_{best}.caffemodel").read_bytes()


def test_it_can_be_repeated(lists, trained_folder):
    before = [(trained_folder / name).read_bytes() for name in ("train.log", "best.caffemodel")]
    template(lists, "net")  # writes the same
    done = run("net", folder=trained_folder)
    assert done.stdout == "net is trained: net/best.caffemodel; --force trains it anew\n"
    assert [(trained_folder / name).read_bytes() for name in ("train.log", "best.caffemodel")] == before
    (trained_folder / "best.caffemodel").unlink()  # as if the command had been killed before it wrote it
    assert "best.caffemodel: iteration" in run("net", folder=trained_folder).stdout
    assert (trained_folder / "best.caffemodel").read_bytes() == before[1]


# Stopped, in each way


@pytest.mark.parametrize("number, code", [
    (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9),
], ids=["SIGINT", "SIGTERM", "SIGKILL"])  # fmt: skip
def test_it_goes_on_to_the_same_bits(folder, written, number, code):
    job = start(folder, start_new_session=True)
    os.killpg(job.pid, number)  # as a terminal does
    assert job.wait(60) == code
    stopped = snapshots(folder)[-1]
    assert stopped >= 40 or number == signal.SIGKILL
    end = max(reached(folder), stopped) + 12
    set_end(folder, end)
    done = run("net", "--weights", "net/none.caffemodel", folder=folder)
    assert f"net goes on from iteration {stopped}, and leaves --weights out; --force trains it anew\n" in done.stderr
    assert len(snapshots(folder)) == 2  # --keep 2, whoever wrote them
    assert len(list(folder.glob("*.caffemodel"))) == 3
    assert same_as_unstopped(folder, written, end)


def test_a_reader_that_ends_ends_nothing(folder):
    """`| head`, Ctrl-C in front of `| tee`, a terminal that is closed."""
    job = start(folder, stderr=subprocess.PIPE, start_new_session=True)
    job.stderr.close()
    before = reached(folder)
    os.killpg(job.pid, signal.SIGHUP)
    while reached(folder) < before + 40:
        assert job.poll() is None
        time.sleep(0.05)
    job.terminate()
    assert job.wait(60) == 143


def test_a_damaged_snapshot_is_left_out(trained_folder):
    """Neither gone on from nor published."""
    first, last = snapshots(trained_folder)
    os.truncate(str(trained_folder / f"{NET}_iter_{last}.caffemodel"), 9000)
    (trained_folder / "best.caffemodel").unlink()
    done = run("net", folder=trained_folder)
    assert f"net: the snapshot of iteration {last} is left out: {NET}_iter_{last}.caffemodel is no " in done.stderr
    assert f"net goes on from iteration {first};" in done.stderr and (trained_folder / "best.caffemodel").exists()
    for k in snapshots(trained_folder)[:-1]:
        os.truncate(str(trained_folder / f"{NET}_iter_{k}.caffemodel"), 9000)
    (trained_folder / "best.caffemodel").unlink()
    run("net", folder=trained_folder)
    best, whole = (trained_folder / name for name in ("best.caffemodel", f"{NET}_iter_{last}.caffemodel"))
    assert best.read_bytes() == whole.read_bytes()


def test_closed_files_change_nothing(trained, folder):
    """The numbers of stdout and stderr would go to files of the training, and lines into these."""
    text = f"{' '.join(COMMAND)} net <&- >&- 2>&-"
    subprocess.run(["bash", "-c", text], cwd=str(folder.parent), env=ENVIRONMENT, timeout=120, check=True)
    name = f"{NET}_iter_24.caffemodel"
    mine, other = weights_of(folder / name), weights_of(trained[0] / name)
    assert all((mine[key] == other[key]).all() for key in other)


def test_a_snapshot_that_was_not_tested_is_tested_when_it_goes_on(trained_folder):
    """Killed between the two: Caffe tests after it has written a snapshot."""
    path = trained_folder / f"{NET}_iter_24.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(dict(record, tests={})))
    set_end(trained_folder, 30)
    run("net", "--keep", "9", folder=trained_folder)
    assert json.loads(path.read_text()) == record


def test_a_stop_while_the_net_is_set_up(folder):
    job = subprocess.Popen(
        [*COMMAND, "net"], cwd=str(folder.parent), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    job.stderr.readline()
    time.sleep(0.3)
    job.send_signal(signal.SIGINT)
    assert job.wait(60) == 130
    assert "Traceback" not in job.stderr.read()
    set_end(folder, 6)
    run("net", folder=folder)


def test_layers_that_draw_draw_the_same_after_a_stop(folder, written):
    drop = 'layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }\n'
    for net in (folder, written):
        text = (written / "train_val.prototxt").read_text()
        if "Dropout" not in text:
            place = text.index("layer {", text.index('"ip1"') + 1)
            text = text[:place] + drop + text[place:]
        (net / "train_val.prototxt").write_text(text)
    for end in (7, 13):
        set_end(folder, end)
        run("net", folder=folder)
    assert same_as_unstopped(folder, written, 13)


# Wrong, and then right


def test_a_first_try_with_a_typo(folder):
    refused = run("net", "--weights", "no.caffemodel", folder=folder, check=False)
    assert refused.returncode == 2 and "no.caffemodel is not there" in refused.stderr
    assert not (folder / "train.log").exists()
    set_end(folder, 6)
    run("net", folder=folder)


def test_a_force_that_is_refused_changes_nothing(trained_folder):
    before = {path.name: path.read_bytes() for path in trained_folder.iterdir()}
    refused = run("net", "--force", "--weights", "no.caffemodel", folder=trained_folder, check=False)
    assert refused.returncode == 2
    assert {path.name: path.read_bytes() for path in trained_folder.iterdir()} == before


def test_what_the_environment_and_the_folder_are_called_does_not_matter(folder):
    folder = folder.rename(folder.parent / NET)
    set_end(folder, 6)
    run(NET, folder=folder, GLOG_minloglevel="2")
    assert (folder / "best.caffemodel").exists()


def test_other_class_names_are_refused(trained_folder):
    net = trained_folder / "train_val.prototxt"
    names = trained_folder.parent / "names.txt"
    names.write_text("\n".join(reversed("abc")) + "\n")
    net.write_text(re.sub(r'classes\\": \\"[^"]*\\"', f'classes\\\\": \\\\"{names}\\\\"', net.read_text()))
    assert str(names) in net.read_text()
    set_end(trained_folder, 30)
    refused = run("net", folder=trained_folder, check=False)
    assert refused.returncode == 2
    assert "was trained with other class names, or with these in another order; give it the names" in refused.stderr


def test_a_folder_of_an_older_version_goes_on(trained_folder):
    """Without records: train.log tells."""
    kept = snapshots(trained_folder)
    for path in trained_folder.glob("*.json"):
        path.unlink()
    set_end(trained_folder, 30)
    done = run("net", folder=trained_folder)
    assert "net goes on from iteration 24;" in done.stderr
    assert set(snapshots(trained_folder)) == {30} and kept[0] < 24


def test_a_longer_training_that_was_there(lists, trained_folder):
    folder = trained_folder
    template(lists, "net", "--epochs", "3", "--force")
    refused = run("net", folder=folder, check=False)
    assert refused.returncode == 2
    text = "net/solver.prototxt ends at iteration 18, and net has a training up to 24; give another"
    assert text in refused.stderr
    run("net", "--force", folder=folder)
    assert max(snapshots(folder)) == 18
    assert (folder / f"{NET}_iter_24.solverstate").exists()  # of the other training
    assert "net is trained" in run("net", folder=folder).stdout


@pytest.mark.parametrize("line", ["snapshot_format: HDF5", "snapshot_after_train: false"])
def test_a_solver_that_leaves_no_weights_is_refused(folder, line, capsys):
    with (folder / "solver.prototxt").open("a") as file:
        file.write(line + "\n")
    assert main(["train", "net"]) == 2
    assert "expected snapshot_format BINARYPROTO and snapshot_after_train true" in capsys.readouterr().err


def test_on_two_machines_with_a_disk_each(folder, written):
    """Rank 0 decides: only its disk has the snapshots."""
    other = folder.parent / "other"
    other.mkdir()
    shutil.copytree(str(written), str(other / "net"))
    places = f'[ "$OMPI_COMM_WORLD_RANK" = 0 ] || cd {other}; exec "$0" "$@"'
    for end in (6, 12):
        for net in (folder, other / "net"):
            set_end(net, end)
        command = [*MPIRUN, "-n", "2", "bash", "-c", places, *COMMAND, "net"]
        done = subprocess.run(
            command, cwd=str(folder.parent), env=ENVIRONMENT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    assert snapshots(folder)[-1] == 12 and not snapshots(other / "net")
    assert (folder / "best.caffemodel").exists() and not (other / "net" / "best.caffemodel").exists()
    assert (folder / "train.log").read_text().count("Optimization Done.") == 2


def test_without_metrics_and_warm_up_the_last_is_the_best(lists, folder):
    (folder / "warmup_solver.prototxt").unlink()
    template(lists, "net", "--metrics", "--warmup-epochs", "0", "--force")
    assert run("net", folder=folder).stdout == "net/best.caffemodel: iteration 24 of 24\n"


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


@pytest.mark.parametrize("name", ["best.caffemodel", f"{NET}_iter_6.caffemodel"])
def test_files_of_others_are_not_written_over(folder, name):
    (folder / name).write_text("mine")
    refused = run("net", folder=folder, check=False)
    assert refused.returncode == 2
    assert f"net: {name} is there already; give another output, or --force to write over it" in refused.stderr
    assert (folder / name).read_text() == "mine"
    assert not (folder / "train.log").exists()
