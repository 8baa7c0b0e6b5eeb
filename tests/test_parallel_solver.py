"""The learning rate of a training, and data layers that do not share their data out."""

import os

import caffe
import numpy as np
import pytest
from nets import input_layer, net
from training import ours, train, trained, write_net, write_solver

from caffe_losses.parallel import solver

pytestmark = pytest.mark.slow


def rates(log):
    return [float(line.split("lr = ")[1]) for line in log.splitlines() if ", lr = " in line]


def test_warm_up_then_the_solvers_policy(tmp_path):
    policy = {"lr_policy": "multistep", "stepvalue": 6, "gamma": 0.5, "display": 1, "max_iter": 8, "base_lr": 0.4}
    _, log = trained(tmp_path, "one", 0, 8, "--warmup", "4", "--warmup-lr", "0.2", solver=policy)
    np.testing.assert_allclose(rates(log), [0.2, 0.25, 0.3, 0.35, 0.4, 0.4, 0.2, 0.2], rtol=1e-5)
    _, log = trained(tmp_path, "two", 2, 4, "--warmup", "4", "--scale-lr", solver=dict(policy, base_lr=0.2))
    np.testing.assert_allclose(rates(log), [0.04, 0.13, 0.22, 0.31, 0.4, 0.4, 0.2, 0.2], rtol=1e-5)


MADE = 'layer { name: "made" type: "DummyData" top: "data" dummy_data_param { shape { dim: 1 dim: 2 } } }'
FED = """layer { name: "fed" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 1 channels: 1 height: 1 width: 1 } }"""
OWN = 'layer { name: "own" type: "Python" top: "data" python_param { module: "test_parallel_solver" layer: "Own" } }'


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


def test_a_refusal_is_one_line_of_rank_0(tmp_path):
    write_net(tmp_path, "fed", 4, data=input_layer("data", (4, 12)) + input_layer("labels", (4, 6)))
    done = train(2, write_solver(tmp_path, "fed"), check=False)
    assert done.returncode == 2
    (line,) = ours(done.stderr)
    assert "layer data (Input) does not share its data out" in line
    assert not list(tmp_path.glob("*.writing"))


IMAGES = """layer { name: "data" type: "ImageData" top: "data" top: "labels"
  image_data_param { source: "fifo" batch_size: 2 new_height: 4 new_width: 4 } }"""


@pytest.mark.parametrize("words", [
    ["fifo"],
    ["solver", "--weights", "fifo"],
    ["of_fifo"],
    ["of_images"],
])  # fmt: skip
def test_a_fifo_is_not_waited_for(tmp_path, words):
    os.mkfifo(str(tmp_path / "fifo"))
    (tmp_path / "net").write_text(input_layer("data", (2, 5)))
    (tmp_path / "images").write_text(IMAGES)
    for name, path in [("solver", "net"), ("of_fifo", "fifo"), ("of_images", "images")]:
        (tmp_path / name).write_text(f'net: "{path}" base_lr: 1 lr_policy: "fixed"')
    done = train(0, *words, cwd=str(tmp_path), check=False)
    assert done.returncode == 2
    assert "fifo is a FIFO; expected a file" in done.stderr


def test_a_net_that_is_none_is_refused_in_a_line(tmp_path):
    write_net(tmp_path, "fed", 4)
    path = write_solver(tmp_path, "fed")
    with open(tmp_path / "fed.prototxt", "a") as file:
        file.write("layer { nmae: 'x' }")
    done = train(0, path, check=False)
    assert done.returncode == 2
    assert "fed.prototxt is not a net" in done.stderr
    assert 'no field named "nmae"' in done.stderr
