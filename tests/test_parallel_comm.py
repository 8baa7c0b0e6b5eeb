"""Processes that a launcher started, with MPI and without."""

import pytest
from training import ours, train, write_net, write_solver

from caffe_losses.parallel import comm


@pytest.mark.slow
def test_mpi_without_mpi4py_is_refused_in_one_line(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('there is none')")
    write_net(tmp_path, "net", 4)
    solver = write_solver(tmp_path, "net")
    for rank, lines in [("0", 1), ("1", 0)]:
        environment = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": rank}
        done = train(0, solver, cwd=str(tmp_path), check=False, **environment)
        assert done.returncode == 2
        assert len(ours(done.stderr)) == lines
        assert lines == 0 or "pip install mpi4py" in done.stderr


def test_ranks_by_environment(monkeypatch):
    for name in (*comm.SIZES, *comm.RANKS, "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert comm.launched_size() == 1
    monkeypatch.setenv("PMIX_RANK", "3")
    monkeypatch.setenv("SLURM_NTASKS", "8")
    assert (comm.launched_size(), comm.launched_rank()) == (8, 3)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    assert comm.launched_size() == 2
