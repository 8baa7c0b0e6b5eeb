"""The whole job ends soon, and says which rank and why."""

import os
import re
import signal
import subprocess
import time

import pytest
from training import ENVIRONMENT, SOFTMAX, command, ours, ranks_of, train, write_net, write_solver

pytestmark = pytest.mark.slow

FAULTY = """
import resource
import caffe

class Faulty(caffe.Layer):
    def setup(self, bottom, top):
        self.iteration = 0
    def reshape(self, bottom, top):
        top[0].reshape(1)
    def forward(self, bottom, top):
        self.iteration += 1
        if self.iteration == 30:
            if self.param_str == "raise" and caffe.solver_rank() == 1:
                raise KeyError("image 7")
            if self.param_str == "full" and caffe.solver_rank() == 0:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    def backward(self, top, propagate_down, bottom):
        pass
"""


FAULTY_LAYER = """
layer { name: "faulty" type: "Python" bottom: "scores" top: "faulty"
  python_param { module: "faulty" layer: "Faulty" param_str: "FAULT" } }
"""


def start(folder, ranks, fault="none", snapshot=20, **more):
    """A training that does not end by itself, with a snapshot written; (process, its snapshot)."""
    (folder / "faulty.py").write_text(FAULTY)
    write_net(folder, "net", 4, loss=SOFTMAX + FAULTY_LAYER.replace("FAULT", fault))
    solver = write_solver(folder, "net", max_iter=10**8, display=0, snapshot=snapshot, **more)
    job = subprocess.Popen(
        command(ranks, "--solver", solver), cwd=str(folder), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    first = folder / f"net_iter_{snapshot}.solverstate"
    while job.poll() is None and not first.exists():
        time.sleep(0.01)
    return job, solver, first


def end(job):
    """What a job says at its end, which is near: within 10 s, or 60 where other work has the cores."""
    _, log = job.communicate(timeout=60)
    return log


def open_mpi():
    """The version of mpirun."""
    text = subprocess.run(["mpirun", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(re.search(r"(\d+)\.\d+", text).group(1))


def assert_goes_on(folder, solver, ranks=2):
    """From the last snapshot, for a few iterations."""
    last = max(folder.glob("net_iter_*.solverstate"), key=lambda path: int(path.stem.split("_")[-1]))
    number = int(last.stem.split("_")[-1])
    (folder / "net.prototxt").write_text((folder / "net.prototxt").read_text().replace('"faulty"', '"harmless"'))
    (folder / "harmless.py").write_text(FAULTY.replace("== 30", "== 0"))
    text = (folder / "net_solver.prototxt").read_text().replace("max_iter: 100000000", f"max_iter: {number + 5}")
    (folder / "net_solver.prototxt").write_text(text)
    train(ranks, solver, "--snapshot", str(last), cwd=str(folder))
    assert (folder / f"net_iter_{number + 5}.solverstate").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_job(tmp_path, rank):
    job, solver, _ = start(tmp_path, 2)
    os.kill(ranks_of(job)[rank], signal.SIGKILL)
    log = end(job)
    assert job.returncode == 137
    assert f"process rank {rank} with PID" in log
    assert re.search(r"exited\s+on\s+signal\s+9\s+\(Killed\)", log)
    assert_goes_on(tmp_path, solver)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_mpirun_ends_the_job(tmp_path, number, monkeypatch):
    # mpirun kills its ranks so many seconds later. Its default, 1, is too short where other work has the cores.
    monkeypatch.setitem(ENVIRONMENT, "OMPI_MCA_odls_base_sigkill_timeout", "5")
    # With few lines of log: for a second mpirun takes none, and what comes after a full pipe is lost.
    job, _, _ = start(tmp_path, 2, snapshot=1000)
    job.send_signal(number)
    log = end(job)
    assert job.returncode not in (0, None)
    lines = ours(log)
    assert len(lines) == 1 or (not lines and open_mpi() >= 5)  # which does not read what the ranks say then
    for line in lines:
        assert line.startswith("caffe-losses: rank 0 (")
        assert "SIGTERM: mpirun was told to stop" in line


def test_a_rank_that_raises_ends_the_job(tmp_path):
    job, solver, _ = start(tmp_path, 2, "raise")
    log = end(job)
    assert job.returncode == 1
    assert "caffe-losses: rank 1 (" in log
    assert "KeyError: 'image 7'" in log
    assert_goes_on(tmp_path, solver)


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_full_disk_ends_the_job_and_leaves_the_last_snapshot(tmp_path, ranks):
    """The limit on a file's size, which the kernel reports as it does a full disk, but with another number."""
    job, solver, first = start(tmp_path, ranks, "full")
    log = end(job)
    assert job.returncode == (1 if ranks else 2)
    line = ours(log)[0]
    assert f"snapshot {tmp_path}/net_iter_40.solverstate could not be written: File too large" in line
    assert line.endswith(f"the last whole one is {first}")
    assert ("rank 0 (" in line) == bool(ranks)
    assert not list(tmp_path.glob("net_iter_40*"))
    assert_goes_on(tmp_path, solver, ranks)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_one_process_is_answered_with_a_snapshot(tmp_path, number):
    job, solver, _ = start(tmp_path, 0)
    job.send_signal(number)
    log = end(job)
    assert job.returncode == 128 + number
    (line,) = ours(log)
    state = line.split("go on with --snapshot ")[1]
    assert line.startswith(
        f"caffe-losses: {signal.Signals(number).name} at iteration {state.split('_')[-1].split('.')[0]}"
    )
    assert_goes_on(tmp_path, solver, 0)


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_hang_up_is_answered_with_a_snapshot_and_the_training_goes_on(tmp_path, ranks):
    """As by caffe train. Of several, each may get it, as of a terminal that is closed."""
    job, solver, _ = start(tmp_path, ranks)
    for _ in range(2):
        before = asked_for(tmp_path)
        deadline = time.time() + 20
        while asked_for(tmp_path) == before and time.time() < deadline:
            for process in ranks_of(job) if ranks else [job.pid]:
                os.kill(process, signal.SIGHUP)
            time.sleep(0.1)
        assert asked_for(tmp_path) > before
    assert job.poll() is None
    job.send_signal(signal.SIGINT)
    assert "SIGINT at iteration" in end(job) or ranks
    assert_goes_on(tmp_path, solver, ranks)


def asked_for(folder):
    """How many snapshots are of an iteration at which the solver wants none."""
    return sum(int(path.stem.split("_")[-1]) % 20 != 0 for path in folder.glob("net_iter_*.solverstate"))
