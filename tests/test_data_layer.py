"""MultiLabelImageData in real Caffe."""

import json
import os
import signal
import subprocess

import caffe
import numpy as np
import pytest
from nets import CAFFE, caffe_program, net
from pictures import picture, write_list
from processes import ended

pytestmark = pytest.mark.slow

SOLVER = 'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: {max_iter} display: 1 snapshot_prefix: "it" '


def data_layer(source, tops=("data", "labels"), phase="TRAIN", **options):
    param_str = json.dumps(dict({"source": source, "classes": 3, "batch_size": 4}, **options))
    return (
        f'layer {{ name: "{phase}" type: "Python" {" ".join(f"top: {json.dumps(top)}" for top in tops)} '
        f"include {{ phase: {phase} }} python_param {{ "
        f'module: "caffe_losses.layers" layer: "MultiLabelImageData" param_str: \'{param_str}\' }} }}\n'
    )


def write_job(folder, count=6, max_iter=3, **options):
    """A solver that trains on pictures, and tests on them."""
    source = write_list(folder, count)
    text = data_layer(source, **options) + data_layer(source, phase="TEST", batch_size=3, workers=1)
    text += """layer { name: "scores" type: "InnerProduct" bottom: "data" top: "scores"
      inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 1e-4 } } }
    layer { name: "loss" type: "Python" bottom: "scores" bottom: "labels" top: "loss" loss_weight: 1
      python_param { module: "caffe_losses.layers" layer: "MultiLabelSoftmaxLoss" } }"""
    (folder / "net.prototxt").write_text(text)
    (folder / "solver.prototxt").write_text(SOLVER.format(max_iter=max_iter) + "test_iter: 2 test_interval: 2")


def test_data_labels_and_weights(tmp_path):
    source = tmp_path / "list.csv"
    write_list(tmp_path, 3)
    source.write_text("path,labels,weight\n0.png,0|1,0.5\n1.png,2,2\n2.png,,1\n")
    loaded = net(data_layer(str(source), ("data", "labels", "weights"), mean_value=[1, 2, 3]))
    loaded.forward()
    expected = [picture(k).transpose(2, 0, 1) - np.float32([[[1]], [[2]], [[3]]]) for k in (0, 1, 2, 0)]
    np.testing.assert_array_equal(loaded.blobs["data"].data, expected)
    assert loaded.blobs["labels"].data.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 0]]
    assert loaded.blobs["weights"].data.tolist() == [0.5, 2, 1, 0.5]


def test_it_knows_the_solver_s_rank_in_training_only(tmp_path):
    source = write_list(tmp_path, 6)
    try:
        caffe.set_solver_count(2)
        caffe.set_solver_rank(1)
        caffe.set_multiprocess(True)
        train = net(data_layer(source, label_format="INDEX"))
        test = net(data_layer(source, phase="TEST", label_format="INDEX"), caffe.TEST)
    finally:
        caffe.set_solver_count(1)
        caffe.set_solver_rank(0)
        caffe.set_multiprocess(False)
    train.forward()
    test.forward()
    expected = np.stack([picture(k).transpose(2, 0, 1) for k in (1, 3, 5, 1)])
    np.testing.assert_array_equal(train.blobs["data"].data, expected)
    np.testing.assert_array_equal(test.blobs["data"].data[1], expected[0])


def test_the_program_trains_and_tests_on_it(tmp_path):
    write_job(tmp_path, mirror=True, shuffle=True, workers=2)
    log = caffe_program("train", "--solver=solver.prototxt", cwd=tmp_path).stdout
    assert "MultiLabelImageData: 6 images, 3 classes" in log
    assert "Iteration 2, Testing net (#0)" in log
    assert "Optimization Done" in log


def test_a_broken_image_ends_the_program_with_its_name(tmp_path):
    write_job(tmp_path)
    (tmp_path / "2.png").write_bytes(b"")
    done = caffe_program("train", "--solver=solver.prototxt", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "2.png is no image that can be decoded" in done.stdout


@pytest.mark.parametrize("tops", [("data",), ("a", "b", "c", "d")])
def test_the_number_of_tops_is_checked(tmp_path, tops):
    with pytest.raises(ValueError, match="expected no bottom and the tops data, labels"):
        net(data_layer(write_list(tmp_path, 6), tops))


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_a_signal_to_the_program_leaves_no_worker(tmp_path, number, status):
    """SIGINT is sent to the whole process group, as a terminal does; Caffe makes its snapshot then."""
    write_job(tmp_path, max_iter=1000000, workers=2)
    process = subprocess.Popen(
        [CAFFE, "train", "--solver=solver.prototxt"], cwd=str(tmp_path), stderr=subprocess.PIPE, text=True,
        env=dict(os.environ, GLOG_logtostderr="1", GLOG_minloglevel="0"), start_new_session=True,
    )  # fmt: skip
    with process:
        for line in process.stderr:
            if "Iteration 5 " in line:
                workers = children(process.pid)
                os.killpg(process.pid, number)
                break
        process.stderr.read()
    assert process.returncode == status
    assert len(workers) == 3  # two of TRAIN and one of TEST
    assert ended(workers)
    assert any(tmp_path.glob("it_iter_*.solverstate")) == (number == signal.SIGINT)
