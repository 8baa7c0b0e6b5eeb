"""The Caffe that docker/install-caffe builds: its program, data, weights, nets, Python layers, solvers.

A failed CHECK in Caffe aborts the process, so whatever a wrong build would abort in runs in one of its own.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import h5py
import lmdb
import numpy as np
import pytest
import skimage.io
from caffe import layers as L
from caffe.proto import caffe_pb2
from google.protobuf import text_format

BIN = os.path.dirname(sys.executable)
PROGRAM = os.path.join(BIN, "caffe")
# No PYTHONPATH, no VIRTUAL_ENV, no activated PATH.
BARE = {"PATH": os.defpath, "GLOG_logtostderr": "1"}
MAX_ITER = 40

generator = np.random.default_rng(0)
DATA = generator.standard_normal((20, 6)).astype("float32")
LABELS = (DATA[:, :4] > 0).astype("float32")
LABELS[0] = 0.25, 0.5, 0, 3


class Refusal(Exception):
    """No type that Caffe or Boost would raise."""


class Multiply(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff


class Phase(Multiply):
    def setup(self, bottom, top):
        self.factor = self.phase


class Shift(Multiply):
    def setup(self, bottom, top):
        self.blobs.add_blob(*bottom[0].shape[1:])

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum(0)
        bottom[0].diff[...] = top[0].diff


class Refuse(Multiply):
    def __getattribute__(self, name):
        if name in ("setup", "reshape", "forward", "backward") and name == self.param_str:
            raise Refusal(name)
        return super().__getattribute__(name)

    def setup(self, bottom, top):
        self.factor = 1


def run(folder, *arguments, program=PROGRAM, code=0, **environment):
    """The program's output, log included; it has to end with the exit code."""
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={**BARE, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout[-2000:]
    return done.stdout


def write_net(folder, **tops):
    spec = caffe.NetSpec()
    for top in tops:
        spec[top] = tops[top]
    path = folder / "net.prototxt"
    path.write_text(f"force_backward: true\n{spec.to_proto()}")
    return str(path)


def write_solver(folder, name, **fields):
    path = folder / f"{name}.prototxt"
    fields = {"net": "net.prototxt", "lr_policy": "fixed", "base_lr": 0.1, "random_seed": 1, **fields}
    path.write_text(str(caffe_pb2.SolverParameter(snapshot_prefix=str(folder / name), **fields)))
    return str(path)


def write_data(folder):
    with h5py.File(str(folder / "data.h5"), "w") as file:
        file["data"], file["labels"] = DATA, LABELS
    (folder / "list.txt").write_text(str(folder / "data.h5"))
    return str(folder / "list.txt")


def python_layer(bottom, layer, param_str="", module=__name__):
    return L.Python(bottom, module=module, layer=layer, param_str=param_str)


def our_loss(scores, labels, **fields):
    return L.Python(scores, labels, module="caffe_losses.layers", layer="MultiLabelSoftmaxLoss", **fields)


def linear_net(folder, **fields):
    """Inputs x to scores of 3 classes and the squared distance to y."""
    x, y = (L.Input(shape={"dim": [2, size]}) for size in (5, 3))
    scores = L.InnerProduct(x, num_output=3, weight_filler={"type": "gaussian", "std": 1}, **fields)
    return write_net(folder, x=x, y=y, scores=scores, loss=L.EuclideanLoss(scores, y))


def linear_solver(folder, kind="SGD", **fields):
    path = write_solver(folder, "linear", net=linear_net(folder), type=kind, max_iter=10, **fields)
    solver = getattr(caffe, kind + "Solver")(path)
    solver.net.blobs["x"].data[...] = DATA[:2, :5]
    solver.net.blobs["y"].data[...] = 1
    return solver


def python_net(folder, layer, param_str="", phase=caffe.TRAIN):
    x = L.Input(shape={"dim": [2, 3]})
    return caffe.Net(write_net(folder, x=x, y=python_layer(x, layer, param_str)), phase)


def losses(log):
    return {int(at): float(loss) for at, loss in re.findall(r"Iteration (\d+)\b.*, loss = (\S+)", log)}


def weights(path):
    if str(path).endswith(".h5"):
        with h5py.File(str(path), "r") as file:
            return [np.array(blob) for blob in file["data/scores"].values()]
    net = caffe_pb2.NetParameter.FromString(Path(path).read_bytes())
    blobs = next(layer.blobs for layer in net.layer if layer.name == "scores")
    return [caffe.io.blobproto_to_array(blob) for blob in blobs]


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


@pytest.fixture
def second_of_two_workers():
    caffe.set_solver_count(2)
    caffe.set_solver_rank(1)
    caffe.set_multiprocess(True)
    yield
    caffe.set_multiprocess(False)
    caffe.set_solver_rank(0)
    caffe.set_solver_count(1)


# The installation.


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


def test_program_prints_its_version(tmp_path):
    assert run(tmp_path, "--version").strip() == f"caffe version {caffe.__version__}"


def test_train_finds_our_layer_with_nothing_set_and_the_loss_falls(trained):
    log = (trained / "log").read_text()
    assert losses(log)[MAX_ITER] < 0.7 * losses(log)[0]
    assert len(re.findall(r"Test net output #0: loss = \d", log)) == 2


def test_resumed_training_ends_where_the_uninterrupted_one_does(trained):
    start = trained / f"model_iter_{MAX_ITER // 2}.solverstate"
    log = run(trained, "train", "--solver", "resumed.prototxt", "--snapshot", start)
    assert min(losses(log)) == MAX_ITER // 2
    ends = [weights(trained / f"{name}_iter_{MAX_ITER}.caffemodel") for name in ("resumed", "model")]
    for resumed, uninterrupted in zip(*ends):
        np.testing.assert_allclose(resumed, uninterrupted, rtol=1e-5)


def test_finetuning_starts_at_the_loss_of_the_weights(trained):
    start = trained / f"model_iter_{MAX_ITER}.caffemodel"
    log = run(trained, "train", "--solver", "finetuned.prototxt", "--weights", start)
    assert losses(log)[0] == pytest.approx(losses((trained / "log").read_text())[MAX_ITER], rel=1e-4)
    assert losses(log)[MAX_ITER] < losses(log)[0]


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


def test_time_names_each_layer_forward_and_backward(trained):
    log = run(trained, "time", "--model", "net.prototxt", "--iterations", "2")
    for layer in "data", "scores", "loss":
        for direction in "forward", "backward":
            assert re.search(rf"\b{layer}\s+{direction}: \S+ ms", log)


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


def test_users_own_layer_is_found_on_pythonpath_and_not_in_the_current_folder(tmp_path):
    (tmp_path / "users_own.py").write_text("from caffe import Layer\nclass Nothing(Layer):\n    pass\n")
    x = L.DummyData(shape={"dim": [1]})
    write_net(tmp_path, x=x, y=python_layer(x, "Missing", module="users_own"))
    time_it = "time", "--model", "net.prototxt"
    assert "No module named 'users_own'" in run(tmp_path, *time_it, code=1)
    log = run(tmp_path, *time_it, code=1, PYTHONPATH=str(tmp_path))
    assert "'users_own' has no attribute 'Missing'" in log


def test_exception_in_a_layer_ends_training_with_traceback_and_no_snapshot(tmp_path):
    x = L.DummyData(shape={"dim": [2, 3]})
    loss = our_loss(x, x, param_str="{'axes': 1}")
    write_net(tmp_path, x=x, loss=loss)
    write_solver(tmp_path, "solver", max_iter=1)
    log = run(tmp_path, "train", "--solver", "solver.prototxt", code=1)
    assert "Traceback" in log and "MultiLabelSoftmaxLoss" in log and "axes" in log
    assert list(tmp_path.glob("*iter*")) == []


# The data.


def hdf5_net(folder):
    data, labels = L.HDF5Data(source=write_data(folder), batch_size=8, ntop=2)
    return caffe.Net(write_net(folder, data=data, labels=labels), caffe.TRAIN)


def lmdb_net(folder):
    with lmdb.open(str(folder / "lmdb"), map_size=1 << 20) as database, database.begin(write=True) as batch:
        for row in range(20):
            pixels = np.arange(12, dtype=np.uint8) + 12 * row
            datum = caffe_pb2.Datum(channels=3, height=2, width=2, data=pixels.tobytes(), label=row)
            batch.put(b"%08d" % row, datum.SerializeToString())
    source = {"source": str(folder / "lmdb"), "backend": caffe_pb2.DataParameter.LMDB, "batch_size": 8}
    data, labels = L.Data(data_param=source, transform_param={"scale": 0.5}, ntop=2)
    return caffe.Net(write_net(folder, data=data, labels=labels), caffe.TRAIN)


def test_hdf5_data_brings_float_vector_labels_and_starts_again_at_the_end(tmp_path):
    net = hdf5_net(tmp_path)
    for start in 0, 8, 16:
        net.forward()
        rows = np.arange(start, start + 8) % 20
        np.testing.assert_array_equal(net.blobs["data"].data, DATA[rows])
        np.testing.assert_array_equal(net.blobs["labels"].data, LABELS[rows])


def test_lmdb_data_brings_scaled_pixels_and_labels_and_starts_again_at_the_end(tmp_path):
    net = lmdb_net(tmp_path)
    for start in 0, 8, 16:
        net.forward()
        rows = np.arange(start, start + 8) % 20
        np.testing.assert_array_equal(net.blobs["labels"].data, rows)
        pixels = (12 * rows[:, None] + np.arange(12)).reshape(8, 3, 2, 2)
        np.testing.assert_array_equal(net.blobs["data"].data, 0.5 * pixels)


@pytest.mark.parametrize("open_net, labels", [(hdf5_net, LABELS[1:16:2]), (lmdb_net, np.arange(1, 16, 2))])
def test_data_is_shared_out_among_workers(open_net, labels, tmp_path, second_of_two_workers):
    net = open_net(tmp_path)
    net.forward()
    np.testing.assert_array_equal(net.blobs["labels"].data, labels)


# Nets.


def test_net_spec_survives_its_proto_and_text(tmp_path):
    path = linear_net(tmp_path, param=[{"lr_mult": 1}, {"lr_mult": 2, "decay_mult": 0}])
    proto = text_format.Parse(Path(path).read_text(), caffe_pb2.NetParameter())
    assert [layer.name for layer in proto.layer] == ["x", "y", "scores", "loss"]
    assert [param.lr_mult for param in proto.layer[2].param] == [1, 2]
    net = caffe.Net(path, caffe.TEST)
    assert list(net.layer_dict) == ["x", "y", "scores", "loss"]
    assert (net.inputs, net.outputs, net.bottom_names["loss"]) == (["x", "y"], ["loss"], ["scores", "y"])


def test_forward_backward_and_parameters_are_those_of_the_formula(tmp_path):
    net = caffe.Net(linear_net(tmp_path), caffe.TRAIN)
    weight, bias = (blob.data for blob in net.params["scores"])
    bias[...] = 1, 2, 3
    x, y = DATA[:2, :5], DATA[2:4, :3]
    out = net.forward(blobs=["scores"], x=x, y=y)
    off = x @ weight.T + bias - y
    np.testing.assert_allclose(out["scores"] - y, off, rtol=1e-5)
    np.testing.assert_allclose(out["loss"], np.square(off).sum() / 4, rtol=1e-5)
    net.backward()
    np.testing.assert_allclose(net.params["scores"][0].diff, off.T @ x / 2, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(net.blobs["x"].diff, off @ weight / 2, rtol=1e-4, atol=1e-6)
    net.clear_param_diffs()
    assert not net.params["scores"][0].diff.any()


def test_forward_and_backward_run_from_a_layer_to_a_layer(tmp_path):
    net = caffe.Net(linear_net(tmp_path), caffe.TRAIN)
    net.blobs["x"].data[...], net.blobs["loss"].data[...] = 1, -1
    assert list(net.forward(start="scores", end="scores")) == ["scores"]
    assert net.blobs["scores"].data.any() and net.blobs["loss"].data == -1
    net.blobs["scores"].diff[...] = 1
    assert list(net.backward(start="scores", end="scores")) == ["x"]
    np.testing.assert_allclose(net.blobs["x"].diff[0], net.params["scores"][0].data.sum(0), rtol=1e-5)


def test_reshaped_inputs_reshape_the_net(tmp_path):
    net = caffe.Net(linear_net(tmp_path), caffe.TEST)
    net.blobs["x"].reshape(7, 5)
    net.blobs["y"].reshape(7, 3)
    net.reshape()
    assert net.blobs["scores"].data.shape == (7, 3)
    assert net.forward(x=DATA[:7, :5], y=LABELS[:7, :3])["loss"].shape == ()


def test_phase_level_and_stage_choose_the_layers(tmp_path):
    x = L.Input(shape={"dim": [1]})
    rules = {"train": {"phase": caffe.TRAIN}, "deploy": {"stage": ["deploy"]}, "deep": {"min_level": 1}}
    path = write_net(tmp_path, x=x, **{name: L.ReLU(x, include=rule) for name, rule in rules.items()})
    assert list(caffe.Net(path, caffe.TRAIN).layer_dict)[-1] == "train"
    assert list(caffe.Net(path, caffe.TEST).layer_dict) == ["x"]
    assert list(caffe.Net(path, caffe.TEST, stages=["deploy"]).layer_dict)[-1] == "deploy"
    assert list(caffe.Net(path, caffe.TEST, level=1).layer_dict)[-1] == "deep"


def test_shared_weights_are_one_memory(tmp_path):
    path = linear_net(tmp_path)
    one, other = caffe.Net(path, caffe.TRAIN), caffe.Net(path, caffe.TEST)
    other.share_with(one)
    one.params["scores"][0].data[...] = 5
    assert (other.params["scores"][0].data == 5).all()


def test_random_seed_makes_weights_reproducible(tmp_path):
    path, drawn = linear_net(tmp_path), []
    for seed in 3, 3, 4:
        caffe.set_random_seed(seed)
        drawn.append(caffe.Net(path, caffe.TRAIN).params["scores"][0].data)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


# Python layers.


def test_python_layer_gets_param_str_and_computes_both_ways(tmp_path):
    net = python_net(tmp_path, "Multiply", "2.5")
    np.testing.assert_array_equal(net.forward(x=np.full((2, 3), 4))["y"], np.full((2, 3), 10))
    np.testing.assert_array_equal(net.backward(y=np.full((2, 3), 2))["x"], np.full((2, 3), 5))
    net.blobs["x"].reshape(4, 1)
    assert net.forward()["y"].shape == (4, 1)


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_python_layer_knows_its_phase(tmp_path, phase):
    net = python_net(tmp_path, "Phase", phase=phase)
    assert (net.forward(x=np.ones((2, 3)))["y"] == phase).all()


def test_python_layer_has_parameters_that_are_saved_loaded_and_shared(tmp_path):
    net, path = python_net(tmp_path, "Shift"), str(tmp_path / "weights")
    net.params["y"][0].data[...] = 1, 2, 3
    net.save(path)
    net.save_hdf5(path + ".h5")
    loaded, loaded_hdf5, shared = (python_net(tmp_path, "Shift") for _ in range(3))
    loaded.copy_from(path)
    loaded_hdf5.load_hdf5(path + ".h5")
    shared.share_with(net)
    for other in loaded, loaded_hdf5, shared:
        np.testing.assert_array_equal(other.forward(x=np.ones((2, 3)))["y"], [[2, 3, 4]] * 2)


def test_solver_learns_the_parameters_of_a_python_layer(tmp_path):
    x, y = L.Input(shape={"dim": [2, 3]}), L.Input(shape={"dim": [2, 3]})
    shifted = python_layer(x, "Shift")
    net = write_net(tmp_path, x=x, y=y, shifted=shifted, loss=L.EuclideanLoss(shifted, y))
    solver = caffe.SGDSolver(write_solver(tmp_path, "solver", net=net, max_iter=1))
    solver.net.blobs["y"].data[...] = 1, 2, 3
    solver.step(1)
    np.testing.assert_allclose(solver.net.params["shifted"][0].data, [0.1, 0.2, 0.3], rtol=1e-6)


@pytest.mark.parametrize("method", ["setup", "reshape", "forward", "backward"])
def test_exception_in_a_python_layer_arrives_with_its_type(tmp_path, method):
    with pytest.raises(Refusal, match=method):
        net = python_net(tmp_path, "Refuse", method)
        assert method in ("forward", "backward")
        net.forward()
        assert method == "backward"
        net.backward()


# Solvers.

KINDS = {
    "SGD": {"momentum": 0.9},
    "Nesterov": {"momentum": 0.9},
    "AdaGrad": {},
    "RMSProp": {"rms_decay": 0.9},
    "AdaDelta": {"momentum": 0.9, "delta": 1e-3},
    "Adam": {"momentum": 0.9, "momentum2": 0.999},
}


@pytest.mark.parametrize("kind", KINDS)
def test_solver_lowers_the_loss(tmp_path, kind):
    solver = linear_solver(tmp_path, kind, **KINDS[kind])
    before = solver.net.forward()["loss"].item()
    solver.solve()
    assert solver.iter == 10
    assert solver.net.forward()["loss"] < before
    assert type(caffe.get_solver(str(tmp_path / "linear.prototxt"))) is type(solver)


def test_callbacks_run_at_start_and_may_change_the_gradients(tmp_path):
    solver, calls = linear_solver(tmp_path), []
    weight, bias = solver.net.params["scores"]
    before = weight.data.copy()

    def on_gradients_ready():
        calls.append(("gradients", bool(weight.diff.any())))
        weight.diff[...] = 0

    solver.add_callback(lambda: calls.append(("start", bool(weight.diff.any()))), on_gradients_ready)
    solver.step(2)
    assert calls == [("start", False), ("gradients", True)] * 2
    np.testing.assert_array_equal(weight.data, before)
    assert bias.data.any()


@pytest.mark.parametrize("snapshot_format, suffix", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_restored_solver_repeats_its_steps(tmp_path, snapshot_format, suffix):
    solver = linear_solver(tmp_path, momentum=0.9, snapshot_format=snapshot_format)
    solver.step(2)
    solver.snapshot()
    solver.step(2)
    after = solver.net.params["scores"][0].data.copy()
    solver.restore(str(tmp_path / f"linear_iter_2.solverstate{suffix}"))
    assert solver.iter == 2
    solver.step(2)
    np.testing.assert_allclose(solver.net.params["scores"][0].data, after, rtol=1e-6)


def test_test_nets_see_the_weights_of_the_training_net(tmp_path):
    solver = linear_solver(tmp_path, test_iter=[1], test_interval=2, test_initialization=False)
    (tested,) = solver.test_nets
    solver.step(3)
    weight = solver.net.params["scores"][0].data
    np.testing.assert_array_equal(tested.params["scores"][0].data, weight)


def test_caffe_io_reads_what_it_writes(tmp_path):
    pixels = generator.integers(0, 256, (3, 4, 5)).astype(np.uint8)
    for array in (pixels, pixels / 7.0):
        datum = caffe_pb2.Datum.FromString(caffe.io.array_to_datum(array, 2).SerializeToString())
        np.testing.assert_array_equal(caffe.io.datum_to_array(datum), np.float32(array))
        assert datum.label == 2
    path = str(tmp_path / "image.png")
    skimage.io.imsave(path, pixels.transpose(1, 2, 0), check_contrast=False)
    np.testing.assert_allclose(caffe.io.load_image(path), pixels.transpose(1, 2, 0) / 255, rtol=1e-6)
