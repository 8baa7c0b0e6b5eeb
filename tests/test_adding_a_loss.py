"""docs/adding-a-loss.md, followed to the letter: three made-up losses, one of each family, in a copy of the package."""

import re
import shutil
import subprocess
import sys

import pytest
from documents import ROOT, blocks

pytestmark = pytest.mark.slow

PAGE = "docs/adding-a-loss.md"
MADE_UP = "SquaredHinge or GeneralizedCrossEntropy or SquaredMargin"
COPIED = "caffe_losses", "tests", "docs", "README.md", "pyproject.toml"
# Has no AVX: of three variants of the same source, one is enough.
COMPILER = '#!/bin/sh\ncase "$*" in *-mavx*) exit 1 ;; esac\nexec cc "$@"\n'


def python(folder, *arguments):
    environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "CFLAGS": "-O1", "GLOG_minloglevel": "2"}
    environment["CC"] = str(folder / "compiler")
    return subprocess.run(
        [sys.executable, *arguments], cwd=str(folder), env=environment, capture_output=True, text=True
    )


def insert(path, mark, text):
    """Put a text before the first place of a mark."""
    before, found, after = path.read_text().partition(mark)
    assert found, (path, mark)
    path.write_text(before + text + found + after)


def write_python(folder):
    for block in blocks("python", PAGE):
        match = re.match(r"# (\S+\.py)\n", block.text)
        if match and match.group(1).startswith("tests/"):
            path = folder / match.group(1)
            insert(path, "\n\ndef reduce(", "\n\n" + block.text.partition("\n")[2].rstrip() + "\n")
        elif match:
            (folder / match.group(1)).write_text(block.text)


def write_c(folder):
    losses_h = folder / "caffe_losses/kernels/losses.h"
    for block in blocks("c", PAGE):
        if block.text.startswith("/* caffe_losses/kernels/losses.h */"):
            insert(losses_h, "/* The list that all of C follows", block.text + "\n")
        for line in block.text.splitlines():
            if line.startswith("LOSSES: "):
                insert(losses_h, "  INDEPENDENT(cross_entropy,", f"  {line[len('LOSSES: ') :]} \\\n")
            if line.startswith("OPTIONS: "):
                insert(losses_h, "  OPTION(gamma_pos)", f"  {line[len('OPTIONS: ') :]} \\\n")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(str(ROOT / name), str(folder / name))
    write_python(folder)
    write_c(folder)
    (folder / "compiler").write_text(COMPILER)
    (folder / "compiler").chmod(0o755)
    compiled = python(folder, "-m", "caffe_losses.kernels")
    assert compiled.returncode == 0, compiled.stderr
    return folder


def test_the_new_losses_pass_the_tests_of_all_losses_in_c_and_numpy(package):
    tests = "tests/test_losses.py", "tests/test_kernels.py"
    contracts = "is_its_formula or central_difference or any_size_with or indices_are_dense"
    done = python(
        package, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", f"({MADE_UP}) and ({contracts})"
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) > 300


def test_the_kernels_are_what_computes(package):
    code = f"""
from caffe_losses import losses
from caffe_losses.kernels import binding
for name in {[word + "Loss" for word in MADE_UP.split(" or ")]}:
    loss = losses.classes[name]()
    loss.reshape((2, 3), (2, 3))
    assert loss.compiled, name
print(sorted(binding.library().losses))
"""
    done = python(package, "-c", code)
    assert done.returncode == 0, done.stderr
    assert "generalized" in done.stdout


def test_tables_and_types_follow(package):
    assert python(package, "docs/tables.py", "--check").returncode == 1
    assert python(package, "docs/tables.py").returncode == 0
    assert "| `SquaredMarginLoss` |" in (package / "README.md").read_text()


@pytest.mark.parametrize(
    "kernel_options, said",
    [
        ('"squared_hing", {"margin": 1}', "no kernel is called 'squared_hing'; losses.h has squared_hinge, "),
        ('"squared_hinge", {"margn": 1}', "kernel squared_hinge has options without margin and with margn; it reads"),
        ('"squared_hinge", {}', "kernel squared_hinge has options without margin; it reads margin"),
    ],
)  # fmt: skip
def test_what_the_list_does_not_know_is_refused(package, kernel_options, said):
    code = f"""
from caffe_losses.losses.squared_hinge import SquaredHingeLoss
class Other(SquaredHingeLoss):
    kernel = "other"
    def kernel_options(self): return {kernel_options}
Other()([[1.0, 2.0]], [[1, 0]])
"""
    done = python(package, "-c", code)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ValueError: caffe_losses: {said}"), done.stderr
