"""What setup.py builds: of what is there, and nothing else."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Compiles nothing: its last argument is the file to write.
COMPILER = "#!/bin/sh\nfor last; do :; done\necho library > $last\n"


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    without = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(str(ROOT / "caffe_losses"), str(folder / "caffe_losses"), ignore=without)
    for name in ("setup.py", "README.md", "MANIFEST.in", "pyproject.toml"):
        shutil.copy(str(ROOT / name), str(folder))
    compiler = tmp_path / "cc"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    return folder


def wheel(sources, compiler):
    """(the tag, the names) of the wheel that is built with this C compiler."""
    shutil.rmtree(str(sources / "dist"), ignore_errors=True)
    subprocess.run([sys.executable, "setup.py", "-q", "bdist_wheel"], cwd=str(sources), check=True,
                   env=dict(os.environ, CC=str(compiler)), stdout=subprocess.DEVNULL)  # fmt: skip
    (built,) = (sources / "dist").iterdir()
    with zipfile.ZipFile(str(built)) as file:
        return built.stem.split("-", 2)[2], file.namelist()


@pytest.mark.slow
def test_a_wheel_holds_what_is_there_and_says_for_which_machine(sources):
    library, module = "caffe_losses/kernels/library.so", "caffe_losses/losses/gone.py"
    (sources / module).write_text("")
    tag, names = wheel(sources, sources.parent / "cc")
    assert {library, module, "caffe_losses/kernels/kernels.c", "caffe_losses/py.typed"} <= set(names)
    assert tag.startswith("py3-none-") and not tag.endswith("-any")
    (sources / module).unlink()
    tag, names = wheel(sources, "/nowhere/cc")
    assert not {library, module} & set(names)
    assert tag == "py3-none-any"
    tag, names = wheel(sources, sources.parent / "cc")
    assert library in names and not tag.endswith("-any")
