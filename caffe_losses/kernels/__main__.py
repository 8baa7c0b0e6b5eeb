"""python -m caffe_losses.kernels: compile the kernels in place."""

from .build import main

main()
