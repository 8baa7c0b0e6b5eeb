import os
import sys

import pytest

# Processes that tests start, the caffe program's Python included, import this checkout, whatever is installed.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
os.environ.setdefault("GLOG_minloglevel", "2")  # before caffe is imported: only errors
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # and before numpy: the tests themselves share the cores

from caffe_losses import kernels  # noqa: E402

REASON = "docs/testing.md: 'what starts no process and trains nothing, in under a minute' is `make test-fast`."
STARTS = "subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"  # a process, as Python's audit calls it
running = []  # the test whose turn it is, with its fixtures


def guard(event, arguments):
    if event in STARTS and running and not running[0].get_closest_marker("slow"):
        what = " ".join(map(str, filter(None, [event, *arguments[:2]])))
        pytest.fail(f"{running[0].nodeid} starts a process: {what}; mark it with pytest.mark.slow. {REASON}")


if hasattr(sys, "addaudithook"):  # from Python 3.8 on
    sys.addaudithook(guard)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    running[:] = [item]
    yield
    running.clear()


@pytest.fixture(autouse=True, scope="session")
def gpu():
    """All nets of the tests compute on the GPU whose number is in CAFFE_LOSSES_TEST_GPU; docker/gpu-proof sets it."""
    if "CAFFE_LOSSES_TEST_GPU" in os.environ:
        from caffe_losses.parallel import devices  # not for the tests without Caffe

        devices.use(int(os.environ["CAFFE_LOSSES_TEST_GPU"]))


@pytest.fixture(params=["compiled", "numpy"])
def arithmetic(request, monkeypatch):
    """The kernels, which have to be there, and the formulas in numpy: each test that asks for it runs on both."""
    if request.param == "numpy":
        monkeypatch.setenv("CAFFE_LOSSES_KERNELS", "numpy")
    else:
        assert kernels.level() != "numpy", "compile the kernels: python -m caffe_losses.kernels"
