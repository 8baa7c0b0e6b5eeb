"""Which templates there are, and what each net's authors trained it with."""

from collections import namedtuple

from .. import losses


class Template(
    namedtuple("Template", "title channels size resize transform rate clip num_classes batch iter_size images tests")
):
    """A net's defaults.

    title        its name in the prototxt
    channels     of an image; `size` is its height and width after the crop, `resize` before it
    transform    options of the data layer's transform_param
    rate         learning rate for each 256 images of a batch
    clip         the largest norm of a batch's gradient, or None
    num_classes  of the data set that its authors used, which has `images` to train and `tests` to test with
    batch        images at a time, `iter_size` times in an iteration
    """

    __slots__ = ()


LENET_RATE = 0.16  # tried on the pictures of examples/emoji at batch 32: docs/templates.md
CLIP = 10.0  # without batch normalization, a loss that is a sum over many classes may diverge: docs/templates.md
IMAGENET = {"num_classes": 1000, "images": 1281167, "tests": 50000}
SUBTRACTED = {"mean_value": [104, 117, 123]}  # of ImageNet, blue first
SCALED = {"mean_value": [103.94, 116.78, 123.68], "scale": 0.017}
RESIZE = 256, 256
COLOR = {"channels": 3, "size": (224, 224), "resize": RESIZE, "batch": 32, "iter_size": 8, **IMAGENET}
TEMPLATES = {
    "lenet": Template(
        title="LeNet", channels=1, size=(28, 28), resize=(28, 28), transform={"scale": 1 / 256}, rate=LENET_RATE,
        clip=CLIP, num_classes=10, batch=64, iter_size=4, images=60000, tests=10000
    ),
    "caffenet": Template(
        title="CaffeNet", channels=3, size=(227, 227), resize=RESIZE, transform=SUBTRACTED, rate=0.01, clip=CLIP,
        batch=64, iter_size=4, **IMAGENET
    ),
    "googlenet": Template(title="GoogLeNet", transform=SUBTRACTED, rate=0.01, clip=CLIP, **COLOR),
    "resnet50": Template(title="ResNet-50", transform=SUBTRACTED, rate=0.1, clip=None, **COLOR),
    "mobilenet": Template(title="MobileNet", transform=SCALED, rate=0.1, clip=None, **COLOR),
}  # fmt: skip
LOSSES = {  # of scores, by the names of their files
    loss.__module__.rpartition(".")[2].replace("_", "-"): name
    for name, loss in losses.classes.items()
    if loss.has_probabilities
}
LABEL_FORMATS = "DENSE", "INDEX"
METRICS = "mAP", "hit@1"
DATA = {
    "lmdb": "{phase}_images_lmdb and {phase}_labels_lmdb",
    "lmdb-hdf5": "{phase}_images_lmdb, and the HDF5 files in the list {phase}_labels.txt",
    "hdf5": "the HDF5 files in the list {phase}.txt, with data and labels",
}
