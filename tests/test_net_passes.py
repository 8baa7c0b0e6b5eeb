"""What is known of the command line that started a process."""

import pytest

from caffe_losses.net import passes


@pytest.mark.parametrize("words, expected", [
    (["caffe", "train", "--solver", "s.prototxt"], [3, 5]),
    (["python", "-m", "caffe_losses", "train", "-solver=s.prototxt"], [3, 5]),
    (["/usr/bin/caffe", "train", "--solver=missing.prototxt"], []),
    (["python", "own.py", "--solver", "words.txt"], []),
    (["python", "own.py", "--solver"], []),
    (["caffe", "test", "-model", "m"], [50]),
    (["caffe", "test", "--iterations=9"], [9]),
    (["caffe", "time", "--model", "m"], []),
    ([""], []),
])  # fmt: skip
def test_where_the_command_line_says_it(words, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.prototxt").write_text("test_iter: 5 test_iter: 3 test_iter: 5")
    (tmp_path / "words.txt").write_text("adam")
    assert passes.test_passes(words).batches == expected


def test_the_command_line_is_this_process_s():
    assert any("pytest" in word or word == "-c" for word in passes.command_line())
