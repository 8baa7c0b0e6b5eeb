"""The compiler makes vector code of every formula. `make bench-compilers` looks at other compilers, and at times."""

import sys
from pathlib import Path

import pytest

from caffe_losses.kernels import build

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import loops

pytestmark = pytest.mark.slow


def test_no_loop_computes_number_by_number():
    assert not loops.scalar_loops(build.LIBRARY)


def test_the_loops_are_found():
    """In float, that is: the exponential of double is libm's."""
    functions = list(loops.functions(build.LIBRARY))
    levels = sum(name.startswith("forward_float_") for name, _ in functions)
    for loss in ("cross_entropy", "focal", "asymmetric", "hill", "binary"):
        for options_and_backward in ("0_0", "0_1", "1_0", "1_1"):
            name = f"{loss}_{options_and_backward}"
            packed = [max(loop.packed for loop in loops.loops(name, code)) for one, code in functions if one == name]
            assert sum(most > 3 for most in packed) >= levels > 0, (name, packed)
