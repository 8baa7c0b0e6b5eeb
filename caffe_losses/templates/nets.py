"""The nets, from their papers, up to the features that the scores are made of.

Each function adds its layers to a NetSpec that has `data`, and returns its heads: (name, features,
loss_weight), the main one, named "", last. Layers are called as in the weights that their authors
published for Caffe, so that those load; the scores have a name of their own, and are trained anew.
"""

from caffe import layers as L
from caffe import params as P

WEIGHT_AND_BIAS = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
MAIN = ""


def constant(value):
    return {"type": "constant", "value": value}


def gaussian(std):
    return {"type": "gaussian", "std": std}


def add_scores(n, head, features, num_classes, bias):
    """One score a class, from a small start as in Goyal et al., 2017."""
    name = f"{head}/scores" if head else "scores"
    n[name] = L.InnerProduct(
        features,
        num_output=num_classes,
        weight_filler=gaussian(0.01),
        bias_filler=constant(bias),
        param=WEIGHT_AND_BIAS,
    )
    return n[name]


def lenet(n):
    """LeCun et al., "Gradient-based learning applied to document recognition", 1998, with ReLU and pooling by max."""
    bottom = n.data
    for name, channels in [("1", 20), ("2", 50)]:
        n["conv" + name] = L.Convolution(
            bottom, num_output=channels, kernel_size=5, weight_filler={"type": "xavier"}, param=WEIGHT_AND_BIAS
        )
        n["pool" + name] = bottom = L.Pooling(n["conv" + name], pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.ip1 = L.InnerProduct(bottom, num_output=500, weight_filler={"type": "xavier"}, param=WEIGHT_AND_BIAS)
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    return [(MAIN, n.relu1, 1)]


def caffenet(n):
    """Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012.

    As Caffe's authors trained it: pooling before normalization.
    """

    def convolution(name, bottom, num_output, bias, **options):
        n["conv" + name] = L.Convolution(
            bottom,
            num_output=num_output,
            weight_filler=gaussian(0.01),
            bias_filler=constant(bias),
            param=WEIGHT_AND_BIAS,
            **options,
        )
        n["relu" + name] = L.ReLU(n["conv" + name], in_place=True)
        return n["relu" + name]

    def pooling(name, bottom):
        n["pool" + name] = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, stride=2)
        return n["pool" + name]

    def normalization(name, bottom):
        n["norm" + name] = L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)
        return n["norm" + name]

    def fully_connected(name, bottom):
        n["fc" + name] = L.InnerProduct(
            bottom, num_output=4096, weight_filler=gaussian(0.005), bias_filler=constant(1), param=WEIGHT_AND_BIAS
        )
        n["relu" + name] = L.ReLU(n["fc" + name], in_place=True)
        n["drop" + name] = L.Dropout(n["relu" + name], dropout_ratio=0.5, in_place=True)
        return n["drop" + name]

    x = convolution("1", n.data, 96, 0, kernel_size=11, stride=4)
    x = normalization("1", pooling("1", x))
    x = convolution("2", x, 256, 1, kernel_size=5, pad=2, group=2)
    x = normalization("2", pooling("2", x))
    x = convolution("3", x, 384, 0, kernel_size=3, pad=1)
    x = convolution("4", x, 384, 1, kernel_size=3, pad=1, group=2)
    x = convolution("5", x, 256, 1, kernel_size=3, pad=1, group=2)
    return [(MAIN, fully_connected("7", fully_connected("6", pooling("5", x))), 1)]


# channels of each module: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY = {"4a": "loss1", "4d": "loss2"}  # after which module a head is added


def googlenet(n):
    """Szegedy et al., "Going deeper with convolutions", 2015: auxiliary heads weigh 0.3 each."""

    def convolution(prefix, name, bottom, num_output, **options):
        full = f"{prefix}/{name}"
        n[full] = L.Convolution(
            bottom,
            num_output=num_output,
            weight_filler={"type": "xavier"},
            bias_filler=constant(0.2),
            param=WEIGHT_AND_BIAS,
            **options,
        )
        relu = f"{prefix}/relu_{name.replace('_s2', '')}"
        n[relu] = L.ReLU(n[full], in_place=True)
        return n[relu]

    def pooling(name, bottom, **options):
        n[name] = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, **options)
        return n[name]

    def normalization(name, bottom):
        n[name] = L.LRN(bottom, local_size=5, alpha=1e-4, beta=0.75)
        return n[name]

    def inception(module, bottom):
        size1, reduce3, size3, reduce5, size5, projection = INCEPTION[module]
        prefix = f"inception_{module}"
        by_one = convolution(prefix, "1x1", bottom, size1, kernel_size=1)
        by_three = convolution(prefix, "3x3_reduce", bottom, reduce3, kernel_size=1)
        by_three = convolution(prefix, "3x3", by_three, size3, kernel_size=3, pad=1)
        by_five = convolution(prefix, "5x5_reduce", bottom, reduce5, kernel_size=1)
        by_five = convolution(prefix, "5x5", by_five, size5, kernel_size=5, pad=2)
        pooled = pooling(f"{prefix}/pool", bottom, stride=1, pad=1)
        pooled = convolution(prefix, "pool_proj", pooled, projection, kernel_size=1)
        n[f"{prefix}/output"] = L.Concat(by_one, by_three, by_five, pooled)
        return n[f"{prefix}/output"]

    def auxiliary_features(head, bottom):
        n[f"{head}/ave_pool"] = L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=5, stride=3)
        x = convolution(head, "conv", n[f"{head}/ave_pool"], 128, kernel_size=1)
        n[f"{head}/fc"] = L.InnerProduct(
            x,
            num_output=1024,
            weight_filler={"type": "xavier"},
            bias_filler=constant(0.2),
            param=WEIGHT_AND_BIAS,
        )
        n[f"{head}/relu_fc"] = L.ReLU(n[f"{head}/fc"], in_place=True)
        n[f"{head}/drop_fc"] = L.Dropout(n[f"{head}/relu_fc"], dropout_ratio=0.7, in_place=True)
        return n[f"{head}/drop_fc"]

    x = convolution("conv1", "7x7_s2", n.data, 64, kernel_size=7, stride=2, pad=3)
    x = normalization("pool1/norm1", pooling("pool1/3x3_s2", x, stride=2))
    x = convolution("conv2", "3x3_reduce", x, 64, kernel_size=1)
    x = convolution("conv2", "3x3", x, 192, kernel_size=3, pad=1)
    x = pooling("pool2/3x3_s2", normalization("conv2/norm2", x), stride=2)
    heads = []
    for module in INCEPTION:
        x = inception(module, x)
        if module in ("3b", "4e"):
            x = pooling(f"pool{module[0]}/3x3_s2", x, stride=2)
        if module in AUXILIARY:
            head = AUXILIARY[module]
            heads.append((head, auxiliary_features(head, x), 0.3))
    n["pool5/7x7_s1"] = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)  # 7 x 7 for images of 224 x 224
    n["pool5/drop_7x7_s1"] = L.Dropout(n["pool5/7x7_s1"], dropout_ratio=0.4, in_place=True)
    return heads + [(MAIN, n["pool5/drop_7x7_s1"], 1)]


def batch_normalized(n, convolution, normalization, scale):
    """The convolution's top, normalized over the batch and scaled, under the given layer names."""
    n[normalization] = L.BatchNorm(n[convolution], in_place=True)
    n[scale] = L.Scale(n[normalization], bias_term=True, in_place=True)
    return n[scale]


def resnet50(n):
    """He et al., "Deep residual learning for image recognition", 2016: 50 layers, stride in the first 1x1."""

    def convolution(name, bottom, num_output, **options):
        n["res" + name] = L.Convolution(
            bottom, num_output=num_output, weight_filler={"type": "msra"}, bias_term=False, **options
        )
        return batch_normalized(n, "res" + name, "bn" + name, "scale" + name)

    def rectified(name, bottom):
        n[f"res{name}_relu"] = L.ReLU(bottom, in_place=True)
        return n[f"res{name}_relu"]

    def block(name, bottom, width, stride, projection):
        shortcut = bottom
        if projection:
            shortcut = convolution(f"{name}_branch1", bottom, 4 * width, kernel_size=1, stride=stride)
        x = convolution(f"{name}_branch2a", bottom, width, kernel_size=1, stride=stride)
        x = convolution(f"{name}_branch2b", rectified(f"{name}_branch2a", x), width, kernel_size=3, pad=1)
        x = convolution(f"{name}_branch2c", rectified(f"{name}_branch2b", x), 4 * width, kernel_size=1)
        n["res" + name] = L.Eltwise(shortcut, x)
        return rectified(name, n["res" + name])

    # the published weights have a bias here, and only here
    n.conv1 = L.Convolution(
        n.data,
        num_output=64,
        kernel_size=7,
        stride=2,
        pad=3,
        weight_filler={"type": "msra"},
        param=WEIGHT_AND_BIAS,
    )
    n.conv1_relu = L.ReLU(batch_normalized(n, "conv1", "bn_conv1", "scale_conv1"), in_place=True)
    n.pool1 = x = L.Pooling(n.conv1_relu, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    for stage, width, blocks in [(2, 64, 3), (3, 128, 4), (4, 256, 6), (5, 512, 3)]:
        for k in range(blocks):
            stride = 2 if stage > 2 and k == 0 else 1
            x = block(f"{stage}{'abcdef'[k]}", x, width, stride, projection=k == 0)
    n.pool5 = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)
    return [(MAIN, n.pool5, 1)]


# channels of each depthwise separable pair, and the stride of its depthwise half
SEPARABLE = [
    ("2_1", 64, 1),
    ("2_2", 128, 2),
    ("3_1", 128, 1),
    ("3_2", 256, 2),
    ("4_1", 256, 1),
    ("4_2", 512, 2),
    ("5_1", 512, 1),
    ("5_2", 512, 1),
    ("5_3", 512, 1),
    ("5_4", 512, 1),
    ("5_5", 512, 1),
    ("5_6", 1024, 2),
    ("6", 1024, 1),
]


def mobilenet(n):
    """Howard et al., "MobileNets: efficient convolutional neural networks", 2017: version 1, width 1."""

    def convolution(name, bottom, num_output, **options):
        n["conv" + name] = L.Convolution(
            bottom, num_output=num_output, weight_filler={"type": "msra"}, bias_term=False, **options
        )
        x = batch_normalized(n, "conv" + name, f"conv{name}/bn", f"conv{name}/scale")
        n["relu" + name] = L.ReLU(x, in_place=True)
        return n["relu" + name]

    x, channels = convolution("1", n.data, 32, kernel_size=3, stride=2, pad=1), 32
    for name, num_output, stride in SEPARABLE:
        depthwise = {"kernel_size": 3, "pad": 1, "stride": stride, "group": channels}
        x = convolution(f"{name}/dw", x, channels, **depthwise)
        x = convolution(f"{name}/sep", x, num_output, kernel_size=1)
        channels = num_output
    n.pool6 = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)
    return [(MAIN, n.pool6, 1)]
