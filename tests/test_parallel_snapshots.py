"""Snapshots that are whole or not there, and going on from one."""

import os
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from nets import caffe_program
from training import ours, train, trained, write_net, write_solver

from caffe_losses.net import states, weights
from caffe_losses.parallel import reduce, snapshots

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("snapshot_format", ["BINARYPROTO", "HDF5"])
def test_going_on_from_a_snapshot(tmp_path, snapshot_format):
    """At the start of an epoch, as the data begin anew; on the way max_iter holds, and the last snapshot is written."""
    end = {"BINARYPROTO": "", "HDF5": ".h5"}[snapshot_format]
    more = {"type": "Adam", "base_lr": 0.01, "snapshot": 12, "max_iter": 20, "snapshot_format": snapshot_format}
    write_net(tmp_path, "net", 4)
    solver = write_solver(tmp_path, "net", **more)
    train(2, solver)
    names = {f"net_iter_{k}.{kind}{end}" for k in (12, 20) for kind in ("caffemodel", "solverstate")}
    names |= {f"net_iter_{k}.json" for k in (12, 20)}
    assert {path.name for path in tmp_path.glob("net*iter*")} == names
    assert not list(tmp_path.glob("*.writing"))
    through = arrays(tmp_path / f"net_iter_20.caffemodel{end}", tmp_path)
    os.remove(str(tmp_path / f"net_iter_20.caffemodel{end}"))
    done = train(2, solver, "--snapshot", str(tmp_path / f"net_iter_12.solverstate{end}"))
    assert "Iteration 12, lr" not in done.stderr  # display: 20
    for array, expected in zip(arrays(tmp_path / f"net_iter_20.caffemodel{end}", tmp_path), through):
        np.testing.assert_array_equal(array, expected)
    state = states.read_state(str(tmp_path / f"net_iter_20.solverstate{end}"))
    assert (state.iter, state.learned_net) == (20, f"{tmp_path}/net_iter_20.caffemodel{end}")
    caffe_program("train", "--solver", solver, "--snapshot", f"net_iter_12.solverstate{end}", cwd=tmp_path)


def arrays(path, folder):
    net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    weights.restore(net, str(path))
    return [blob.data.copy() for blob in reduce.learned_blobs(net)]


def test_a_snapshot_that_is_not_whole_is_refused(tmp_path):
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3})
    state = tmp_path / "net_iter_3.solverstate"
    whole = state.read_bytes()
    state.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"net_iter_3\.solverstate is no solver state, or not a whole one"):
        states.read_state(str(state))
    state.write_bytes(whole)
    os.remove(str(tmp_path / "net_iter_3.caffemodel"))
    done = train(2, str(tmp_path / "net_solver.prototxt"), "--snapshot", str(state), check=False)
    assert done.returncode == 2
    assert ours(done.stderr) == [
        f"caffe-losses: rank 0: {state} names its weights {tmp_path}/net_iter_3.caffemodel, which are not there; "
        "start where that name leads to them"
    ]


def test_what_caffe_wrote_incompletely_is_not_published(tmp_path):
    trained(tmp_path, "net", 0, 8, solver={"max_iter": 3})
    solver = caffe.get_solver(str(tmp_path / "net_solver.prototxt"))
    files = snapshots.Files(*(str(tmp_path / f"net_iter_3.{kind}") for kind in ("caffemodel", "solverstate")))
    for file in files:
        content = Path(file).read_bytes()
        Path(file).write_bytes(content[:-100])
        with pytest.raises(Exception, match=r"pars|layers"):
            snapshots.check_binary(solver, files, "x", {})
        Path(file).write_bytes(content)
    snapshots.check_binary(solver, files, "x", {"type": "SGD"})
    assert states.read_record(files.state) == {"type": "SGD"}


def test_snapshot_prefix_is_completed_as_caffe_does(tmp_path):
    for prefix, expected in [(None, "sub/s"), ("snaps", "snaps"), (str(tmp_path), f"{tmp_path}/s")]:
        param = caffe_pb2.SolverParameter(snapshot_prefix=prefix)
        assert snapshots.final_prefix(param, "sub/s.prototxt") == expected
