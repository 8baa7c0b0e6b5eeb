"""Nets with weights as a training leaves them, without the training."""

import caffe
import numpy as np
from caffe.proto import caffe_pb2

from caffe_losses.net import prototxt
from caffe_losses.net.testing import phases_of

BATCH = 4


def with_inputs(net, shape, label_shape, batch=1):
    """The net on Input layers for `batch` images of a shape and their labels, without the metrics."""
    inputs = caffe_pb2.NetParameter()
    for name, rest in [("data", shape), ("labels", label_shape)]:
        inputs.layer.add(name=name, type="Input", top=[name]).input_param.shape.add().dim.extend([batch, *rest])
    inputs.layer.extend(layer for layer in net.layer if layer.bottom and layer.name != "metrics")
    return inputs


def trained(net, shape, classes):
    """The caffe.Net of a train_val in the phase TEST, on Input layers, with an image in it that it has run on.

    Its BatchNorm layers have the statistics of images, and the scores of the image spread about as those of a trained
    net do.
    """
    phases = phases_of(net)
    head = phases.head()
    layer = phases.test.maker(head.layer, head.scores).name
    caffe.set_random_seed(0)
    random = np.random.RandomState(0)
    train = prototxt.load(with_inputs(net, shape, [classes], BATCH), "TRAIN")
    train.blobs["labels"].data[:, 0] = 1
    train.blobs["data"].data[...] = 50 * random.randn(BATCH, *shape)
    train.forward()
    kinds = dict(zip(train._layer_names, (layer.type for layer in train.layers)))
    for name, blobs in train.params.items():
        if kinds[name] == "BatchNorm":
            for blob in blobs:
                blob.data[...] *= 1000  # what the sums come to in a long training: 1 / (1 - 0.999)
    tested = prototxt.load(with_inputs(net, shape, [classes]), "TEST")
    tested.share_with(train)
    tested.blobs["labels"].data[...] = train.blobs["labels"].data[:1]
    tested.blobs["data"].data[...] = 50 * random.randn(1, *shape)
    tested.forward()
    weights, bias = (blob.data for blob in tested.params[layer])
    weights *= 2 / tested.blobs[head.scores].data.std()
    bias[...] = random.randn(classes)
    tested.forward()
    return tested


def probabilities(scores, loss):
    """Softmax or sigmoid of scores, in float64."""
    s = scores.astype(np.float64)
    if loss == "sigmoid":
        return 1 / (1 + np.exp(-s))
    return np.exp(s - s.max()) / np.exp(s - s.max()).sum()
