"""Kills a training on two ranks at random moments, goes on from its last snapshot, and looks at all that it has left.

    python tests/kills.py [KILLS [SEED]]

It writes a snapshot every other iteration, so that many kills hit it writing. After each kill, the solver states have
to be whole, with the weights that belong to them; none that was ever seen may be gone; and the next training has to
go on from the last.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import caffe
from training import BODY, ENVIRONMENT, command, ranks_of, write_net, write_solver

from caffe_losses.net import states as solver_states

WIDE = BODY.replace("num_output: 16", "num_output: 20000")  # 1.4 MB of weights


def states(folder):
    """{iteration: path} of the solver states."""
    return {int(path.stem.split("_")[-1]): path for path in folder.glob("net_iter_*.solverstate")}


def check(folder, path, iteration):
    """Restore a snapshot in Caffe; its weights tell their iteration, as each iteration adds one to a bias."""
    state = solver_states.read_state(str(path))
    assert state.iter == iteration, path
    solver = caffe.get_solver(str(folder / "check_solver.prototxt"))
    solver.restore(str(path))
    assert solver.iter == iteration
    count = solver.net.params["count"][1].data[0]
    assert round(float(count)) == iteration, f"{path} has the weights of iteration {count}"


# A loss of weight -1, whose gradient is -1: at a rate of 0.01 times 100, each iteration adds 1.
COUNT = """
layer { name: "one" type: "DummyData" top: "one" dummy_data_param { shape { dim: 1 dim: 1 } } }
layer { name: "count" type: "InnerProduct" bottom: "one" top: "count" loss_weight: -1
  param { lr_mult: 0 } param { lr_mult: 100 decay_mult: 0 }
  inner_product_param { num_output: 1 weight_filler { type: "constant" } } }
"""


def prepare(folder):
    write_net(folder, "net", 4, body=WIDE + COUNT)
    slow = {"momentum": 0, "weight_decay": 0, "base_lr": 0.01, "display": 0}
    write_solver(folder, "check", net="net", **slow)
    return write_solver(folder, "net", max_iter=10**8, snapshot=2, **slow)


def wait_for_another(job, folder, before):
    deadline = time.time() + 60
    while len(states(folder)) <= before and job.poll() is None and time.time() < deadline:
        time.sleep(0.005)
    assert len(states(folder)) > before, "no snapshot was written"


def kill_at_random(folder, kills, seed=0, say=lambda line: None):
    """Raises AssertionError if a snapshot is lost or damaged, or cannot be gone on from."""
    choose = random.Random(seed)
    solver = prepare(folder)
    last, seen, interrupted = None, set(), 0
    for kill in range(kills):
        more = ["--snapshot", str(last)] if last else []
        job = subprocess.Popen(
            command(2, "--solver", solver, *more), cwd=str(folder), env=ENVIRONMENT, stderr=subprocess.DEVNULL
        )
        wait_for_another(job, folder, len(seen))
        time.sleep(choose.uniform(0, 0.2))
        seen |= set(states(folder))
        ranks = ranks_of(job)
        rank = choose.choice([0, 0, 1])
        os.kill(ranks[rank], signal.SIGKILL)
        assert job.wait(timeout=10) == 137
        interrupted += bool(list((folder / "net.writing").glob("*_iter_*")))
        all_states = states(folder)
        assert seen <= set(all_states), f"lost: {seen - set(all_states)}"
        seen = set(all_states)
        for iteration in sorted(seen)[-3:]:
            check(folder, all_states[iteration], iteration)
        last = all_states[max(all_states)]
        say(f"kill {kill + 1}: rank {rank}, {len(all_states)} snapshots, last {max(all_states)}")
    for iteration, path in states(folder).items():
        check(folder, path, iteration)
    say(f"{kills} kills, {interrupted} amid a snapshot; {len(seen)} snapshots, all whole")


def main(kills=50, seed=0):
    folder = Path(tempfile.mkdtemp())
    try:
        kill_at_random(folder, int(kills), int(seed), say=lambda line: print(line, flush=True))
    finally:
        shutil.rmtree(str(folder))


if __name__ == "__main__":
    os.environ.setdefault("GLOG_minloglevel", "2")
    main(*sys.argv[1:])
