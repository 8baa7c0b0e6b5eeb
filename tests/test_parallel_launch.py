"""Trainings that cannot start, and the words that start one process for each GPU."""

import argparse
import re

import deep_nets
import pytest
from training import BODY, ours, train, write_net, write_solver

from caffe_losses.commands import train as train_command
from caffe_losses.parallel import launch, trainer


@pytest.mark.slow
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
def test_refusals(tmp_path, arguments, reason):
    write_net(tmp_path, "net", 4)
    done = train(0, write_solver(tmp_path, "net"), *arguments, check=False)
    assert done.returncode == 2
    (line,) = ours(done.stderr)
    assert reason in line


NO_BIAS = BODY.replace('bottom: "data" top: "fc1"', 'bottom: "data" top: "fc1" include { phase: TRAIN }') + (
    'layer { name: "fc1" type: "InnerProduct" bottom: "data" top: "fc1" include { phase: TEST } '
    "inner_product_param { num_output: 16 bias_term: false } }\n"
)
NO_BIAS = NO_BIAS[NO_BIAS.rindex("layer") :] + NO_BIAS[: NO_BIAS.rindex("layer")]  # before the layers that take it
TESTS = {"test_iter": 1, "test_interval": 5}


@pytest.mark.slow
@pytest.mark.parametrize("ranks, net, solver, reason", [
    (0, {"body": NO_BIAS}, TESTS, "the TEST phase cannot share the weights of TRAIN: .*number of blobs for layer fc1"),
    (2, {"body": NO_BIAS}, TESTS, "the TEST phase cannot share the weights of TRAIN: .*number of blobs for layer fc1"),
    (0, {"body": BODY.replace("num_output: 6", "num_output: 0")}, {}, "Caffe does not load the TRAIN phase: Check"),
    (0, {"body": BODY.replace("ReLU", "Swash")}, {}, "this Caffe has no layer of the type Swash"),
    (0, {}, {"lr_policy": "odd"}, "fails in its first iteration: Unknown learning rate policy: odd"),
    (2, {}, {"type": "Odd"}, "Caffe does not make the solver: .*Unknown solver type: Odd"),
    (0, {}, {"test_iter": 1}, r"Check failed: param_.test_interval\(\) > 0"),
])  # fmt: skip
def test_what_caffe_ends_the_process_for_is_one_line(tmp_path, ranks, net, solver, reason):
    write_net(tmp_path, "net", 4, **net)
    done = train(ranks, write_solver(tmp_path, "net", **solver), check=False)
    assert done.returncode == 2
    (line,) = ours(done.stderr)
    assert re.match(f"caffe-losses: (rank 0: )?check: .*{reason}", line)
    assert "***" not in done.stderr  # Caffe's stack trace
    assert not list(tmp_path.glob("net_iter_*"))


@pytest.mark.slow
def test_a_deep_net_trains_though_its_first_test_gives_nan(tmp_path):
    write_solver(tmp_path, "net", max_iter=4, test_iter=2, test_interval=2, snapshot=2, base_lr=0.001)
    (tmp_path / "net.prototxt").write_text(deep_nets.NETS["resnet20"]("MultiLabelSoftmaxLoss", thin=4))
    done = train(0, str(tmp_path / "net_solver.prototxt"), "--keep", "2", "--best", "mAP")
    values = re.findall(r"mAP = (\S+)", done.stderr)
    assert [value == "nan" for value in values] == [True, False, False]
    assert sorted(path.stem for path in tmp_path.glob("*.caffemodel")) == ["net_iter_2", "net_iter_4"]
    assert ours(done.stderr) == []
    done = train(0, str(tmp_path / "net_solver.prototxt"), "--snapshot", str(tmp_path / "net_iter_2.solverstate"))
    assert "nan" not in done.stderr


def test_the_processes_of_several_gpus_get_the_same_options():
    parser = argparse.ArgumentParser()
    train_command.add_parser(parser.add_subparsers(dest="command"))
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
    job = trainer.Job(**{name: getattr(options, name) for name in trainer.Job._fields})
    assert parser.parse_args(["train", *launch.arguments(job)]) == options
