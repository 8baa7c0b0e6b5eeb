"""Records of snapshots: which is the best, and what is no record."""

import json
import math

import pytest

from caffe_losses.parallel import records
from caffe_losses.parallel.progress import duration


@pytest.mark.parametrize("metric, values, best", [
    ("mAP", {6: 0.2, 12: 0.3, 18: 0.1}, 12),
    ("mAP", {6: 0.3, 12: 0.3, 18: 0.1}, 12),
    ("ranking_loss", {6: 0.2, 12: 0.3}, 6),
    ("mAP", {6: 0.2, 12: math.nan}, 6),
    ("mAP", {6: 0.2, 12: None}, 6),
    (None, {6: 0.2, 12: 0.1}, 12),
])  # fmt: skip
def test_the_best(metric, values, best):
    tests = {k: {} if value is None else {metric or "mAP": value} for k, value in values.items()}
    assert records.best(tests, metric) == best


def test_what_is_no_record_or_has_no_snapshot_is_left_out(tmp_path):
    prefix = str(tmp_path / "net")
    for iteration in (1, 2, 3, 4):
        records.write(prefix, {"iteration": iteration, "tests": {}})
    for iteration in (1, 2, 3):
        (tmp_path / f"net_iter_{iteration}.solverstate").write_text("")
    (tmp_path / "net_iter_2.json").write_text('{"iteration": 2, "te')
    (tmp_path / "net_iter_3.json").write_text(json.dumps(["mine"]))
    (tmp_path / "other_iter_1.json").write_text("{}")
    assert records.read_all(prefix) == {1: {"iteration": 1, "tests": {}}}
    records.remove(prefix, 1)
    assert records.read_all(prefix) == {}
    records.remove(prefix, 1)


@pytest.mark.parametrize("seconds, text", [(5.9, "5 s"), (60, "1 min"), (3599, "59 min"), (12000, "3 h 20 min")])
def test_durations(seconds, text):
    assert duration(seconds) == text
