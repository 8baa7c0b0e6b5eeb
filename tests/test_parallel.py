"""caffe-losses train on one process and on two, in real Caffe and Open MPI."""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import time
import warnings
from pathlib import Path

import caffe
import h5py
import lmdb
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from nets import caffe_program, input_layer, net
from pictures import write_list
from training import (
    BODY,
    CLASSES,
    ENVIRONMENT,
    IMAGES,
    LOSS,
    SOFTMAX,
    command,
    ranks_of,
    train,
    weights,
    write_data,
    write_net,
    write_solver,
)

from caffe_losses import losses, parallel, reduction
from caffe_losses.net import weights as weights_file
from caffe_losses.parallel import comm, devices, reduce, snapshots, solver

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("CAFFE_BUILD", os.path.join(ROOT, "build"))

# Float rounding, of weights about 1: 100 sums of two halves of a batch, where one process sums the whole batch.
ROUNDING = 1e-5

SOLVERS = {
    "SGD": {},
    "Adam": {"base_lr": 0.01},
    "Nesterov": {"max_iter": 10},
    "AdaGrad": {"max_iter": 10, "momentum": None},
    "RMSProp": {"max_iter": 10, "momentum": None, "base_lr": 0.01},
    "AdaDelta": {"max_iter": 10, "momentum": 0.95, "delta": 1e-6, "base_lr": 1},
}


@pytest.fixture
def folder(tmp_path):
    write_data(tmp_path)
    return tmp_path


def trained(folder, name, ranks, batch, *arguments, solver=(), **net):
    """The weights after a training of a net of that batch, on as many ranks; and its log."""
    write_net(folder, name, batch, **net)
    done = train(ranks, write_solver(folder, name, **dict(solver)), *arguments, cwd=str(folder))
    last = max(folder.glob(f"{name}_iter_*.caffemodel"), key=os.path.getmtime)
    return weights(last), done.stderr


def assert_equal(found, expected, atol=ROUNDING):
    assert found.keys() == expected.keys()
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=0, atol=atol, err_msg=str(key))


# N ranks with a batch of B are one process with a batch of N B


@pytest.mark.parametrize("kind", SOLVERS)
def test_two_ranks_are_one_process_with_twice_the_batch(folder, kind):
    solver = {"type": kind, **SOLVERS[kind]}
    one, _ = trained(folder, "one", 0, 8, solver=solver)
    two, log = trained(folder, "two", 2, 4, solver=solver)
    assert_equal(two, one)
    assert "2 processes" in log


def test_iter_size(folder):
    one, _ = trained(folder, "one", 0, 4, solver={"iter_size": 2})
    two, _ = trained(folder, "two", 2, 2, solver={"iter_size": 2})
    assert_equal(two, one)


LMDB = """
layer { name: "data" type: "Data" top: "data" data_param { source: "images" batch_size: BATCH backend: LMDB } }
layer { name: "labels" type: "Data" top: "labels" data_param { source: "labels" batch_size: BATCH backend: LMDB } }
"""


def test_data_layers_that_read_databases(folder):
    """Their threads read ahead, each rank's for itself."""
    with h5py.File(str(folder / "data.h5"), "r") as file:
        rows = {"images": file["data"][...], "labels": file["labels"][...]}
    for name, array in rows.items():
        with lmdb.open(str(folder / name), map_size=1 << 24) as environment, environment.begin(write=True) as database:
            for k, row in enumerate(array):
                datum = caffe_pb2.Datum(channels=len(row), height=1, width=1, float_data=row.tolist())
                database.put(b"%08d" % k, datum.SerializeToString())
    one, _ = trained(folder, "one", 0, 8, data=LMDB.replace("BATCH", "8"))
    two, _ = trained(folder, "two", 2, 4, data=LMDB.replace("BATCH", "4"))
    assert_equal(two, one)


def image_data(source, batch):
    """Shuffled, cropped and mirrored by chance: the same chance on any number of ranks."""
    options = {"source": source, "classes": CLASSES, "batch_size": batch, "shuffle": True, "mirror": True}
    options.update(crop_size=8, scale=1 / 256, mean_value=128, workers=1, resample=True)
    return f"""layer {{ name: "data" type: "Python" top: "data" top: "labels" python_param {{
      module: "caffe_losses.layers" layer: "MultiLabelImageData" param_str: '{json.dumps(options)}' }} }}"""


def test_images_with_several_labels(folder):
    source = write_list(folder, 10, CLASSES)
    one, _ = trained(folder, "one", 0, 8, data=image_data(source, 8), solver={"base_lr": 0.01})
    two, _ = trained(folder, "two", 2, 4, data=image_data(source, 4), solver={"base_lr": 0.01})
    assert_equal(two, one)


SHARED = (
    BODY.replace('bottom: "fc1" top: "scores"', 'bottom: "fc1" top: "fc2"')
    + """
layer { name: "again" type: "InnerProduct" bottom: "fc2" top: "fc3" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "more" type: "InnerProduct" bottom: "fc3" top: "scores" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
"""
)


def test_layers_that_share_weights(folder):
    one, _ = trained(folder, "one", 0, 8, body=SHARED, solver={"base_lr": 0.02})
    two, _ = trained(folder, "two", 2, 4, body=SHARED, solver={"base_lr": 0.02})
    assert_equal(two, one)


NORMALIZED = BODY.replace(
    'name: "relu"', 'name: "norm" type: "BatchNorm" bottom: "fc1" top: "fc1" } layer { name: "relu"'
)


def test_batch_normalization_is_of_each_ranks_batch(folder):
    """So that two ranks are one process with iter_size 2 on the same batches, and not one with twice the batch."""
    rows = np.arange(IMAGES).reshape(-1, 4, 2).transpose(0, 2, 1).ravel()  # of 8: 0 2 4 6, then 1 3 5 7
    write_data(folder, "by_rank", rows)
    one, _ = trained(folder, "one", 0, 4, source="by_rank", body=NORMALIZED, solver={"iter_size": 2})
    two, _ = trained(folder, "two", 2, 4, body=NORMALIZED)
    whole, _ = trained(folder, "whole", 0, 8, body=NORMALIZED)
    learned = [key for key in one if key[0] != "norm"]  # the moving averages are those of rank 0's batches
    assert_equal({key: two[key] for key in learned}, {key: one[key] for key in learned})
    assert max(np.abs(two[key] - whole[key]).max() for key in learned) > 100 * ROUNDING


@pytest.mark.parametrize("layer", ["MultiLabelSoftmaxLoss", "SigmoidCrossEntropyLoss"])
def test_valid_counts_over_all_ranks(folder, layer):
    """Ignored labels are many on one rank and few, or none, on the other, which then has batches without a label."""
    labels = (np.random.RandomState(1).rand(IMAGES, CLASSES) < 0.3).astype(np.float32)
    labels[1::2, 2:] = -1
    labels[9::8], labels[11::8], labels[13:40:8], labels[15:40:8] = -1, -1, -1, -1
    labels[1:8:2] = -1  # the whole batch of rank 1
    write_data(folder, labels=labels)
    loss = LOSS.format(layer=layer, param='{"ignore_label": -1, "normalization": "VALID"}')
    one, _ = trained(folder, "one", 0, 8, loss=loss)
    two, _ = trained(folder, "two", 2, 4, loss=loss)
    assert_equal(two, one)


def test_nothing_valid_on_any_rank_is_no_division_by_zero(monkeypatch):
    scores, labels = np.ones((2, 3)), np.full((2, 3), -1.0)
    loss = losses.MultiLabelSoftmaxLoss(ignore_label=-1)
    monkeypatch.setattr(reduction, "over_ranks", lambda count: 0.0)
    value, gradient = loss(scores, labels)
    assert value == 0
    assert not gradient.any()
    labels[0] = 1
    monkeypatch.setattr(reduction, "over_ranks", lambda count: (count + 3) / 2)
    np.testing.assert_allclose(loss(scores, labels)[0], np.log(3) / 2)


# As `caffe train`

TEST_NET = {"test_iter": 2, "test_interval": 6, "average_loss": 3, "display": 2, "max_iter": 12}


def outputs(log):
    """The figures of a Caffe log, without times."""
    lines = [line.split("] ", 1)[1] for line in log.splitlines() if "] " in line]
    lines = [line.split(" (", 1)[0] + line[line.find("), loss") :] if " iter/s" in line else line for line in lines]
    return [
        line
        for line in lines
        if line.lstrip().startswith(("Iteration", "Train net", "Test net", "Optimization", "MultiStep"))
    ]


def test_one_process_is_caffe_train(folder):
    one, log = trained(folder, "one", 0, 8, solver=dict(TEST_NET, lr_policy="multistep", stepvalue=5, gamma=0.5))
    write_net(folder, "caffe", 8)
    solver = write_solver(folder, "caffe", lr_policy="multistep", stepvalue=5, gamma=0.5, **TEST_NET)
    done = caffe_program("train", "--solver", solver, cwd=folder)
    assert_equal(weights(folder / "caffe_iter_12.caffemodel"), one, atol=0)
    assert outputs(log) == outputs(done.stdout)[: len(outputs(log))]
    assert len(outputs(log)) > 20


def test_rank_0_alone_tests_and_logs(folder):
    _, one = trained(folder, "one", 0, 8, solver=TEST_NET)
    _, two = trained(folder, "two", 2, 4, solver=TEST_NET)
    assert two.count("Test net output") == one.count("Test net output")
    assert two.count("lr = ") == one.count("lr = ") == 6
    assert len({line.split()[2] for line in two.splitlines() if line.startswith("I")}) == 1  # one process's number


def test_caffes_own_tool_reads_the_log(folder, monkeypatch):
    _, log = trained(folder, "two", 2, 4, solver=TEST_NET)
    (folder / "log").write_text(log)
    monkeypatch.syspath_prepend(os.path.join(BUILD, "source", "tools", "extra"))
    with open(os.path.join(BUILD, "source", "tools", "extra", "parse_log.py")) as file:
        text = file.read().replace("print 'Wrote %s' % output_filename", "pass")  # the rest is Python 3 too
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("parse_log", None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its regular expressions, which are no raw strings
        exec(compile(text, "parse_log.py", "exec"), tool.__dict__)
    training, test = tool.parse_log(str(folder / "log"))
    assert [row["NumIters"] for row in training] == [0, 2, 4, 6, 8, 10]
    assert [row["NumIters"] for row in test] == [0, 6, 12]
    assert all(row["LearningRate"] == 0.1 for row in training)


# Snapshots


@pytest.mark.parametrize("snapshot_format", ["BINARYPROTO", "HDF5"])
def test_going_on_from_a_snapshot(folder, snapshot_format):
    """At the start of an epoch, as the data begin anew; on the way max_iter holds, and the last snapshot is written."""
    end = {"BINARYPROTO": "", "HDF5": ".h5"}[snapshot_format]
    more = {"type": "Adam", "base_lr": 0.01, "snapshot": 12, "max_iter": 20, "snapshot_format": snapshot_format}
    write_net(folder, "net", 4)
    solver = write_solver(folder, "net", **more)
    train(2, solver)
    names = {f"net_iter_{k}.{kind}{end}" for k in (12, 20) for kind in ("caffemodel", "solverstate")}
    assert {path.name for path in folder.glob("net*iter*")} == names
    assert not list(folder.glob("*.writing"))
    through = arrays(folder / f"net_iter_20.caffemodel{end}", folder)
    os.remove(str(folder / f"net_iter_20.caffemodel{end}"))
    done = train(2, solver, "--snapshot", str(folder / f"net_iter_12.solverstate{end}"))
    assert "Iteration 12, lr" not in done.stderr  # display: 20
    for found, expected in zip(arrays(folder / f"net_iter_20.caffemodel{end}", folder), through):
        np.testing.assert_array_equal(found, expected)
    state = snapshots.read_state(str(folder / f"net_iter_20.solverstate{end}"))
    assert (state.iter, state.learned_net) == (20, f"{folder}/net_iter_20.caffemodel{end}")
    caffe_program("train", "--solver", solver, "--snapshot", f"net_iter_12.solverstate{end}", cwd=folder)


def arrays(path, folder):
    one = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    weights_file.copy(one, str(path))
    return [blob.data.copy() for blob in reduce.learned_blobs(one)]


def test_weights_to_start_from_are_needed_on_rank_0_only(folder):
    start, _ = trained(folder, "start", 0, 8, solver={"max_iter": 3, "random_seed": 9})
    given = str(folder / "start_iter_3.caffemodel")
    found, _ = trained(folder, "two", 2, 4, "--weights", given, solver={"max_iter": 1, "base_lr": 0})
    assert_equal(found, start, atol=0)


def test_a_snapshot_that_is_not_whole_is_refused(folder):
    trained(folder, "net", 0, 8, solver={"max_iter": 3})
    state = folder / "net_iter_3.solverstate"
    whole = state.read_bytes()
    state.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"net_iter_3\.solverstate is no solver state, or not a whole one"):
        snapshots.read_state(str(state))
    state.write_bytes(whole)
    os.remove(str(folder / "net_iter_3.caffemodel"))
    done = train(2, str(folder / "net_solver.prototxt"), "--snapshot", str(state), check=False)
    assert done.returncode == 2
    assert ours(done.stderr) == [
        f"caffe-losses: rank 0: {state} names its weights {folder}/net_iter_3.caffemodel, which are not there; "
        "start where that name leads to them"
    ]


def test_a_snapshot_of_another_type_of_solver_is_refused(folder):
    trained(folder, "net", 0, 8, solver={"max_iter": 3})
    solver = write_solver(folder, "net", type="Adam")
    done = train(0, solver, "--snapshot", str(folder / "net_iter_3.solverstate"), check=False)
    assert done.returncode == 2
    assert f"net_iter_3.solverstate has 4 arrays of history, where {solver} takes 8" in done.stderr


def ours(log):
    return [line for line in log.splitlines() if line.startswith("caffe-losses: ")]


# The learning rate


def rates(log):
    return [float(line.split("lr = ")[1]) for line in log.splitlines() if ", lr = " in line]


def test_warm_up_then_the_solvers_policy(folder):
    policy = {"lr_policy": "multistep", "stepvalue": 6, "gamma": 0.5, "display": 1, "max_iter": 8, "base_lr": 0.4}
    _, log = trained(folder, "one", 0, 8, "--warmup", "4", "--warmup-lr", "0.2", solver=policy)
    np.testing.assert_allclose(rates(log), [0.2, 0.25, 0.3, 0.35, 0.4, 0.4, 0.2, 0.2], rtol=1e-5)
    _, log = trained(folder, "two", 2, 4, "--warmup", "4", "--scale-lr", solver=dict(policy, base_lr=0.2))
    np.testing.assert_allclose(rates(log), [0.04, 0.13, 0.22, 0.31, 0.4, 0.4, 0.2, 0.2], rtol=1e-5)


# What does not share its data out

MADE = 'layer { name: "made" type: "DummyData" top: "data" dummy_data_param { shape { dim: 1 dim: 2 } } }'
FED = """layer { name: "fed" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 1 channels: 1 height: 1 width: 1 } }"""
OWN = 'layer { name: "own" type: "Python" top: "data" python_param { module: "test_parallel" layer: "Own" } }'


class Own(caffe.Layer):
    def setup(self, bottom, top):
        top[0].reshape(1)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


def test_data_layers_that_do_not_share_out_are_refused(monkeypatch):
    solver.check_sharded(net(MADE), 2)
    for text, name in [(input_layer("fed", (1, 2)), "Input"), (FED, "MemoryData"), (OWN, "Own")]:
        with pytest.raises(ValueError, match=rf"\({name}\) does not share its data out, so that 2 processes"):
            solver.check_sharded(net(text), 2)
    monkeypatch.setattr(Own, "shards", True, raising=False)
    solver.check_sharded(net(OWN), 2)


def test_a_refusal_is_one_line_of_rank_0(folder):
    write_net(folder, "fed", 4, data=input_layer("data", (4, 12)) + input_layer("labels", (4, 6)))
    done = train(2, write_solver(folder, "fed"), check=False)
    assert done.returncode == 2
    (line,) = ours(done.stderr)
    assert "layer data (Input) does not share its data out" in line
    assert not list(folder.glob("*.writing"))


# Faults: the whole job ends in 10 s, and says which rank and why

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


def start(folder, ranks, fault="none", **more):
    """A training that does not end by itself, with a snapshot written; (process, its snapshot)."""
    (folder / "faulty.py").write_text(FAULTY)
    write_net(folder, "net", 4, loss=SOFTMAX + FAULTY_LAYER.replace("FAULT", fault))
    solver = write_solver(folder, "net", max_iter=10**8, display=0, snapshot=20, **more)
    job = subprocess.Popen(
        command(ranks, "--solver", solver), cwd=str(folder), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    first = folder / "net_iter_20.solverstate"
    while job.poll() is None and not first.exists():
        time.sleep(0.01)
    return job, solver, first


def end(job):
    """What a job says in its last 10 s."""
    _, log = job.communicate(timeout=10)
    return log


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
def test_a_killed_rank_ends_the_job(folder, rank):
    job, solver, _ = start(folder, 2)
    os.kill(ranks_of(job)[rank], signal.SIGKILL)
    log = end(job)
    assert job.returncode == 137
    assert f"process rank {rank} with PID" in log
    assert "exited on signal 9 (Killed)" in log
    assert_goes_on(folder, solver)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_mpirun_ends_the_job(folder, number):
    job, _, _ = start(folder, 2)
    job.send_signal(number)
    log = end(job)
    assert job.returncode not in (0, None)
    (line,) = ours(log)
    assert line.startswith("caffe-losses: rank 0 (")
    assert "SIGTERM: mpirun was told to stop" in line


def test_a_rank_that_raises_ends_the_job(folder):
    job, solver, _ = start(folder, 2, "raise")
    log = end(job)
    assert job.returncode == 1
    assert "caffe-losses: rank 1 (" in log
    assert "KeyError: 'image 7'" in log
    assert_goes_on(folder, solver)


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_full_disk_ends_the_job_and_leaves_the_last_snapshot(folder, ranks):
    """The limit on a file's size, which the kernel reports as it does a full disk, but with another number."""
    job, solver, first = start(folder, ranks, "full")
    log = end(job)
    assert job.returncode == (1 if ranks else 2)
    line = ours(log)[0]
    assert f"snapshot {folder}/net_iter_40.solverstate could not be written: File too large" in line
    assert line.endswith(f"the last whole one is {first}")
    assert ("rank 0 (" in line) == bool(ranks)
    assert not list(folder.glob("net_iter_40*"))
    assert_goes_on(folder, solver, ranks)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_one_process_is_answered_with_a_snapshot(folder, number):
    job, solver, _ = start(folder, 0)
    job.send_signal(number)
    log = end(job)
    assert job.returncode == 128 + number
    (line,) = ours(log)
    state = line.split("go on with --snapshot ")[1]
    assert line.startswith(
        f"caffe-losses: {signal.Signals(number).name} at iteration {state.split('_')[-1].split('.')[0]}"
    )
    assert_goes_on(folder, solver, 0)


def test_what_caffe_wrote_incompletely_is_not_published(folder):
    trained(folder, "net", 0, 8, solver={"max_iter": 3})
    made = caffe.get_solver(str(folder / "net_solver.prototxt"))
    for kind in ("caffemodel", "solverstate"):
        written = [str(folder / f"net_iter_3.{kind}") for kind in ("caffemodel", "solverstate")]
        kept = {path: Path(path).read_bytes() for path in written}
        with open(str(folder / f"net_iter_3.{kind}"), "r+b") as file:
            file.truncate(os.path.getsize(file.name) - 100)
        with pytest.raises(Exception, match=r"pars|layers"):
            snapshots.check_binary(made, written, "x")
        for path, content in kept.items():
            with open(path, "wb") as file:
                file.write(content)
    snapshots.check_binary(made, written, "x")


# Without MPI, and with GPUs that are not there


def test_mpi_without_mpi4py_is_refused_in_one_line(folder):
    (folder / "mpi4py.py").write_text("raise ImportError('there is none')")
    write_net(folder, "net", 4)
    solver = write_solver(folder, "net")
    for rank, lines in [("0", 1), ("1", 0)]:
        environment = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": rank}
        done = train(0, solver, cwd=str(folder), check=False, **environment)
        assert done.returncode == 2
        assert len(ours(done.stderr)) == lines
        assert lines == 0 or "pip install mpi4py" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--gpu", "0"], "--gpu 0: this Caffe is built for the CPU only"),
        (["--gpu", "0,1"], "--gpu 0,1: this Caffe is built for the CPU only"),
        (["--gpu", "0,0"], "each once, got 0,0"),
        (["--gpu", "all"], "expected device numbers such as 0 or 0,1,2,3"),
        (["--weights", "none.caffemodel"], "--weights none.caffemodel is not there"),
        (["--snapshot", "none.solverstate"], "No such file or directory: 'none.solverstate'"),
    ],
)
def test_refusals(folder, arguments, reason):
    write_net(folder, "net", 4)
    done = train(0, write_solver(folder, "net"), *arguments, check=False)
    assert done.returncode == 2
    (line,) = ours(done.stderr)
    assert reason in line


def test_a_solver_for_gpus_is_refused(folder):
    write_net(folder, "net", 4)
    done = train(0, write_solver(folder, "net", solver_mode="GPU"), check=False)
    assert done.returncode == 2
    assert "solver_mode: GPU: this Caffe is built for the CPU only; write solver_mode: CPU" in done.stderr


def test_gpu_list():
    assert devices.gpu_list("3,0,1") == [3, 0, 1]


def test_the_processes_of_several_gpus_get_the_same_options():
    parser = argparse.ArgumentParser()
    parallel.add_train(parser.add_subparsers(dest="command"))
    words = [
        "--solver",
        "s.prototxt",
        "--weights",
        "w.caffemodel",
        "--gpu",
        "0,1",
        "--scale-lr",
        "--warmup",
        "5",
        "--warmup-lr",
        "0.5",
    ]
    options = parser.parse_args(["train", *words])
    assert parser.parse_args(["train", *parallel.arguments(options)]) == options


# Parts


def test_buckets_hold_neighbours_or_one_large_blob():
    assert reduce.buckets([3, 3, 3, 20, 1, 9, 1], limit=10) == [[0, 1, 2], [3], [4, 5], [6]]
    assert reduce.buckets([], limit=10) == []


def test_ranks_by_environment(monkeypatch):
    for name in (*comm.SIZES, *comm.RANKS, "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert comm.launched_size() == 1
    monkeypatch.setenv("PMIX_RANK", "3")
    monkeypatch.setenv("SLURM_NTASKS", "8")
    assert (comm.launched_size(), comm.launched_rank()) == (8, 3)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    assert comm.launched_size() == 2


def test_snapshot_prefix_is_completed_as_caffe_does(folder):
    for given, expected in [(None, "sub/s"), ("snaps", "snaps"), (str(folder), f"{folder}/s")]:
        param = caffe_pb2.SolverParameter(snapshot_prefix=given)
        assert snapshots.final_prefix(param, "sub/s.prototxt") == expected
