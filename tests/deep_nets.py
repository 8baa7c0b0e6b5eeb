"""Deep nets with batch normalization as the public ones are built: ResNet-18, -20, -50 and GoogLeNet-BN, on small
pictures. Depth and joints are theirs; `thin` divides the widths.
"""

from nets import loss_layer
from rewiring import layer

CLASSES = 5
# 1x1, 3x3 reduced, 3x3, double 3x3 reduced, double 3x3, projection of the pool; of stride 2 no 1x1 and no projection
INCEPTIONS = {
    "3a": (64, 64, 64, 64, 96, 32), "3b": (64, 64, 96, 64, 96, 64), "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128), "4b": (192, 96, 128, 96, 128, 128), "4c": (160, 128, 160, 128, 160, 96),
    "4d": (96, 128, 192, 160, 192, 96), "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128), "5b": (352, 192, 320, 192, 224, 128),
}  # fmt: skip


def data(batch=4, size=32):
    """Random pictures of the first of the classes, as `data` and `labels`."""
    shapes = (f"shape {{ dim: {batch} {more} }}" for more in (f"dim: 3 dim: {size} dim: {size}", "dim: 1", "dim: 4"))
    fillers = 'data_filler { type: "gaussian" } data_filler { value: 1 } data_filler { value: 0 }'
    made = layer("data", "DummyData", "", "data one zeros", f"dummy_data_param {{ {' '.join(shapes)} {fillers} }}")
    return made + layer("labels", "Concat", "one zeros", "labels")


class Deep:
    """The text of a net that grows."""

    def __init__(self, thin):
        self.text, self.thin, self.top = data(), thin, "data"

    def add(self, name, kind, bottom, more="", top=None):
        self.text += layer(name, kind, bottom, top or name, more)
        return top or name

    def conv(self, name, bottom, outputs, kernel=3, stride=1, relu=True):
        """Convolution, BatchNorm with the learning rates that public nets write, Scale and ReLU."""
        of = f"num_output: {max(1, outputs // self.thin)} kernel_size: {kernel} stride: {stride} pad: {kernel // 2}"
        of += ' bias_term: false weight_filler { type: "msra" }'
        self.add(name, "Convolution", bottom, f"convolution_param {{ {of} }}")
        self.add(f"{name}_bn", "BatchNorm", name, "param { lr_mult: 0 } " * 3, name)
        self.add(f"{name}_scale", "Scale", name, "scale_param { bias_term: true }", name)
        return self.add(f"{name}_relu", "ReLU", name, "", name) if relu else name

    def pool(self, name, bottom, how="MAX", kernel=3, stride=2, pad=0):
        of = f"pool: {how} kernel_size: {kernel} stride: {stride} pad: {pad}"
        return self.add(name, "Pooling", bottom, f"pooling_param {{ {of} }}")

    def block(self, name, bottom, outputs, stride, bottleneck, project):
        shortcut = self.conv(f"{name}_project", bottom, outputs, 1, stride, relu=False) if project else bottom
        if bottleneck:
            inner = self.conv(f"{name}_a", bottom, outputs // 4, 1, stride)
            inner = self.conv(f"{name}_b", inner, outputs // 4)
            inner = self.conv(f"{name}_c", inner, outputs, 1, relu=False)
        else:
            inner = self.conv(f"{name}_b", self.conv(f"{name}_a", bottom, outputs, 3, stride), outputs, relu=False)
        self.add(name, "Eltwise", f"{shortcut} {inner}")
        return self.add(f"{name}_relu", "ReLU", name, "", name)

    def inception(self, name, bottom, widths):
        one, reduce3, three, reduce5, five, project = widths
        stride = 1 if one else 2
        ways = [self.conv(f"{name}_1x1", bottom, one, 1)] if one else []
        ways.append(self.conv(f"{name}_3x3", self.conv(f"{name}_reduce", bottom, reduce3, 1), three, 3, stride))
        double = self.conv(f"{name}_double1", self.conv(f"{name}_double", bottom, reduce5, 1), five)
        ways.append(self.conv(f"{name}_double2", double, five, 3, stride))
        pooled = self.pool(f"{name}_pool", bottom, *(("AVE", 3, 1, 1) if one else ("MAX", 3, 2)))
        ways.append(self.conv(f"{name}_project", pooled, project, 1) if one else pooled)
        return self.add(f"{name}_output", "Concat", " ".join(ways))

    def finish(self, bottom, loss):
        self.add("pooled", "Pooling", bottom, "pooling_param { pool: AVE global_pooling: true }")
        filler = f'inner_product_param {{ num_output: {CLASSES} weight_filler {{ type: "xavier" }} }}'
        self.add("scores", "InnerProduct", "pooled", filler)
        metrics = {"metrics": ["mAP", "hit@1"], "test_iter": 2}
        test = loss_layer("MultiLabelMetrics", ["scores", "labels"], ["mAP", "hit"], None, metrics, "metrics")
        test = test.replace("python_param", "include { phase: TEST } python_param")
        return self.text + loss_layer(loss, ["scores", "labels"]) + test


def resnet(stages, widths, bottleneck, loss, thin=1, small=False):
    """small: of CIFAR's, with a stem of one 3x3 convolution."""
    net = Deep(thin)
    top = net.conv("stem", "data", 16, 3) if small else net.pool("pool1", net.conv("stem", "data", 64, 7, 2))
    for s, (blocks, width) in enumerate(zip(stages, widths)):
        for b in range(blocks):
            project = b == 0 and (s > 0 or bottleneck)
            top = net.block(f"s{s}b{b}", top, width, 2 if b == 0 and s > 0 else 1, bottleneck, project)
    return net.finish(top, loss)


def googlenet_bn(loss, thin=1):
    net = Deep(thin)
    top = net.pool("pool1", net.conv("conv1", "data", 64, 7, 2))
    top = net.pool("pool2", net.conv("conv2", net.conv("conv2_reduce", top, 64, 1), 192))
    for name, widths in INCEPTIONS.items():
        top = net.inception(name, top, widths)
    return net.finish(top, loss)


WIDE, WIDER = (64, 128, 256, 512), (256, 512, 1024, 2048)
NETS = {
    "resnet18": lambda loss, thin=1: resnet((2, 2, 2, 2), WIDE, False, loss, thin),
    "resnet20": lambda loss, thin=1: resnet((3, 3, 3), (16, 32, 64), False, loss, thin, small=True),
    "resnet50": lambda loss, thin=1: resnet((3, 4, 6, 3), WIDER, True, loss, thin),
    "googlenet_bn": googlenet_bn,
}
SOLVER = 'net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 4 test_iter: 2 test_interval: 4 display: 1 '
SOLVER += "snapshot_after_train: false random_seed: 1 solver_mode: CPU\n"  # and Caffe's default of test_initialization
