"""The main job, as `make example` runs it, in a copy of its folder."""

import os
import re
import shutil
import subprocess
import sys

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
