"""One training a prefix; and nothing of the user's is deleted."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest
from test_parallel_faults import end, start
from training import ours, train, write_net, write_solver

from caffe_losses.parallel.drafts import Drafts

TAKE = (
    "import sys; from caffe_losses.parallel.drafts import Drafts; d = Drafts(sys.argv[1]); print('has it', flush=True)"
)


def test_a_prefix_is_taken_until_it_is_given_back(tmp_path):
    prefix = str(tmp_path / "net")
    drafts = Drafts(prefix)
    assert os.path.dirname(drafts.prefix) == f"{prefix}.writing"
    message = rf"snapshot_prefix .*net: another training has it \(process {os.getpid()} on .*\); give each training"
    for same in (prefix, f"{tmp_path}/./net"):
        with pytest.raises(ValueError, match=message) as refusal:
            Drafts(same)
        assert "\n" not in str(refusal.value)
    Drafts(prefix + "2").close()
    drafts.close()
    assert not list(tmp_path.iterdir())
    Drafts(prefix).close()
    drafts.close()  # twice


@pytest.mark.slow
def test_a_killed_process_leaves_no_lock_and_its_files_go(tmp_path):
    code = TAKE + "; open(d.prefix + '_iter_5.caffemodel', 'w').close(); sys.stdin.read()"
    job = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "net")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert job.stdout.readline() == b"has it\n"
    with pytest.raises(ValueError, match=f"another training has it .process {job.pid} on"):
        Drafts(str(tmp_path / "net"))
    job.send_signal(signal.SIGKILL)
    job.wait()
    (tmp_path / "net.writing" / "net_iter_5.caffemodel").write_text("the user's")
    drafts = Drafts(str(tmp_path / "net"))
    assert sorted(path.name for path in (tmp_path / "net.writing").iterdir()) == ["lock", "net_iter_5.caffemodel"]
    drafts.close()
    assert (tmp_path / "net.writing" / "net_iter_5.caffemodel").read_text() == "the user's"


def of_the_user(kind, path):
    if kind == "file":
        path.write_text("mine")
    elif kind == "link":
        path.with_suffix(".other").mkdir()
        path.symlink_to(path.with_suffix(".other"))
    else:
        path.mkdir()
        if kind == "pipe in it":
            os.mkfifo(str(path / "lock"))
        elif kind != "empty folder":
            (path / "lock").write_text("mine")
            (path / "net_iter_10.caffemodel").write_text("mine")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "link", "empty folder", "folder", "pipe in it"])
@pytest.mark.parametrize("good", [True, False])
def test_what_the_user_has_of_that_name_stays(tmp_path, kind, good):
    """Whether the start is refused for it, or for another reason before."""
    write_net(tmp_path, "net", 4)
    solver = write_solver(tmp_path, "net", max_iter=2, type="SGD" if good else "SDG")
    of_the_user(kind, tmp_path / "net.writing")
    before = sorted(tmp_path.rglob("*"))
    done = train(0, solver, check=False)
    assert done.returncode != 0
    if good:
        (line,) = ours(done.stderr)
        assert f"{tmp_path}/net.writing is there, and no training has left it; it is not touched: rename it" in line
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_two_trainings_with_one_prefix(tmp_path):
    job, solver, _ = start(tmp_path, 0)
    done = train(0, solver, cwd=str(tmp_path), check=False)
    (line,) = ours(done.stderr)
    assert done.returncode == 2
    assert f"snapshot_prefix {tmp_path}/net: another training has it (process {job.pid} on " in line
    assert (tmp_path / "net.writing" / "lock").exists()  # its drafts come and go with its snapshots
    job.send_signal(signal.SIGINT)
    assert "go on with --snapshot" in end(job)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    drafts = Drafts(str(tmp_path / "net"))
    assert not drafts.locks
    drafts.close()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="No such file or directory; give one in a folder that can be written"):
        Drafts(str(tmp_path / "no" / "net"))
