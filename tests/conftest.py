import os

os.environ.setdefault("GLOG_minloglevel", "2")  # before caffe is imported: only errors
