"""The main job, as `make example` runs it, in a copy of its folder."""

import os
import re
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def test_yeast_trains_both_losses_to_the_published_figures(tmp_path):
    folder = str(tmp_path / "yeast")
    shutil.copytree(os.path.join(ROOT, "examples", "yeast"), folder, ignore=shutil.ignore_patterns("work"))
    done = subprocess.run(
        [sys.executable, os.path.join(folder, "run.py")],
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(line for line in done.stdout.splitlines() if "average precision" in line)
    softmax, sigmoid, published = (float(figure) for figure in re.findall(r"0\.\d+", row))
    assert published == 0.765
    assert min(softmax, sigmoid) >= 0.76
    with open(os.path.join(folder, "work", "yeast.png"), "rb") as png:
        assert png.read(4) == b"\x89PNG"
    with open(os.path.join(folder, "README.md")) as readme:
        assert f"{softmax:.3f}" in readme.read()


def test_the_comparison_of_losses_says_what_is_noise():
    """Two losses on five splits: one sure lead, and one that another split could turn."""
    code = """
import compare, json

rising, noise = [0.5, 0.51, 0.49, 0.5, 0.52], [0.01, -0.02, 0.02, 0.0, -0.01]
found = {title: {"rate": 0.01, "mAP": rising} for title in compare.titles()}
found["ZLPRLoss"] = {"rate": 0.1, "mAP": [x + 0.1 for x in rising]}
found["HillLoss"] = {"rate": 0.1, "mAP": [x + y for x, y in zip(rising, noise)]}
print("\\n".join(compare.table({"data": found})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=os.path.join(ROOT, "examples"), check=True, capture_output=True, text=True
    )
    rows = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in done.stdout.splitlines()[2:]}
    assert rows["ZLPRLoss"] == "+0.100 ± 0.000"
    assert rows["HillLoss"] == "+0.000 ± 0.020, noise"
    assert rows["SigmoidCrossEntropyLoss"] == ""
