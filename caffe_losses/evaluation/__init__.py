"""What a trained net is worth: its metrics on a test set, its labels for pictures, and its logs as a picture.

caffe-losses evaluate --model train_val.prototxt --weights net.caffemodel --png evaluation.png
caffe-losses predict --model train_val.prototxt --weights net.caffemodel cat.jpg dog.jpg
caffe-losses plot first.log second.log -o training.png
"""

from .evaluate import add_evaluate
from .plot import add_plot
from .predict import add_predict

__all__ = ["add_evaluate", "add_plot", "add_predict"]
