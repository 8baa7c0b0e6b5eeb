"""Logs of the real program, and of each kind of line that it prints, as series and as a picture."""

import math
import os
import re
import time

import pytest
from matplotlib.text import Text
from nets import caffe_program, loss_layer

from caffe_losses.__main__ import main
from caffe_losses.evaluation import figures, plot
from caffe_losses.evaluation.logs import Log, read_log
from caffe_losses.evaluation.plot import panels_of

NET = """
layer { name: "data" type: "DummyData" top: "data" top: "labels" dummy_data_param {
  shape { dim: 8 dim: 5 } shape { dim: 8 dim: 4 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 4
  weight_filler { type: "gaussian" std: 1 } } }
layer { name: "metrics" type: "Python" bottom: "scores" bottom: "labels" top: "mAP" top: "hit_at_1" top: "hit_at_3"
  include { phase: TEST } python_param { module: "caffe_losses.layers" layer: "MultiLabelMetrics"
  param_str: '{"metrics": ["mAP", "hit@1", "hit@3"], "test_iter": 3}' } }
"""


def train(folder, max_iter, *more):
    loss = loss_layer("SigmoidCrossEntropyLoss", ["scores", "labels"], loss_weight=2)
    (folder / "net.prototxt").write_text(NET + loss)
    (folder / "solver.prototxt").write_text(
        f'net: "net.prototxt" base_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 15 max_iter: {max_iter} display: 5 '
        'test_interval: 10 test_iter: 3 snapshot: 20 snapshot_prefix: "net"'
    )
    return caffe_program("train", "--solver=solver.prototxt", *more, cwd=folder).stdout


@pytest.mark.slow
def test_a_log_of_the_program_and_of_its_continuation(tmp_path):
    first = train(tmp_path, 30)
    log = Log(first.splitlines())
    assert list(log.losses["train"]) == list(range(0, 31, 5))
    assert list(log.losses["test"]) == [0, 10, 20, 30]
    assert log.rate == {k: pytest.approx(0.1 if k < 15 else 0.01) for k in range(0, 26, 5)}
    assert sorted(log.test) == ["hit_at_1", "hit_at_3", "mAP"]
    assert log.test["mAP"] == dict.fromkeys([0, 10, 20, 30], 1)
    assert not log.train
    printed = re.findall(r"Test net output #\d+: loss = (\S+)", first)
    assert [value / 2 for value in log.losses["test"].values()] == pytest.approx([float(x) for x in printed], rel=1e-5)

    second = train(tmp_path, 40, "--snapshot=net_iter_20.solverstate")
    both, restored = Log((first + second).splitlines()), Log(second.splitlines())
    assert list(both.losses["train"]) == list(range(0, 41, 5))
    for k in range(20, 41, 5):
        assert both.losses["train"][k] == restored.losses["train"][k]
    assert both.losses["train"][15] == log.losses["train"][15]

    (tmp_path / "first.log").write_text(first + second)
    (tmp_path / "second.log").write_text(second)
    logs = [str(tmp_path / "first.log"), str(tmp_path / "second.log")]
    assert main(["plot", *logs, "-o", str(tmp_path / "out.png")]) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    panels = panels_of([read_log(path) for path in logs])
    assert {title: [line.name for line in lines] for title, lines in panels.items()} == {
        "loss": ["test", "train"],
        "learning rate": ["learning rate"],
        "mAP": ["mAP"],
        "hit": ["hit_at_1", "hit_at_3"],
    }


PREFIX = "I1122 20:12:01.123456   77 solver.cpp:239] "
LINES = """Iteration 0, Testing net (#0)
    Test net output #0: accuracy = 0.5
    Test net output #1: loss = 0.75 (* 1 = 0.75 loss)
    Test net output #2: loss2 = 0.5 (* 0.5 = 0.25 loss)
Iteration 0, Testing net (#1)
    Test net output #0: accuracy = 0.25
Iteration 0 (-2e+28 iter/s, 0.1s/50 iters), loss = 1.5
    Train net output #0: prob = 0.1
    Train net output #1: prob = 0.2
    Train net output #2: loss = 1.5 (* 1 = 1.5 loss)
Iteration 0, lr = 1e-05
Iteration 50 (12.3 iter/s, 4s/50 iters), loss = nan
    Train net output #0: prob = -nan
Iteration 100, loss = 2e+10
""".splitlines()


@pytest.mark.parametrize("prefix", ["", PREFIX], ids=["plain", "glog"])
def test_each_line(prefix):
    log = Log(["make: something else = 3", *(prefix + line for line in LINES)])
    assert log.losses["test"] == {0: 1.0}
    assert log.test == {"accuracy": {0: 0.5}, "accuracy (net #1)": {0: 0.25}}
    assert log.rate == {0: 1e-5}
    assert list(log.train) == ["prob", "prob [1]"]
    assert log.train["prob [1]"] == {0: 0.2}
    assert math.isnan(log.train["prob"][50])
    train = log.losses["train"]
    assert (train[0], train[100]) == (1.5, 2e10)
    assert math.isnan(train[50])


def test_a_run_that_is_restored_replaces_what_was_beyond():
    lines = [f"Iteration {k}, loss = {value}" for k, value in ((0, 5), (100, 4), (200, 9), (100, 3), (150, 2))]
    assert Log(lines).losses["train"] == {0: 5, 100: 3, 150: 2}


def test_logs_without_test_with_nan_and_with_long_outputs_are_drawn(tmp_path, capsys):
    (tmp_path / "a.log").write_text("\n".join(LINES))
    (tmp_path / "b.log").write_text("Iteration 0, loss = nan\nIteration 0, lr = 0\n")
    many = [f"    Train net output #{k}: many = {k}" for k in range(100)]
    (tmp_path / "c.log").write_text("\n".join([PREFIX + "Iteration 7, loss = inf", *many]))
    paths = [str(tmp_path / name) for name in ("a.log", "b.log", "c.log")]
    assert main(["plot", *paths, "-o", str(tmp_path / "out.png")]) == 0
    assert "many: left out, as it has 100 numbers" in capsys.readouterr().err
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def write_log(path, outputs, iterations=1, value=0.5):
    """A log of that many lines of outputs, as `outputs` makes them of a number."""
    lines = [f"{PREFIX}Iteration {k}, loss = {value + k / 1e6}" for k in range(iterations)]
    path.write_text("\n".join([*lines, *map(outputs, range(100000))]))
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("outputs, said", [
    (lambda k: f"    Train net output #{k}: prob = {k}", "prob: left out, as it has 100000 numbers"),
    (lambda k: f"    Train net output #{k}: p{k}p = {k}", "left out, as 20 panels are enough: p19p and 99980 more"),
    (lambda k: f"{PREFIX}Iteration {k}, lr = 0.1", ""),
])  # fmt: skip
def test_a_hundred_thousand_outputs(tmp_path, capsys, outputs, said):
    begin = time.time()
    assert main(["plot", write_log(tmp_path / "a.log", outputs), "-o", str(tmp_path / "out.png")]) == 0
    assert said in capsys.readouterr().err
    assert time.time() - begin < 200  # on a busy machine; what goes through all pairs takes an hour
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_names_with_dollars_and_underscores(tmp_path, monkeypatch):
    tops = "\n".join(f"    Train net output #{k}: _hit$@{k} = 0.5" for k in (1, 5))
    for name in ("$a$.log", "_b$x^2$.log"):
        (tmp_path / name).write_text(f"Iteration 0, loss = 1\n{tops}\n")
    kept = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure) or figure.savefig(path))
    plot([str(tmp_path / "$a$.log"), str(tmp_path / "_b$x^2$.log")], str(tmp_path / "out.png"))
    texts = [text.get_text() for text in kept[0].findobj(Text)]
    for text in (r"\$a\$.log", r"_b\$x^2\$.log", r"_hit\$", r"_hit\$@1 (train)", "loss (train)"):
        assert text in texts


def test_a_log_of_powershell(tmp_path):
    (tmp_path / "a.log").write_bytes("\r\n".join(LINES).encode("utf-16"))
    assert read_log(str(tmp_path / "a.log")).rate == {0: 1e-5}


def test_markers_are_of_all_lines_or_of_none(tmp_path, monkeypatch):
    for name, count in (("a.log", 12), ("b.log", 200)):
        (tmp_path / name).write_text("\n".join(f"Iteration {k}, loss = {k}" for k in range(count)))
    kept = []
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure))
    for names in (["a.log"], ["a.log", "b.log"]):
        plot([str(tmp_path / name) for name in names], "out.png")
    few, many = ({line.get_marker() for line in figure.axes[0].lines} for figure in kept)
    assert (few, many) == ({"o"}, {"None"})


def test_folders_and_pipes_are_no_logs(tmp_path, capsys):
    os.mkfifo(str(tmp_path / "pipe"))
    for path, kind in ((tmp_path / "pipe", "a FIFO"), (tmp_path, "a folder")):
        assert main(["plot", str(path), "-o", str(tmp_path / "out.png")]) == 2
        assert f"{path} is {kind}; expected a file" in capsys.readouterr().err


def test_an_empty_log_is_called_so(tmp_path, capsys):
    (tmp_path / "a.log").write_text("")
    assert main(["plot", str(tmp_path / "a.log"), "-o", str(tmp_path / "out.png")]) == 2
    assert "a.log is no log of Caffe's solver: it is empty" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"hello\nworld\n", bytes(range(256)) * 9])
def test_what_is_no_log_is_refused_in_a_line(content, tmp_path, capsys):
    (tmp_path / "a.log").write_bytes(content)
    assert main(["plot", str(tmp_path / "a.log"), "-o", str(tmp_path / "out.png")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a.log is no log of Caffe's solver" in line
    assert not (tmp_path / "out.png").exists()
