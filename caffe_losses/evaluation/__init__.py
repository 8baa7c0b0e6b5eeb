"""What a trained net is worth: its metrics on a test set, its labels for pictures, and its logs as a picture.

caffe-losses evaluate --model train_val.prototxt --weights net.caffemodel --png evaluation.png
caffe-losses predict --model train_val.prototxt --weights net.caffemodel cat.jpg dog.jpg
caffe-losses plot first.log second.log -o training.png
"""

from .decision import PROBABILITY, TOP_K
from .deployed import json_of
from .evaluate import evaluate
from .logs import Log, read_log
from .plot import plot
from .predict import Label, Prediction, Predictor
from .report import Report
from .thresholds import OBJECTIVES
from .thresholds import read as thresholds_of
from .views import CROPS, views

__all__ = [
    "CROPS",
    "OBJECTIVES",
    "PROBABILITY",
    "TOP_K",
    "Label",
    "Log",
    "Prediction",
    "Predictor",
    "Report",
    "evaluate",
    "json_of",
    "plot",
    "read_log",
    "thresholds_of",
    "views",
]
