"""pycaffe of the Caffe that docker/install-caffe builds: its data, nets, Python layers and solvers."""

import subprocess
import sys
from pathlib import Path

import caffe
import lmdb
import numpy as np
import pytest
import skimage.io
from caffe import layers as L
from caffe.proto import caffe_pb2
from caffe_nets import (
    DATA,
    LABELS,
    Refusal,
    generator,
    linear_net,
    linear_solver,
    python_layer,
    python_net,
    write_data,
    write_net,
    write_solver,
)
from google.protobuf import text_format


@pytest.fixture
def second_of_two_workers():
    caffe.set_solver_count(2)
    caffe.set_solver_rank(1)
    caffe.set_multiprocess(True)
    yield
    caffe.set_multiprocess(False)
    caffe.set_solver_rank(0)
    caffe.set_solver_count(1)


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


@pytest.mark.parametrize("channels", [3, 2])  # by scikit-image, and by scipy
def test_caffe_io_resizes(channels):
    slope = np.arange(8, dtype=np.float32)[:, None, None] * np.ones((8, 6, channels), np.float32)
    resized = caffe.io.resize_image(slope, (4, 3))
    assert resized.shape == (4, 3, channels)
    assert (np.diff(resized[:, 1, 0]) > 1.5).all()


@pytest.mark.slow
def test_importing_caffe_does_not_wait_for_scikit_image():
    code = "import sys, caffe; print({'scipy', 'skimage'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code]).split() == [b"set()"]
