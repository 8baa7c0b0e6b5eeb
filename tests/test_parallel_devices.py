"""GPUs that are not there."""

import pytest
from training import train, write_net, write_solver

from caffe_losses.parallel import devices


@pytest.mark.slow
def test_a_solver_for_gpus_is_refused(tmp_path):
    write_net(tmp_path, "net", 4)
    done = train(0, write_solver(tmp_path, "net", solver_mode="GPU"), check=False)
    assert done.returncode == 2
    assert "solver_mode: GPU: this Caffe is built for the CPU only; write solver_mode: CPU" in done.stderr


def test_gpu_list():
    assert devices.gpu_list("3,0,1") == [3, 0, 1]
