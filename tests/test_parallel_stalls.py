"""Ranks that stand still are named, and end the job if that is wished."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import training
from test_parallel_faults import end, start
from training import BODY, ENVIRONMENT, command, ours, ranks_of, train, write_net, write_solver

pytestmark = pytest.mark.slow

PATIENT = """
import sys
from caffe_losses.parallel import stalls
stalls.PATIENCE = 2
from caffe_losses.__main__ import main
sys.exit(main(sys.argv[1:]))
"""

SLOW = """
import time
import caffe

class Slow(caffe.Layer):
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        top[0].reshape(1)
    def forward(self, bottom, top):
        time.sleep(0.5)
    def backward(self, top, propagate_down, bottom):
        pass
"""
SLOW_LAYER = """
layer { name: "slow" type: "Python" bottom: "scores" top: "slow" include { phase: TEST }
  python_param { module: "slow" layer: "Slow" } }
"""


@pytest.fixture
def patience(monkeypatch):
    """Two seconds of it."""
    monkeypatch.setattr(training, "TRAIN", [sys.executable, "-c", PATIENT, "train"])


@pytest.mark.parametrize("rank", [0, 2])
def test_a_stopped_rank_is_named_and_ends_the_job(tmp_path, rank):
    write_net(tmp_path, "net", 4)
    solver = write_solver(tmp_path, "net", max_iter=10**8, display=0, snapshot=20)
    job = subprocess.Popen(
        command(3, "--solver", solver, "--stall-timeout", "2"), cwd=str(tmp_path), env=ENVIRONMENT,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while job.poll() is None and not (tmp_path / "net_iter_20.solverstate").exists():
        time.sleep(0.01)
    process = ranks_of(job)[rank]
    time.sleep(0.3)
    os.kill(process, signal.SIGSTOP)
    log = end(job)
    assert job.returncode not in (0, None)
    lines = [line for line in ours(log) if "SIGTERM" not in line]  # rank 0 may be told to stop by mpirun
    assert lines[0].startswith(f"caffe-losses: rank {rank} (")
    assert re.search(rf", process {process}\) has stood still for [4-9] s, and the other ranks wait$", lines[0])
    assert lines[1:] == ["caffe-losses: --stall-timeout 2: the job ends; go on from the last snapshot"]


def test_without_a_timeout_it_is_named_once_and_may_go_on(tmp_path, patience):
    job, _, _ = start(tmp_path, 2)
    process = ranks_of(job)[1]
    os.kill(process, signal.SIGSTOP)
    lines = iter(job.stderr.readline, "")
    still = next(line for line in lines if line.startswith("caffe-losses: "))
    time.sleep(1.2)  # for a second one, which would be wrong
    os.kill(process, signal.SIGCONT)
    before = set(tmp_path.glob("net_iter_*.solverstate"))
    deadline = time.monotonic() + 20
    while set(tmp_path.glob("net_iter_*.solverstate")) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(tmp_path.glob("net_iter_*.solverstate")) > before
    job.send_signal(signal.SIGINT)
    text = rf"process {process}\) has stood still for [4-7] s, and the other ranks wait; --stall-timeout SECONDS would"
    assert re.search(text, still)
    assert not any("stood still" in line for line in ours(end(job)))


def test_rank_0_does_not_stand_still_while_it_tests(tmp_path, patience):
    (tmp_path / "slow.py").write_text(SLOW)
    write_net(tmp_path, "net", 4, body=BODY + SLOW_LAYER)
    solver = write_solver(tmp_path, "net", max_iter=2, test_iter=12, test_interval=2, test_initialization=False)
    done = train(2, solver, "--stall-timeout", "3", cwd=str(tmp_path))
    assert not ours(done.stderr)
    assert done.stderr.count("Testing net") == 1
