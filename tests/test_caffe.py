"""The Caffe that docker/install-caffe builds: what is installed, and its program. Its pycaffe: test_pycaffe.py.

A failed CHECK in Caffe aborts the process, so whatever a wrong build would abort in runs in one of its own.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe import layers as L
from caffe.proto import caffe_pb2
from caffe_nets import (
    BARE,
    BIN,
    MAX_ITER,
    PROGRAM,
    losses,
    our_loss,
    python_layer,
    run,
    weights,
    write_data,
    write_net,
    write_solver,
)
from google.protobuf import text_format


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a net of our loss, trained by the program; each batch is all of the data."""
    folder = tmp_path_factory.mktemp("trained")
    data, labels = L.HDF5Data(source=write_data(folder), batch_size=20, ntop=2)
    scores = L.InnerProduct(data, num_output=4, weight_filler={"type": "gaussian", "std": 1})
    loss = our_loss(scores, labels, loss_weight=1)
    write_net(folder, data=data, labels=labels, scores=scores, loss=loss)
    fields = {"momentum": 0.9, "max_iter": MAX_ITER, "display": MAX_ITER // 2}
    for name in "resumed", "finetuned":
        write_solver(folder, name, **fields)
    write_solver(folder, "endless", **{**fields, "max_iter": 10**9})
    write_solver(folder, "hdf5", snapshot_format="HDF5", **fields)
    write_solver(folder, "model", snapshot=MAX_ITER // 2, test_iter=[1], test_interval=MAX_ITER, **fields)
    (folder / "log").write_text(run(folder, "train", "--solver", "model.prototxt"))
    return folder


# The installation.


@pytest.mark.slow
def test_program_and_pycaffe_share_the_installed_library_and_miss_none(tmp_path):
    pycaffe = os.path.join(os.path.dirname(caffe.__file__), "_caffe.so")
    library = os.path.join(BIN, "..", "lib", "libcaffe.so")
    for linked in PROGRAM, os.path.join(BIN, "extract_features"), pycaffe:
        found = run(tmp_path, linked, program="ldd")
        assert "not found" not in found
        assert os.path.samefile(re.search(r"libcaffe\.so => (\S+)", found).group(1), library)


def test_installation_holds_the_package_alone():
    package = Path(caffe.__file__).parent
    files = {path for path in package.rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    assert {path.suffix for path in files} == {".py", ".so", ".npy"}
    assert [path.name for path in package.rglob("*") if path.name.startswith("test")] == []
    assert [path.name for path in Path(BIN, "..", "lib").glob("libcaffe*")] == ["libcaffe.so"]


def test_protocol_buffers_are_those_of_the_source(tmp_path):
    assert "clip_param" in caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    python = {"module": "m", "layer": "l", "param_str": "{'a': \"b\"}", "share_in_parallel": True}
    layer = caffe_pb2.LayerParameter(name="p", type="Python", python_param=python, loss_weight=[1, 0])
    assert caffe_pb2.LayerParameter.FromString(layer.SerializeToString()) == layer
    assert text_format.Parse(text_format.MessageToString(layer), caffe_pb2.LayerParameter()) == layer


def test_layers_that_the_project_relies_on_are_built_in():
    expected = """
        Data DummyData HDF5Data HDF5Output Input MemoryData Python
        BatchNorm Clip Concat Convolution Crop Deconvolution Dropout Eltwise Flatten InnerProduct LRN Pooling
        ReLU Reshape Scale Sigmoid Silence Slice Softmax Split
        Accuracy EuclideanLoss MultinomialLogisticLoss SigmoidCrossEntropyLoss SoftmaxWithLoss
    """
    assert set(expected.split()) - set(caffe.layer_type_list()) == set()


# The program.


@pytest.mark.slow
def test_program_prints_its_version(tmp_path):
    assert run(tmp_path, "--version").strip() == f"caffe version {caffe.__version__}"


@pytest.mark.slow
def test_train_finds_our_layer_and_the_loss_falls(trained):
    log = (trained / "log").read_text()
    assert losses(log)[MAX_ITER] < 0.7 * losses(log)[0]
    assert len(re.findall(r"Test net output #0: loss = \d", log)) == 2


@pytest.mark.slow
def test_resumed_training_ends_where_the_uninterrupted_one_does(trained):
    start = trained / f"model_iter_{MAX_ITER // 2}.solverstate"
    log = run(trained, "train", "--solver", "resumed.prototxt", "--snapshot", start)
    assert min(losses(log)) == MAX_ITER // 2
    ends = [weights(trained / f"{name}_iter_{MAX_ITER}.caffemodel") for name in ("resumed", "model")]
    for resumed, uninterrupted in zip(*ends):
        np.testing.assert_allclose(resumed, uninterrupted, rtol=1e-5)


@pytest.mark.slow
def test_finetuning_starts_at_the_loss_of_the_weights(trained):
    start = trained / f"model_iter_{MAX_ITER}.caffemodel"
    log = run(trained, "train", "--solver", "finetuned.prototxt", "--weights", start)
    assert losses(log)[0] == pytest.approx(losses((trained / "log").read_text())[MAX_ITER], rel=1e-4)
    assert losses(log)[MAX_ITER] < losses(log)[0]


@pytest.mark.slow
def test_both_snapshot_formats_are_weights_to_the_program_and_to_pycaffe(trained):
    run(trained, "train", "--solver", "hdf5.prototxt")
    binary = trained / f"model_iter_{MAX_ITER}.caffemodel"
    hdf5 = trained / f"hdf5_iter_{MAX_ITER}.caffemodel.h5"
    for one, other in zip(weights(binary), weights(hdf5)):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    expected = pytest.approx(losses((trained / "log").read_text())[MAX_ITER], rel=1e-4)
    for path in binary, hdf5:
        log = run(trained, "test", "--model", "net.prototxt", "--weights", path, "--iterations", "2")
        assert float(re.search(r"\bLoss: (\S+)", log).group(1)) == expected
    script = """if True:
        import sys, caffe
        for path in sys.argv[1:]:
            given = caffe.Net("net.prototxt", caffe.TEST, weights=path)
            copied = caffe.Net("net.prototxt", caffe.TEST)
            copied.copy_from(path)
            print("loss", given.forward()["loss"], copied.forward()["loss"])
    """
    output = run(trained, "-c", script, binary, hdf5, program=sys.executable, GLOG_minloglevel="2")
    printed = re.findall(r"loss (\S+) (\S+)", output)
    assert [float(loss) for pair in printed for loss in pair] == [expected] * 4


@pytest.mark.slow
def test_time_names_each_layer_forward_and_backward(trained):
    log = run(trained, "time", "--model", "net.prototxt", "--iterations", "2")
    for layer in "data", "scores", "loss":
        for direction in "forward", "backward":
            assert re.search(rf"\b{layer}\s+{direction}: \S+ ms", log)


@pytest.mark.slow
def test_interrupted_training_exits_well_and_leaves_a_whole_snapshot(trained):
    log = trained / "endless.log"
    with log.open("w") as stderr:
        command = [PROGRAM, "train", "--solver", "endless.prototxt"]
        process = subprocess.Popen(command, cwd=str(trained), env=BARE, stderr=stderr)
    try:
        deadline = time.monotonic() + 30
        while 0 not in losses(log.read_text()):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
    (path,) = trained.glob("endless_iter_*.solverstate")
    state = caffe_pb2.SolverState.FromString(path.read_bytes())
    assert path.name == f"endless_iter_{state.iter}.solverstate"
    assert [len(blob.data) for blob in state.history] == [24, 4]
    assert [blob.size for blob in weights(state.learned_net)] == [24, 4]


@pytest.mark.slow
def test_what_is_installed_is_found_with_nothing_set(tmp_path):
    x = L.DummyData(shape={"dim": [1]})
    write_net(tmp_path, x=x, y=python_layer(x, "Missing", module="caffe_losses"))
    log = run(tmp_path, "time", "--model", "net.prototxt", code=1, PYTHONPATH="")
    assert "'caffe_losses' has no attribute 'Missing'" in log


@pytest.mark.slow
def test_users_own_layer_is_found_on_pythonpath_and_not_in_the_current_folder(tmp_path):
    (tmp_path / "users_own.py").write_text("from caffe import Layer\nclass Nothing(Layer):\n    pass\n")
    x = L.DummyData(shape={"dim": [1]})
    write_net(tmp_path, x=x, y=python_layer(x, "Missing", module="users_own"))
    time_it = "time", "--model", "net.prototxt"
    assert "No module named 'users_own'" in run(tmp_path, *time_it, code=1)
    log = run(tmp_path, *time_it, code=1, PYTHONPATH=str(tmp_path))
    assert "'users_own' has no attribute 'Missing'" in log


@pytest.mark.slow
def test_exception_in_a_layer_ends_training_with_traceback_and_no_snapshot(tmp_path):
    x = L.DummyData(shape={"dim": [2, 3]})
    loss = our_loss(x, x, param_str="{'axes': 1}")
    write_net(tmp_path, x=x, loss=loss)
    write_solver(tmp_path, "solver", max_iter=1)
    log = run(tmp_path, "train", "--solver", "solver.prototxt", code=1)
    assert "Traceback" in log and "MultiLabelSoftmaxLoss" in log and "axes" in log
    assert list(tmp_path.glob("*iter*")) == []
