"""Small trainings with caffe-losses train, on one process and under mpirun, and what they leave."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from caffe.proto import caffe_pb2

IMAGES, FEATURES, CLASSES = 48, 12, 6
TRAIN = [sys.executable, "-m", "caffe_losses", "train"]
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none"]
FILES = tempfile.TemporaryDirectory(prefix="mpi")  # of mpirun. Two that make and remove one folder at once may fail
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "GLOG_minloglevel"},
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_plm_rsh_agent": "false",  # Open MPI asks for ssh also where it starts nothing through it
    "OMPI_MCA_mpi_yield_when_idle": "1",  # there may be more ranks than cores
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # which a container may not be allowed
    "OMPI_MCA_orte_tmpdir_base": FILES.name,
    "PRTE_MCA_prte_tmpdir_base": FILES.name,  # the same in Open MPI 5
    "OPENBLAS_NUM_THREADS": "1",
}
DATA = """
layer {{ name: "data" type: "HDF5Data" top: "data" top: "labels"
  hdf5_data_param {{ source: "{source}" batch_size: {batch} }} }}
"""
BODY = """
layer { name: "fc1" type: "InnerProduct" bottom: "data" top: "fc1"
  inner_product_param { num_output: 16 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "fc1" top: "fc1" }
layer { name: "fc2" type: "InnerProduct" bottom: "fc1" top: "scores"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
"""
LOSS = """
layer {{ name: "loss" type: "Python" bottom: "scores" bottom: "labels" top: "loss" loss_weight: 1
  python_param {{ module: "caffe_losses.layers" layer: "{layer}" param_str: '{param}' }} }}
"""
SOFTMAX = LOSS.format(layer="MultiLabelSoftmaxLoss", param="")

# Float rounding, of weights about 1: 100 sums of two halves of a batch, where one process sums the whole batch.
ROUNDING = 1e-5


def write_data(folder, name="data", rows=None, labels=None):
    """Images and binary labels of a fixed seed, in an HDF5 file and its list; `rows` puts them in another order."""
    random = np.random.RandomState(0)
    images = random.randn(IMAGES, FEATURES).astype(np.float32)
    if labels is None:
        labels = (random.rand(IMAGES, CLASSES) < 0.3).astype(np.float32)
    rows = np.arange(IMAGES) if rows is None else rows
    with h5py.File(str(folder / f"{name}.h5"), "w") as file:
        file["data"], file["labels"] = images[rows], labels[rows]
    (folder / f"{name}.txt").write_text(f"{folder}/{name}.h5\n")


def write_net(folder, name, batch, source="data", body=BODY, loss=SOFTMAX, data=None):
    """A net that trains on `data`, prototxt of a layer, or on an HDF5 source, which is written if it is not there."""
    if data is None and not (folder / f"{source}.txt").exists():
        write_data(folder, source)
    text = data or DATA.format(source=f"{folder}/{source}.txt", batch=batch)
    (folder / f"{name}.prototxt").write_text(text + body + loss)


def write_solver(folder, name, net=None, max_iter=100, **more):
    """A solver whose snapshots are called as it is; `more` are its other parameters."""
    fields = {
        "base_lr": 0.1,
        "lr_policy": "fixed",
        "momentum": 0.9,
        "weight_decay": 1e-3,
        "random_seed": 5,
        "display": 20,
    }
    fields.update(type="SGD", solver_mode="CPU", max_iter=max_iter, snapshot_prefix=f"{folder}/{name}")
    fields.update(net=f"{folder}/{net or name}.prototxt", **more)
    path = folder / f"{name}_solver.prototxt"
    path.write_text("".join(f"{key}: {value_text(value, key)}\n" for key, value in fields.items() if value is not None))
    return str(path)


def value_text(value, key):
    words = ("lr_policy", "type", "snapshot_prefix", "net", "regularization_type")
    return f'"{value}"' if key in words else str(value).lower() if isinstance(value, bool) else str(value)


def command(ranks, *arguments, mpirun=()):
    return [*MPIRUN, *mpirun, "-n", str(ranks), *TRAIN, *arguments] if ranks else [*TRAIN, *arguments]


def train(ranks, solver, *arguments, cwd=None, check=True, mpirun=(), timeout=120, **environment):
    """Run to the end; ranks=0 without mpirun. Returns the finished process, with its log as .stderr."""
    done = subprocess.run(
        command(ranks, "--solver", solver, *arguments, mpirun=mpirun), cwd=cwd, env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


def ranks_of(job):
    """The processes that an mpirun has started, in the order of their ranks."""
    lists = [task / "children" for task in Path(f"/proc/{job.pid}/task").iterdir()]
    return sorted(int(number) for each in lists for number in each.read_text().split())


def weights(path):
    """The parameters in a .caffemodel, in order: {(layer, index): array}."""
    net = caffe_pb2.NetParameter()
    with open(str(path), "rb") as file:
        net.ParseFromString(file.read())
    return {
        (layer.name, k): np.array(blob.data, np.float32).reshape(list(blob.shape.dim))
        for layer in net.layer
        for k, blob in enumerate(layer.blobs)
    }


def trained(folder, name, ranks, batch, *arguments, solver=(), **net):
    """(weights, log) of a training of a net of that batch, on as many ranks."""
    write_net(folder, name, batch, **net)
    done = train(ranks, write_solver(folder, name, **dict(solver)), *arguments, cwd=str(folder))
    last = max(folder.glob(f"{name}_iter_*.caffemodel"), key=os.path.getmtime)
    return weights(last), done.stderr


def assert_equal(actual, expected, atol=ROUNDING):
    assert actual.keys() == expected.keys()
    for key in expected:
        np.testing.assert_allclose(actual[key], expected[key], rtol=0, atol=atol, err_msg=str(key))


def ours(log):
    """The lines of a log that Caffe did not write."""
    return [line for line in log.splitlines() if line.startswith("caffe-losses: ")]
