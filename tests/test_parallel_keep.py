"""Snapshots that are deleted on request, and those that are kept."""

import pytest
from nets import loss_layer
from training import BODY, ours, train, write_net, write_solver

from caffe_losses.evaluation import Log

pytestmark = pytest.mark.slow

METRICS = loss_layer(
    "MultiLabelMetrics", ["scores", "labels"], ["mAP"], loss_weight=None, name="metrics", param={"test_iter": 2}
).replace("python_param", "include { phase: TEST } python_param")
TESTS = {"test_iter": 2, "test_interval": 2, "snapshot": 2, "max_iter": 13, "base_lr": 0.5, "display": 0}


def run(folder, *arguments, check=True, **solver):
    """(iterations that have a snapshot, the log) of a training on one process."""
    write_net(folder, "net", 8, body=BODY + METRICS)
    done = train(0, write_solver(folder, "net", **{**TESTS, **solver}), *arguments, cwd=str(folder), check=check)
    kept = {kind: numbers(folder, kind) for kind in ("caffemodel", "solverstate")}
    assert kept["caffemodel"] == kept["solverstate"]
    return kept["solverstate"], done.stderr


def numbers(folder, kind):
    return sorted(int(path.stem.split("_")[-1]) for path in folder.glob(f"net_iter_*.{kind}"))


def best(log, name, count, lowest):
    """The iterations with the best printed values, among those before the last snapshot."""
    at = Log(log.splitlines()).test[name] if name == "mAP" else Log(log.splitlines()).losses["test"]
    assert list(at) == [0, 2, 4, 6, 8, 10, 12]
    return sorted(sorted([12, 10, 8, 6, 4, 2], key=lambda k: at[k], reverse=not lowest)[:count])


def test_the_last_are_kept(tmp_path):
    assert run(tmp_path)[0] == [2, 4, 6, 8, 10, 12, 13]
    kept, log = run(tmp_path, "--keep", "2", max_iter=9, base_lr=0.01)
    assert kept == [8, 9, 10, 12, 13]  # of this training; 10 to 13 are of the one before
    assert "Deleted the snapshot of iteration 6 (--keep 2)" in log


def test_what_it_goes_on_from_counts_if_it_was_to_be_deleted(tmp_path):
    assert run(tmp_path, max_iter=5)[0] == [2, 4, 5]
    assert run(tmp_path, "--keep", "1", "--snapshot", "net_iter_5.solverstate", max_iter=9)[0] == [2, 4, 5, 9]
    kept, _ = run(tmp_path, "--keep", "1", "--snapshot", "net_iter_9.solverstate", max_iter=11)
    assert kept == [2, 4, 5, 11]


@pytest.mark.parametrize("name, lowest", [("mAP", False), ("loss", True)])
def test_the_best_are_kept_and_the_last(tmp_path, name, lowest):
    kept, log = run(tmp_path, "--keep", "3", "--best", name)
    assert kept == sorted([*best(log, name, 2, lowest), 13])


@pytest.mark.parametrize("arguments, solver, message", [
    (["--best", "mAP"], {}, "--best mAP: expected --keep 2 or more, the last snapshot and the best; got --keep None"),
    (["--best", "mAP", "--keep", "1"], {}, "got --keep 1"),
    (["--best", "map", "--keep", "2"], {}, "--best map: expected an output of the test net, loss, mAP"),
    (["--best", "mAP", "--keep", "2"], {"test_iter": None, "test_interval": None}, "the solver tests nothing; give it"),
    (["--keep", "0"], {}, "expected a number >= 1, got 0"),
])  # fmt: skip
def test_refusals(tmp_path, arguments, solver, message):
    _, log = run(tmp_path, *arguments, check=False, **solver)
    (line,) = ours(log)
    assert message in line
