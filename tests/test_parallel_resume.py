"""A snapshot resumes the net and the type of solver that it is of, with the data where they were."""

import json
import shutil

import numpy as np
import pytest
from caffe.proto import caffe_pb2
from nets import caffe_program
from pictures import write_list
from training import BODY, CLASSES, assert_equal, ours, train, trained, weights, write_net, write_solver

pytestmark = pytest.mark.slow


def resume(folder, ranks=0, name="net", state="net_iter_3.solverstate", **solver):
    """A training that goes on to iteration 6; the finished process."""
    solver = write_solver(folder, name, **{"max_iter": 6, **solver})
    return train(ranks, solver, "--snapshot", str(folder / state), cwd=str(folder), check=False)


def without_record(path):
    """A state as Caffe's own program writes it."""
    state = caffe_pb2.SolverState.FromString(path.read_bytes())
    state.DiscardUnknownFields()
    path.write_bytes(state.SerializeToString())


def refusal(done):
    assert done.returncode == 2
    (line,) = ours(done.stderr)
    return line


FC2 = BODY[BODY.index('layer { name: "fc2"') :]
FLAT = 'layer { name: "flat" type: "InnerProduct" bottom: "data" top: "fc1" inner_product_param { num_output: 16 } }'
PRELU = BODY.replace('type: "ReLU"', 'type: "PReLU"')
OTHER_NETS = {
    "names": (BODY.replace('"fc1"', '"fc9"'), "has no weights for layer fc9 of the net"),
    "shapes": (BODY.replace("num_output: 16", "num_output: 40"), "layer fc1 has weights of shapes [(16, 12), (16,)]"),
    "one more": (PRELU, "has no weights for layer relu of the net"),
    "one less": (FC2.replace('"fc1"', '"data"'), "layer fc2 has weights of shapes [(6, 16), (6,)] there and [(6, 12)"),
    "another": (FLAT + FC2, "has no weights for layer flat of the net"),
}


@pytest.mark.parametrize("other", OTHER_NETS)
def test_a_snapshot_of_another_net_is_refused(tmp_path, other):
    body, message = OTHER_NETS[other]
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3})
    write_net(tmp_path, "net", 8, body=body)
    assert message in refusal(resume(tmp_path))
    assert not list(tmp_path.glob("net_iter_6*"))


TYPES = [("SGD", "AdaGrad"), ("SGD", "Nesterov"), ("AdaGrad", "RMSProp"), ("Adam", "AdaDelta"), ("SGD", "Adam")]
RATES = {"AdaGrad": {"momentum": None}, "RMSProp": {"momentum": None, "base_lr": 0.01}, "Adam": {"base_lr": 0.01}}


@pytest.mark.parametrize("of, other", TYPES)
def test_a_snapshot_of_another_type_of_solver_is_refused(tmp_path, of, other):
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3, "type": of, **RATES.get(of, {})})
    line = refusal(resume(tmp_path, type=other, **RATES.get(other, {})))
    assert f"is of a solver of type {of}, and {tmp_path}/net_solver.prototxt has type {other}; give it the same" in line


@pytest.mark.parametrize("other, message", [
    ("AdaGrad", "has a history below 0, which AdaGrad, the type of "),
    ("RMSProp", "has a history below 0, which RMSProp, the type of "),
    ("Adam", "has 4 arrays of history, where "),
])  # fmt: skip
def test_of_a_snapshot_of_caffe_the_type_is_known_by_its_histories(tmp_path, other, message):
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3})
    without_record(tmp_path / "net_iter_3.solverstate")
    assert message in refusal(resume(tmp_path, type=other, **RATES[other]))


def test_histories_of_squares_are_said_to_be_unusual_for_sgd(tmp_path):
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3, "type": "AdaGrad", "momentum": None})
    without_record(tmp_path / "net_iter_3.solverstate")
    done = resume(tmp_path)
    assert done.returncode == 0
    assert "has no history below 0, as one of AdaGrad or RMSProp" in done.stderr


def test_a_history_of_another_shape_is_refused(tmp_path):
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3})
    path = tmp_path / "net_iter_3.solverstate"
    state = caffe_pb2.SolverState.FromString(path.read_bytes())
    state.history[0].shape.dim[:] = [12, 16]
    path.write_bytes(state.SerializeToString())
    assert "array 0 of its history has the shape (12, 16), where" in refusal(resume(tmp_path))


@pytest.mark.parametrize("content, message", [
    (b"", "has no weights; give the .caffemodel"),
    (None, "is no .caffemodel, or a damaged one"),
    (b"name: 'net'", "is no .caffemodel, or a damaged one"),
])  # fmt: skip
@pytest.mark.parametrize("ranks", [0, 2])
def test_a_snapshot_whose_weights_are_damaged_is_refused(tmp_path, ranks, content, message):
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3})
    file = tmp_path / "net_iter_3.caffemodel"
    file.write_bytes(file.read_bytes()[:700] if content is None else content)
    assert message in refusal(resume(tmp_path, ranks))


def image_data(source, batch):
    options = {"source": source, "classes": CLASSES, "batch_size": batch, "shuffle": True, "mirror": True, "seed": 3}
    options.update(crop_size=8, scale=1 / 256, mean_value=128, workers=1, resample=True)
    return f"""layer {{ name: "data" type: "Python" top: "data" top: "labels" python_param {{
      module: "caffe_losses.layers" layer: "MultiLabelImageData" param_str: '{json.dumps(options)}' }} }}"""


@pytest.mark.parametrize("ranks, batch, iter_size", [(0, 8, 1), (2, 4, 1), (0, 4, 2)])
@pytest.mark.parametrize("program", ["caffe-losses train", "caffe train"])
def test_pictures_go_on_where_they_were(tmp_path, ranks, batch, iter_size, program):
    """In the middle of an epoch, also with another number of ranks and another batch: as if it had not stopped."""
    source = write_list(tmp_path, 26, CLASSES)
    through = {"base_lr": 0.01, "max_iter": 17, "snapshot": 7}
    expected, _ = trained(tmp_path, "net", 0, 8, data=image_data(source, 8), solver=through)
    for path in tmp_path.glob("net_iter_17*"):
        path.unlink()
    if program == "caffe train" and not ranks:
        write_net(tmp_path, "net", batch, data=image_data(source, batch))
        solver = write_solver(tmp_path, "net", **through, iter_size=iter_size)
        done = caffe_program("train", "--solver", solver, "--snapshot=net_iter_7.solverstate", cwd=tmp_path)
        log = done.stdout
    else:
        write_net(tmp_path, "net", batch, data=image_data(source, batch))
        solver = write_solver(tmp_path, "net", **through, iter_size=iter_size)
        log = train(ranks, solver, "--snapshot", "net_iter_7.solverstate", cwd=str(tmp_path)).stderr
    assert "MultiLabelImageData: goes on at image " in log
    assert_equal(weights(tmp_path / "net_iter_17.caffemodel"), expected)


def test_pictures_go_on_after_a_snapshot_of_caffe_and_a_second_stop(tmp_path):
    source = write_list(tmp_path, 26, CLASSES)
    through = {"base_lr": 0.01, "max_iter": 17}
    expected, _ = trained(tmp_path, "net", 0, 8, data=image_data(source, 8), solver=through)
    caffe_program("train", "--solver", write_solver(tmp_path, "net", **dict(through, max_iter=6)), cwd=tmp_path)
    for begin, end in ((6, 11), (11, 17)):
        solver = write_solver(tmp_path, "net", **dict(through, max_iter=end))
        train(0, solver, "--snapshot", f"net_iter_{begin}.solverstate", cwd=str(tmp_path))
    assert_equal(weights(tmp_path / "net_iter_17.caffemodel"), expected, atol=0)


def test_data_layers_that_begin_anew_are_named(tmp_path):
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3})
    done = resume(tmp_path)
    assert done.returncode == 0
    (line,) = ours(done.stderr)
    assert "from iteration 3 on, layer data (HDF5Data) reads its data from their start" in line


def test_a_damaged_snapshot_is_refused_by_caffe_train_too(tmp_path):
    source = write_list(tmp_path, 6, CLASSES)
    trained(tmp_path, "net", 0, 8, data=image_data(source, 8), solver={"max_iter": 3})
    (tmp_path / "net_iter_3.solverstate").write_bytes(b"")
    done = caffe_program(
        "train", "--solver", str(tmp_path / "net_solver.prototxt"), "--snapshot=net_iter_3.solverstate",
        cwd=tmp_path, check=False,
    )  # fmt: skip
    assert "net_iter_3.solverstate is no solver state, or not a whole one" in done.stdout


def test_weights_that_fit_no_layer_are_refused_and_those_that_fit_some_are_named(tmp_path):
    trained(tmp_path, "old", 0, 8, solver={"max_iter": 3}, body=BODY.replace('"fc2"', '"other"'))
    write_net(tmp_path, "net", 8)
    solver = write_solver(tmp_path, "net", max_iter=1, base_lr=0)
    file = str(tmp_path / "old_iter_3.caffemodel")
    done = train(0, solver, "--weights", f"{file}")
    assert ours(done.stderr) == [
        f"caffe-losses: --weights {file}: 1 of 2 layers start from them; not ['fc2'], which start from their fillers; "
        "['other'] of the file are in no layer of the net"
    ]
    old, new = weights(file), weights(tmp_path / "net_iter_1.caffemodel")
    np.testing.assert_array_equal(new["fc1", 0], old["fc1", 0])
    write_net(tmp_path, "net", 8, body=BODY.replace('"fc', '"dense'))
    for extra in ("", f",{file}"):
        shutil.copy(file, str(tmp_path / "copy.caffemodel"))
        line = refusal(train(0, solver, "--weights", f"{tmp_path}/copy.caffemodel{extra}", check=False))
        assert "has weights for the layers ['fc1', 'other'], and the net learns those of ['dense1', 'dense2']" in line


@pytest.mark.parametrize("option", ["--weights", "--snapshot"])
def test_an_empty_name_is_no_start_from_random_weights(tmp_path, option):
    write_net(tmp_path, "net", 8)
    assert f"{option}: expected a ." in refusal(train(0, write_solver(tmp_path, "net"), option, "", check=False))
