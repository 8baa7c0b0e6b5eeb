"""Trainings that cannot start, and the words that start one process for each GPU."""

import argparse

import pytest
from training import ours, train, write_net, write_solver

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
