"""Rewires a train_val that one has for several labels an image, and makes the deploy net of it.

    caffe-losses wire train_val.prototxt -o hashtags.prototxt --loss MultiLabelSoftmaxLoss --num-classes 17000 \\
        --label-source train_labels_lmdb test_labels_lmdb --check
    caffe-losses deploy hashtags.prototxt -o deploy.prototxt

`wire` and `deploy` do it to a NetParameter, as `caffe_losses.net.prototxt.read` gives it. The text is written anew:
comments are not kept.
"""

from .check import check, check_inference, check_solver, cost
from .contract import check_contract, check_statistics
from .deploy import add_probabilities, deploy
from .deploy_nets import is_deploy, starting
from .describe import describe
from .metrics import metrics_layer
from .records import ImageLists, Rewritten, TestMetrics
from .wire import wire

__all__ = [
    "ImageLists",
    "Rewritten",
    "TestMetrics",
    "add_probabilities",
    "check",
    "check_contract",
    "check_inference",
    "check_solver",
    "check_statistics",
    "cost",
    "deploy",
    "describe",
    "is_deploy",
    "metrics_layer",
    "starting",
    "wire",
]
