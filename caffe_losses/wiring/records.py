"""What wiring takes and gives."""

from collections import namedtuple


class Rewritten(namedtuple("Rewritten", "net lines")):
    """A NetParameter, and what was changed in it, a line each."""

    __slots__ = ()


class Inference(namedtuple("Inference", "net lines outputs sources")):
    """A net for inference.

    net      its NetParameter
    lines    what was changed, a line each
    outputs  an Output for each head
    sources  {input: the LayerParameter of the data layer that made it in training}
    """

    __slots__ = ()


class Output(namedtuple("Output", "blob activation")):
    """A blob that a net is run for, and what made probabilities of scores: "Softmax", "Sigmoid", or None."""

    __slots__ = ()


class ImageLists(namedtuple("ImageLists", "sources classes resize mean color scale")):
    """Lists of images to read from.

    sources  the list for TRAIN and the list for TEST; or only that for TRAIN
    classes  the file of class names, or how many classes there are
    resize   (height, width) that images are resized to before a crop; None: what ImageData says, or nothing
    mean     what is subtracted: a list of numbers, or a file; None: what the layer says that read the images
    scale    what the values are multiplied by, after that; None: what the layer says
    color    "BGR", "RGB" or "GRAY"; None: as many channels as before
    """

    __slots__ = ()

    def __new__(cls, sources, classes, resize=None, mean=None, color=None, scale=None):
        return super().__new__(cls, sources, classes, resize, mean, color, scale)


class TestMetrics(namedtuple("TestMetrics", "names images")):
    """What MultiLabelMetrics is to measure in TEST: metrics' names, and the number of test images."""

    __slots__ = ()
    __test__ = False  # for pytest, which takes classes of such a name for tests
