"""The net for one loss. In the TEST phase, MultiLabelMetrics measures it."""

import json
import math

import caffe
from caffe import layers as L
from caffe import params as P

from caffe_losses.data import with_level

# our loss layer, and the Caffe layer that makes probabilities of the scores
LOSSES = {
    "softmax": ("MultiLabelSoftmaxLoss", L.Softmax),
    "sigmoid": ("SigmoidCrossEntropyLoss", L.Sigmoid),
    "focal": ("SigmoidFocalLoss", L.Sigmoid),
}
METRICS = ["mAP", "hit@1", "precision@2"]  # also the names of the tops, which the log prints
CHANNELS, DROPOUT, BATCH = (16, 32, 64), 0.5, 32
TRANSFORM = {"crop_size": 40, "mean_value": [128], "scale": 1 / 128}
DECAY, NO_DECAY = {"decay_mult": 1}, {"decay_mult": 0}


def python(layer, *bottoms, options, ntop=1, **arguments):
    """One of our layers."""
    param_str = json.dumps(options)
    return L.Python(*bottoms, ntop=ntop, module="caffe_losses.layers", layer=layer, param_str=param_str, **arguments)


def images(phase, part, augment="none", **options):
    """A net that only reads <part>.csv, in one phase."""
    n = caffe.NetSpec()
    options.update(TRANSFORM, source=f"../{part}.csv", classes="../classes.txt", workers=1)
    options = with_level(options, augment)
    n.data, n.labels = python("MultiLabelImageData", options=options, ntop=2, include={"phase": phase})
    return n


def add_scores(n, num_classes, bias):
    """Convolution, batch normalization, ReLU and pooling, thrice; dropout; one score a class."""
    bottom = n.data
    for k, channels in enumerate(CHANNELS, 1):
        conv = L.Convolution(
            bottom, num_output=channels, kernel_size=3, pad=1, bias_term=False,
            weight_filler={"type": "msra"}, param=[DECAY]
        )  # fmt: skip
        norm = L.BatchNorm(conv, in_place=True, moving_average_fraction=0.95)  # Caffe's 0.999 is for long trainings
        scale = L.Scale(norm, in_place=True, bias_term=True, param=[NO_DECAY, NO_DECAY])
        relu = L.ReLU(scale, in_place=True)
        bottom = L.Pooling(relu, pool=P.Pooling.MAX, kernel_size=2, stride=2)
        for name, top in (("conv", conv), ("norm", norm), ("scale", scale), ("relu", relu), ("pool", bottom)):
            setattr(n, f"{name}{k}", top)
    n.dropout = L.Dropout(bottom, dropout_ratio=DROPOUT)
    n.scores = L.InnerProduct(
        n.dropout, num_output=num_classes, param=[DECAY, NO_DECAY],
        weight_filler={"type": "xavier"}, bias_filler={"type": "constant", "value": bias}
    )  # fmt: skip


def train_net(loss, *, num_classes, test_images, resample, seed, augment="none"):
    """Trains on ../train.csv. In the TEST phase, one batch is the whole of ../test.csv."""
    layer, probability = LOSSES[loss]
    options = {"batch_size": BATCH, "shuffle": True, "mirror": True, "resample": resample, "seed": seed}
    n = images(caffe.TRAIN, "train", augment, **options)
    # Sigmoids begin at a probability of 1 / classes, as in the package's templates.
    add_scores(n, num_classes, bias=0 if probability is L.Softmax else -math.log(num_classes - 1))
    # Without loss_weight, Caffe takes a Python layer for none that trains, and trains nothing.
    n.loss = python(layer, n.scores, n.labels, options={}, loss_weight=1)
    n.probability = probability(n.scores, include={"phase": caffe.TEST})
    tops = python(
        "MultiLabelMetrics", n.probability, n.labels, options={"metrics": METRICS, "test_iter": 1},
        ntop=len(METRICS), name="metrics", include={"phase": caffe.TEST}
    )  # fmt: skip
    for name, top in zip(METRICS, tops):
        setattr(n, name, top)
    proto = images(caffe.TEST, "test", batch_size=test_images).to_proto()
    proto.MergeFrom(n.to_proto())
    return proto
