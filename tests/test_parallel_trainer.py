"""N ranks with a batch of B are one process with a batch of N B, in real Caffe and Open MPI."""

import importlib.util
import json
import os
import warnings

import h5py
import lmdb
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from nets import BUILD, caffe_program
from pictures import write_list
from training import (
    BODY,
    CLASSES,
    IMAGES,
    LOSS,
    ROUNDING,
    assert_equal,
    trained,
    weights,
    write_data,
    write_net,
    write_solver,
)

from caffe_losses import losses
from caffe_losses.losses.base import over_ranks

pytestmark = pytest.mark.slow


SOLVERS = {
    "SGD": {},
    "Adam": {"base_lr": 0.01},
    "AdaDelta": {"max_iter": 10, "momentum": 0.95, "delta": 1e-6, "base_lr": 1},
}


@pytest.mark.parametrize("kind", SOLVERS)
def test_two_ranks_are_one_process_with_twice_the_batch(tmp_path, kind):
    solver = {"type": kind, **SOLVERS[kind]}
    single, _ = trained(tmp_path, "single", 0, 8, solver=solver)
    shared, log = trained(tmp_path, "shared", 2, 4, solver=solver)
    assert_equal(shared, single)
    assert "2 processes" in log


def test_iter_size(tmp_path):
    single, _ = trained(tmp_path, "single", 0, 4, solver={"iter_size": 2})
    shared, _ = trained(tmp_path, "shared", 2, 2, solver={"iter_size": 2})
    assert_equal(shared, single)


LMDB = """
layer { name: "data" type: "Data" top: "data" data_param { source: "images" batch_size: BATCH backend: LMDB } }
layer { name: "labels" type: "Data" top: "labels" data_param { source: "labels" batch_size: BATCH backend: LMDB } }
"""


def test_data_layers_that_read_databases(tmp_path):
    """Their threads read ahead, each rank's for itself."""
    write_data(tmp_path)
    with h5py.File(str(tmp_path / "data.h5"), "r") as file:
        rows = {"images": file["data"][...], "labels": file["labels"][...]}
    for name, array in rows.items():
        with lmdb.open(str(tmp_path / name), map_size=1 << 24) as environment, environment.begin(
            write=True
        ) as database:
            for k, row in enumerate(array):
                datum = caffe_pb2.Datum(channels=len(row), height=1, width=1, float_data=row.tolist())
                database.put(b"%08d" % k, datum.SerializeToString())
    single, _ = trained(tmp_path, "single", 0, 8, data=LMDB.replace("BATCH", "8"))
    shared, _ = trained(tmp_path, "shared", 2, 4, data=LMDB.replace("BATCH", "4"))
    assert_equal(shared, single)


def image_data(source, batch):
    """Shuffled, cropped and mirrored by chance: the same chance on any number of ranks."""
    options = {"source": source, "classes": CLASSES, "batch_size": batch, "shuffle": True, "mirror": True}
    options.update(crop_size=8, scale=1 / 256, mean_value=128, workers=1, resample=True)
    return f"""layer {{ name: "data" type: "Python" top: "data" top: "labels" python_param {{
      module: "caffe_losses.layers" layer: "MultiLabelImageData" param_str: '{json.dumps(options)}' }} }}"""


def test_images_with_several_labels(tmp_path):
    source = write_list(tmp_path, 10, CLASSES)
    single, _ = trained(tmp_path, "single", 0, 8, data=image_data(source, 8), solver={"base_lr": 0.01})
    shared, _ = trained(tmp_path, "shared", 2, 4, data=image_data(source, 4), solver={"base_lr": 0.01})
    assert_equal(shared, single)


SHARED = (
    BODY.replace('bottom: "fc1" top: "scores"', 'bottom: "fc1" top: "fc2"')
    + """
layer { name: "again" type: "InnerProduct" bottom: "fc2" top: "fc3" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "more" type: "InnerProduct" bottom: "fc3" top: "scores" param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
"""
)


def test_layers_that_share_weights(tmp_path):
    single, _ = trained(tmp_path, "single", 0, 8, body=SHARED, solver={"base_lr": 0.02})
    shared, _ = trained(tmp_path, "shared", 2, 4, body=SHARED, solver={"base_lr": 0.02})
    assert_equal(shared, single)


NORMALIZED = BODY.replace(
    'name: "relu"', 'name: "norm" type: "BatchNorm" bottom: "fc1" top: "fc1" } layer { name: "relu"'
)


def test_batch_normalization_is_of_each_ranks_batch(tmp_path):
    """So that two ranks are one process with iter_size 2 on the same batches, and not one with twice the batch."""
    rows = np.arange(IMAGES).reshape(-1, 4, 2).transpose(0, 2, 1).ravel()  # of 8: 0 2 4 6, then 1 3 5 7
    write_data(tmp_path, "by_rank", rows)
    single, _ = trained(tmp_path, "single", 0, 4, source="by_rank", body=NORMALIZED, solver={"iter_size": 2})
    shared, _ = trained(tmp_path, "shared", 2, 4, body=NORMALIZED)
    whole, _ = trained(tmp_path, "whole", 0, 8, body=NORMALIZED)
    learned = [key for key in single if key[0] != "norm"]  # the moving averages are those of rank 0's batches
    assert_equal({key: shared[key] for key in learned}, {key: single[key] for key in learned})
    assert max(np.abs(shared[key] - whole[key]).max() for key in learned) > 100 * ROUNDING


@pytest.mark.parametrize("layer", ["MultiLabelSoftmaxLoss", "SigmoidCrossEntropyLoss"])
def test_valid_counts_over_all_ranks(tmp_path, layer):
    """Ignored labels are many on one rank and few, or none, on the other, which then has batches without a label."""
    labels = (np.random.RandomState(1).rand(IMAGES, CLASSES) < 0.3).astype(np.float32)
    labels[1::2, 2:] = -1
    labels[9::8], labels[11::8], labels[13:40:8], labels[15:40:8] = -1, -1, -1, -1
    labels[1:8:2] = -1  # the whole batch of rank 1
    write_data(tmp_path, labels=labels)
    loss = LOSS.format(layer=layer, param='{"ignore_label": -1, "normalization": "VALID"}')
    single, _ = trained(tmp_path, "single", 0, 8, loss=loss)
    shared, _ = trained(tmp_path, "shared", 2, 4, loss=loss)
    assert_equal(shared, single)


def test_nothing_valid_on_any_rank_is_no_division_by_zero():
    scores, labels = np.ones((2, 3)), np.full((2, 3), -1.0)
    loss = losses.MultiLabelSoftmaxLoss(ignore_label=-1)
    with over_ranks(lambda count: 0.0):
        value, gradient = loss(scores, labels)
    assert value == 0
    assert not gradient.any()
    labels[0] = 1
    with over_ranks(lambda count: (count + 3) / 2):
        np.testing.assert_allclose(loss(scores, labels)[0], np.log(3) / 2)
    np.testing.assert_allclose(loss(scores, labels)[0], np.log(3))  # one row counts, as before


def test_rows_and_classes_with_a_label_are_counted_on_all_ranks():
    """The mean of what TwoWayLoss gives on two ranks has the divisors of the whole batch, for what is of rows."""
    scores, labels = np.random.RandomState(0).randn(2, 3), np.array([[1, 0, 0], [0, 0, 0]])
    loss = losses.TwoWayLoss()
    alone = loss(scores, labels)
    counts = []
    with over_ranks(lambda count: counts.append(count) or 2 * count):
        together = loss(scores, labels)
    assert counts == [1, 1]  # the same calls on each rank: rows, then classes
    np.testing.assert_allclose(together[0], alone[0] / 2)
    np.testing.assert_allclose(together[1], alone[1] / 2)


def test_counts_are_this_process_s_again_after_an_error():
    loss = losses.MultiLabelSoftmaxLoss(ignore_label=-1)
    with pytest.raises(KeyError), over_ranks(lambda count: 7.0):
        raise KeyError
    np.testing.assert_allclose(loss(np.ones((2, 3)), np.eye(2, 3))[0], np.log(3))


def test_weights_to_start_from_are_needed_on_rank_0_only(tmp_path):
    start, _ = trained(tmp_path, "start", 0, 8, solver={"max_iter": 3, "random_seed": 9})
    file = str(tmp_path / "start_iter_3.caffemodel")
    shared, _ = trained(tmp_path, "shared", 2, 4, "--weights", file, solver={"max_iter": 1, "base_lr": 0})
    assert_equal(shared, start, atol=0)


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


def test_one_process_is_caffe_train(tmp_path):
    solver = dict(TEST_NET, lr_policy="multistep", stepvalue=5, gamma=0.5)
    single, log = trained(tmp_path, "single", 0, 8, solver=solver)
    write_net(tmp_path, "caffe", 8)
    done = caffe_program("train", "--solver", write_solver(tmp_path, "caffe", **solver), cwd=tmp_path)
    assert_equal(weights(tmp_path / "caffe_iter_12.caffemodel"), single, atol=0)
    assert outputs(log) == outputs(done.stdout)[: len(outputs(log))]
    assert len(outputs(log)) > 20


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The log of a training on two ranks."""
    return trained(tmp_path_factory.mktemp("shared"), "shared", 2, 4, solver=TEST_NET)[1]


def test_rank_0_alone_tests_and_logs(tmp_path, shared):
    _, single = trained(tmp_path, "single", 0, 8, solver=TEST_NET)
    assert shared.count("Test net output") == single.count("Test net output")
    assert shared.count("lr = ") == single.count("lr = ") == 6
    assert len({line.split()[2] for line in shared.splitlines() if line.startswith("I")}) == 1  # one process's number


def test_caffes_own_tool_reads_the_log(tmp_path, monkeypatch, shared):
    (tmp_path / "log").write_text(shared)
    monkeypatch.syspath_prepend(os.path.join(BUILD, "source", "tools", "extra"))
    with open(os.path.join(BUILD, "source", "tools", "extra", "parse_log.py")) as file:
        text = file.read().replace("print 'Wrote %s' % output_filename", "pass")  # the rest is Python 3 too
    tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("parse_log", None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its regular expressions, which are no raw strings
        exec(compile(text, "parse_log.py", "exec"), tool.__dict__)
    training, test = tool.parse_log(str(tmp_path / "log"))
    assert [row["NumIters"] for row in training] == [0, 2, 4, 6, 8, 10]
    assert [row["NumIters"] for row in test] == [0, 6, 12]
    assert all(row["LearningRate"] == 0.1 for row in training)
