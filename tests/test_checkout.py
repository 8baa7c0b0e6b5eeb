"""The tests test this checkout, also where another one is installed; and test-fast starts no process."""

import os
import subprocess
import sys
from pathlib import Path

import caffe_nets
import documents
import nets
import pytest
import training

import caffe_losses

HERE = os.path.join(caffe_nets.ROOT, "caffe_losses")
WHERE = "import caffe_losses; print(caffe_losses.__file__)"


def test_this_process():
    assert os.path.dirname(caffe_losses.__file__) == HERE


@pytest.mark.slow
@pytest.mark.parametrize("environment", [None, training.ENVIRONMENT, documents.ENVIRONMENT, caffe_nets.BARE])
def test_another_python(environment, tmp_path):
    command = [sys.executable, "-c", WHERE]
    output = subprocess.check_output(command, cwd=str(tmp_path), env=environment, text=True)
    assert os.path.dirname(output) == HERE


@pytest.mark.slow
@pytest.mark.parametrize("run", [nets.caffe_program, lambda *words, cwd, check: caffe_nets.run(cwd, *words, code=1)])
def test_the_caffe_program(run, tmp_path):
    """By the traceback of a layer that refuses its options."""
    inputs = nets.input_layer("scores", (2, 3)) + nets.input_layer("labels", (2, 3))
    loss = nets.loss_layer("MultiLabelSoftmaxLoss", ["scores", "labels"], param={"axes": 1})
    (tmp_path / "net.prototxt").write_text(inputs + loss)
    done = run("time", "--model", "net.prototxt", cwd=tmp_path, check=False)
    log = getattr(done, "stdout", done)
    assert f'File "{os.path.join(HERE, "layers", "loss.py")}"' in log
    assert "axes" in log


def test_a_test_that_is_not_marked_starts_no_process():
    with pytest.raises(pytest.fail.Exception) as failed:
        subprocess.run(["true"], check=True)
    assert "starts a process: subprocess.Popen true ['true']; mark it with pytest.mark.slow. " in str(failed.value)
    reason = str(failed.value).split("'")[-2]
    assert reason in (Path(caffe_nets.ROOT) / "docs/testing.md").read_text(encoding="utf-8")
