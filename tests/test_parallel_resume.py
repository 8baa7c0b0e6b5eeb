"""A snapshot resumes the net and the type of solver that it is of, with the data where they were."""

import json
import shutil

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from nets import caffe_program
from pictures import write_list
from training import BODY, CLASSES, assert_equal, ours, train, trained, weights, write_net, write_solver

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A function that puts the net and its snapshot of iteration 3 into a folder; it trains once with each solver."""
    trainings = {}

    def copy(folder, kind="SGD"):
        if kind not in trainings:
            trainings[kind] = tmp_path_factory.mktemp(kind)
            solver = {"max_iter": 3, "type": kind, "snapshot_prefix": "net", **RATES.get(kind, {})}
            trained(trainings[kind], "net", 0, 8, solver=solver)
        write_net(folder, "net", 8)
        for path in trainings[kind].glob("net_iter_3.*"):
            shutil.copy(str(path), str(folder))

    return copy


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
def test_a_snapshot_of_another_net_is_refused(tmp_path, start, other):
    body, message = OTHER_NETS[other]
    start(tmp_path)
    write_net(tmp_path, "net", 8, body=body)
    assert message in refusal(resume(tmp_path))
    assert not list(tmp_path.glob("net_iter_6*"))


TYPES = [("SGD", "AdaGrad"), ("SGD", "Nesterov"), ("AdaGrad", "RMSProp"), ("Adam", "AdaDelta"), ("SGD", "Adam")]
RATES = {"AdaGrad": {"momentum": None}, "RMSProp": {"momentum": None, "base_lr": 0.01}, "Adam": {"base_lr": 0.01}}


@pytest.mark.parametrize("of, other", TYPES)
def test_a_snapshot_of_another_type_of_solver_is_refused(tmp_path, start, of, other):
    start(tmp_path, of)
    line = refusal(resume(tmp_path, type=other, **RATES.get(other, {})))
    assert f"is of a solver of type {of}, and {tmp_path}/net_solver.prototxt has type {other}; give it the same" in line


@pytest.mark.parametrize("other, message", [
    ("AdaGrad", "has a history below 0, which AdaGrad, the type of "),
    ("RMSProp", "has a history below 0, which RMSProp, the type of "),
    ("Adam", "has 4 arrays of history, where "),
])  # fmt: skip
def test_of_a_snapshot_of_caffe_the_type_is_known_by_its_histories(tmp_path, start, other, message):
    start(tmp_path)
    without_record(tmp_path / "net_iter_3.solverstate")
    assert message in refusal(resume(tmp_path, type=other, **RATES[other]))


def test_histories_of_squares_are_said_to_be_unusual_for_sgd(tmp_path, start):
    start(tmp_path, "AdaGrad")
    without_record(tmp_path / "net_iter_3.solverstate")
    done = resume(tmp_path)
    assert done.returncode == 0
    assert "has no history below 0, as one of AdaGrad or RMSProp" in done.stderr


def test_a_history_of_another_shape_is_refused(tmp_path, start):
    start(tmp_path)
    path = tmp_path / "net_iter_3.solverstate"
    state = caffe_pb2.SolverState.FromString(path.read_bytes())
    state.history[0].shape.dim[:] = [12, 16]
    path.write_bytes(state.SerializeToString())
    assert "array 0 of its history has the shape (12, 16), where" in refusal(resume(tmp_path))


@pytest.mark.parametrize("ranks, content, message", [
    (0, b"", "has no weights; give the .caffemodel"),
    (0, None, "is no .caffemodel, or a damaged one"),
    (0, b"name: 'net'", "is no .caffemodel, or a damaged one"),
    (2, None, "is no .caffemodel, or a damaged one"),
])  # fmt: skip
def test_a_snapshot_whose_weights_are_damaged_is_refused(tmp_path, start, ranks, content, message):
    start(tmp_path)
    file = tmp_path / "net_iter_3.caffemodel"
    file.write_bytes(file.read_bytes()[:700] if content is None else content)
    assert message in refusal(resume(tmp_path, ranks))


def image_data(source, batch):
    options = {"source": source, "classes": CLASSES, "batch_size": batch, "shuffle": True, "mirror": True, "seed": 3}
    options.update(crop_size=8, scale=1 / 256, mean_value=128, workers=1, resample=True)
    return f"""layer {{ name: "data" type: "Python" top: "data" top: "labels" python_param {{
      module: "caffe_losses.layers" layer: "MultiLabelImageData" param_str: '{json.dumps(options)}' }} }}"""


THROUGH = {"base_lr": 0.01, "max_iter": 17}


@pytest.fixture(scope="module")
def through(tmp_path_factory):
    """(a list, the folder of a training on it that has not stopped, its weights)"""
    folder = tmp_path_factory.mktemp("through")
    source = write_list(folder, 26, CLASSES)
    solver = {**THROUGH, "snapshot": 7, "snapshot_prefix": "net"}
    expected, _ = trained(folder, "net", 0, 8, data=image_data(source, 8), solver=solver)
    return source, folder, expected


@pytest.mark.parametrize("program, ranks, batch, iter_size", [
    ("caffe-losses train", 0, 8, 1), ("caffe-losses train", 2, 4, 1), ("caffe-losses train", 0, 4, 2),
    ("caffe train", 0, 8, 1), ("caffe train", 0, 4, 2),
])  # fmt: skip
def test_pictures_go_on_where_they_were(tmp_path, through, program, ranks, batch, iter_size):
    """In the middle of an epoch, also with another number of ranks and another batch: as if it had not stopped."""
    source, folder, expected = through
    for path in folder.glob("net_iter_7.*"):
        shutil.copy(str(path), str(tmp_path))
    write_net(tmp_path, "net", batch, data=image_data(source, batch))
    solver = write_solver(tmp_path, "net", **THROUGH, iter_size=iter_size)
    if program == "caffe train":
        log = caffe_program("train", "--solver", solver, "--snapshot=net_iter_7.solverstate", cwd=tmp_path).stdout
    else:
        log = train(ranks, solver, "--snapshot", "net_iter_7.solverstate", cwd=str(tmp_path)).stderr
    assert "MultiLabelImageData: goes on at image " in log
    assert_equal(weights(tmp_path / "net_iter_17.caffemodel"), expected)


def test_pictures_go_on_after_a_snapshot_of_caffe_and_a_second_stop(tmp_path, through):
    """Of Caffe's own snapshot, the images are counted: batch, iter_size and iterations."""
    source, _, expected = through
    write_net(tmp_path, "net", 4, data=image_data(source, 4))
    solver = {**THROUGH, "iter_size": 2}
    caffe_program("train", "--solver", write_solver(tmp_path, "net", **dict(solver, max_iter=6)), cwd=tmp_path)
    for begin, end in ((6, 11), (11, 17)):
        path = write_solver(tmp_path, "net", **dict(solver, max_iter=end))
        train(0, path, "--snapshot", f"net_iter_{begin}.solverstate", cwd=str(tmp_path))
    assert_equal(weights(tmp_path / "net_iter_17.caffemodel"), expected)


def test_data_layers_that_begin_anew_are_named(tmp_path, start):
    start(tmp_path)
    done = resume(tmp_path)
    assert done.returncode == 0
    (line,) = ours(done.stderr)
    assert "from iteration 3 on, layer data (HDF5Data) reads its data from their start" in line


def test_a_damaged_snapshot_is_refused_by_caffe_train_too(tmp_path):
    write_net(tmp_path, "net", 8, data=image_data(write_list(tmp_path, 6, CLASSES), 8))
    write_solver(tmp_path, "net", max_iter=3)
    (tmp_path / "net_iter_3.solverstate").write_bytes(b"")
    done = caffe_program(
        "train", "--solver", str(tmp_path / "net_solver.prototxt"), "--snapshot=net_iter_3.solverstate",
        cwd=tmp_path, check=False,
    )  # fmt: skip
    assert "net_iter_3.solverstate is no solver state, or not a whole one" in done.stdout


def test_weights_that_fit_no_layer_are_refused_and_those_that_fit_some_are_named(tmp_path):
    write_net(tmp_path, "old", 8, body=BODY.replace('"fc2"', '"other"'))
    file = str(tmp_path / "old.caffemodel")
    caffe.Net(str(tmp_path / "old.prototxt"), caffe.TRAIN).save(file)
    write_net(tmp_path, "net", 8)
    solver = write_solver(tmp_path, "net", max_iter=1, base_lr=0)
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
