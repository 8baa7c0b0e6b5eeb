import os

import pytest

from caffe_losses import kernels

os.environ.setdefault("GLOG_minloglevel", "2")  # before caffe is imported: only errors


@pytest.fixture(params=["compiled", "numpy"])
def arithmetic(request, monkeypatch):
    """The kernels, which have to be there, and the formulas in numpy: each test that asks for it runs on both."""
    if request.param == "numpy":
        monkeypatch.setenv("CAFFE_LOSSES_KERNELS", "numpy")
    else:
        assert kernels.level() != "numpy", "compile the kernels: python -m caffe_losses.kernels"
