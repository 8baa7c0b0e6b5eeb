import os

import pytest

from caffe_losses import kernels

os.environ.setdefault("GLOG_minloglevel", "2")  # before caffe is imported: only errors


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
