"""The same net twice: <loss>.prototxt, to train with that loss, and <loss>_deploy.prototxt, to use it."""

import caffe
from caffe import layers as L
from prepare import CLASSES, FEATURES

# our loss layer, and the Caffe layer that makes probabilities of the scores
LOSSES = {
    "softmax": ("MultiLabelSoftmaxLoss", L.Softmax),
    "sigmoid": ("SigmoidCrossEntropyLoss", L.Sigmoid),
}
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
    """The net for training; in the TEST phase, one batch is the whole test set."""
    n = hdf5("train", caffe.TRAIN, batch_size=BATCH, shuffle=True)
    add_scores(n, n.data)
    # Without loss_weight, Caffe takes a Python layer for none that trains, and trains nothing.
    n.loss = L.Python(n.scores, n.label, module="caffe_losses.layers", layer=LOSSES[loss][0], loss_weight=1)
    proto = hdf5("test", caffe.TEST, batch_size=test_rows).to_proto()
    proto.MergeFrom(n.to_proto())
    return proto


def deploy_net(loss):
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, FEATURES]})
    add_scores(n, n.data)
    n.probability = LOSSES[loss][1](n.scores)
    return n.to_proto()


def write(folder, test_rows):
    for loss in LOSSES:
        (folder / f"{loss}.prototxt").write_text(str(train_net(loss, test_rows)))
        (folder / f"{loss}_deploy.prototxt").write_text(str(deploy_net(loss)))
