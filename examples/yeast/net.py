"""The net for each loss: to train it, and to use it."""

import subprocess
import sys

import caffe
from caffe import layers as L
from prepare import CLASSES, FEATURES

LOSSES = {"softmax": "MultiLabelSoftmaxLoss", "sigmoid": "SigmoidCrossEntropyLoss"}
HIDDEN, DROPOUT, BATCH = 256, 0.7, 100
PARAM = [{"decay_mult": 1}, {"decay_mult": 0}]  # the bias follows how frequent a class is: no decay


def hdf5(name, phase, **options):
    """A net that only reads <name>.h5, in one phase."""
    n = caffe.NetSpec()
    n.data, n.label = L.HDF5Data(ntop=2, source=f"{name}.txt", include={"phase": phase}, **options)
    return n


def add_scores(n, bottom):
    """One hidden layer, and one score a class."""
    n.hidden = L.InnerProduct(bottom, num_output=HIDDEN, weight_filler={"type": "msra"}, param=PARAM)
    n.relu = L.ReLU(n.hidden, in_place=True)
    n.dropout = L.Dropout(n.relu, dropout_ratio=DROPOUT, in_place=True)
    n.scores = L.InnerProduct(n.dropout, num_output=CLASSES, weight_filler={"type": "xavier"}, param=PARAM)


def train_net(loss, test_rows):
    """The net for training. In the TEST phase, one batch is the whole test set."""
    n = hdf5("train", caffe.TRAIN, batch_size=BATCH, shuffle=True)
    add_scores(n, n.data)
    # Without loss_weight, Caffe takes a Python layer for none that trains, and trains nothing.
    n.loss = L.Python(n.scores, n.label, module="caffe_losses.layers", layer=LOSSES[loss], loss_weight=1)
    proto = hdf5("test", caffe.TEST, batch_size=test_rows).to_proto()
    proto.MergeFrom(n.to_proto())
    return proto


def write(folder, test_rows):
    """<loss>.prototxt to train with each loss. `caffe-losses deploy` makes <loss>_deploy.prototxt of it, to use it."""
    for loss in LOSSES:
        (folder / f"{loss}.prototxt").write_text(str(train_net(loss, test_rows)))
        deploy = ["deploy", f"{loss}.prototxt", "-o", f"{loss}_deploy.prototxt", "--shape", f"data=1,{FEATURES}"]
        command = [sys.executable, "-m", "caffe_losses", *deploy, "--force"]
        subprocess.run(command, cwd=str(folder), check=True, stdout=subprocess.DEVNULL)


def probabilities(folder, loss, iteration, features):
    """What the snapshot of an iteration gives for the features."""
    weights = folder / f"{loss}_iter_{iteration}.caffemodel"
    net = caffe.Net(str(folder / f"{loss}_deploy.prototxt"), caffe.TEST, weights=str(weights))
    net.blobs["data"].reshape(*features.shape)
    net.blobs["data"].data[...] = features
    return net.forward()["prob"]
