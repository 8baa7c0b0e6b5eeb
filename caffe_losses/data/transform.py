"""From an image file to the array that a net takes, as Caffe's ImageData layer and its transform_param do it."""

import copy
import io
from collections import namedtuple

import numpy as np

from .. import files
from ..options import FILE, FINITE, FLAG, Domain, Option, at_least, checked, nullable, one_of, one_or_each
from . import augment
from .decode import decode, too_large

# Where a crop is cut out, and how it is shown. down, right: in halves of the room that there is, so 1 is the middle
View = namedtuple("View", "down right mirrored")
MIDDLE = View(1, 1, False)
CORNERS = tuple(View(down, right, False) for down in (0, 2) for right in (0, 2))

COLORS = {"BGR": 1, "RGB": 1, "GRAY": 0}  # OpenCV's IMREAD_COLOR and IMREAD_GRAYSCALE
SIZE = at_least(0)


def shade(value):
    value = one_or_each("channel").convert(value)
    if not np.logical_and(np.greater_equal(value, 0), np.less_equal(value, 255)).all():
        raise ValueError
    return value


def crop_size(value):
    """0, or (height, width)."""
    if not isinstance(value, (list, tuple)):
        return (value, value) if SIZE.convert(value) else 0
    height, width = map(at_least(1).convert, value)
    return height, width


OPTIONS = (
    Option("new_height", 0, SIZE, "Resizes images to this height. Needs new_width. 0: no resizing."),
    Option("new_width", 0, SIZE, "Resizes images to this width. Needs new_height. 0: no resizing."),
    Option("color", "BGR", one_of(*COLORS), "The channels. Caffe's own layers and weights have BGR."),
    Option(
        "background",
        255,
        Domain("a number in [0, 255], or a list of one a channel", shade),
        "What a transparent image is put on, in the order of `color`. 255: white, as browsers show it.",
    ),
    Option(
        "crop_size",
        0,
        Domain("a whole number >= 0, or [height, width]", crop_size),
        "Cuts a window out of the image: a square of this side, or of this height and width. TRAIN: anywhere. "
        "TEST: in the middle. 0: no crop.",
    ),
    Option("mirror", False, FLAG, "Mirrors half of the images left to right, chosen at random."),
    Option(
        "mean_value",
        None,
        nullable(one_or_each("channel")),
        "Is subtracted from the values of the image, which are 0 to 255.",
    ),
    Option(
        "mean_file",
        None,
        nullable(FILE),
        "A .binaryproto or .npy file with a mean image, which is subtracted. It has the size before the crop, or that "
        "of the crop.",
    ),
    Option("scale", 1.0, FINITE, "Multiplies the values, after the mean is subtracted."),
    *augment.OPTIONS,
)


class Transform:
    """From an image file to an array: decode to 8 bits, resize, crop, mirror, then (values - mean) times scale.

        image = Transform(crop_size=224, mean_value=[104, 117, 123])("cat.jpg")   # float32, 3 x 224 x 224

    train    whether crops are random, and images augmented
    options  OPTIONS, as the layer MultiLabelImageData has them

    Augmentation (`augment.py`) is for `train` alone: rotation before the crop, colors and erasing after it.

    The numbers are those of Caffe's ImageData layer: OpenCV decodes and resizes (bilinear), and the rest is the
    same arithmetic in float32. ValueError for options that do not go together.
    """

    def __init__(self, train=False, **options):
        vars(self).update(checked("Transform", OPTIONS, options))
        self.train, self.view, self.channels = train, None, 1 if self.color == "GRAY" else 3
        if bool(self.new_height) != bool(self.new_width):
            self.refuse("new_height {} and new_width {}; give both or none", self.new_height, self.new_width)
        if augment.contradiction(vars(self)):
            self.refuse("{}", augment.contradiction(vars(self)))
        if self.mean_file is not None and self.mean_value is not None:
            self.refuse("both mean_file and mean_value; give one")
        self.mean = self.means()
        if np.size(self.background) not in (1, self.channels):
            self.refuse("{} backgrounds for {}; give 1 or {}", np.size(self.background), self.color, self.channels)

    @staticmethod
    def refuse(text, *values):
        raise ValueError("Transform: got " + text.format(*values))

    def seen(self, view):
        """The same Transform, but each image is seen in this View, with nothing random."""
        if view[:2] != MIDDLE[:2] and self.mean is not None and self.mean.shape[1:] == self.crop_size:
            self.refuse("a mean image of the size of the crop, which does not tell that of corners; give mean_value, "
                        "or one of the size before the crop")  # fmt: skip
        if (not self.crop_size or self.crop_scale) and view[:2] != MIDDLE[:2]:
            self.refuse("{}, which leaves no corners to cut out; give the TEST phase new_height, new_width and a "
                        "smaller crop_size", "crop_scale" if self.crop_scale else "no crop_size")  # fmt: skip
        other = copy.copy(self)
        other.train, other.view = False, view
        return other

    def means(self):
        """The mean as (channels, 1, 1) or as an image, channels in the order of `color`. None for no mean."""
        if self.mean_file is not None:
            mean = read_mean(self.mean_file)
            if len(mean) != self.channels:
                self.refuse("a mean_file of {} channels for {}", len(mean), self.color)
            return mean
        if self.mean_value is None:
            return None
        values = np.ravel(np.float32(self.mean_value))
        if len(values) not in (1, self.channels):
            self.refuse("{} mean_values for {}; give 1 or {}", len(values), self.color, self.channels)
        return np.resize(values, (self.channels, 1, 1))

    def shape(self):
        """(channels, height, width) of the array. None if it depends on the file."""
        if self.crop_size:
            return (self.channels, *self.crop_size)
        return (self.channels, self.new_height, self.new_width) if self.new_height else None

    def __call__(self, path, random=None, out=None):
        """The image as float32 of shape (channels, height, width).

        random  a random.Random, which decides crop, mirroring and augmentation. None: the middle, and none of them
        out     the array to write into. None: a new one

        ValueError for a file that is no image, smaller than crop_size, or of another shape than `out`. OSError for
        a file that cannot be read.
        """
        random = None if self.view else random
        chance = random if self.train else None
        image = self.pixels(path, chance)
        top, left = self.corner(path, image.shape[:2], chance)
        height, width = self.crop_size or image.shape[:2]
        window = (slice(top, top + height), slice(left, left + width))
        image = image[window]
        mean = self.mean
        if mean is not None and mean.shape[1:] not in ((1, 1), self.crop_size):
            mean = mean[(slice(None), *window)]
        mirror = self.view.mirrored if self.view else self.mirror and random is not None and random.getrandbits(1)
        if chance is not None:
            image = self.augmented(image, chance)
        values = image.transpose(2, 0, 1)
        if out is None:
            out = np.empty(values.shape, np.float32)
        elif out.shape != values.shape:
            raise ValueError(
                f"{path} is {' x '.join(map(str, values.shape))} and others are {' x '.join(map(str, out.shape))}; "
                "give new_height and new_width, or crop_size"
            )
        flipped = out[:, :, ::-1] if mirror else out
        if mean is None:
            flipped[...] = values
        else:
            np.subtract(values, mean, out=flipped)
        if self.scale != 1:
            out *= np.float32(self.scale)
        return out

    def pixels(self, path, random):
        """The image as `decode` gives it, turned if `random` is not None, and with crop_scale cut out."""
        import cv2

        image = self.decode(path)
        try:
            if self.crop_scale:
                return augment.resized_crop(
                    image, random, self.crop_size, self.crop_scale, self.crop_aspect, self.rotation
                )
            if self.rotation and random is not None:
                return augment.rotated(image, random, self.rotation)
        except cv2.error:
            raise too_large(path) from None
        return image

    def decode(self, path):
        """The image as uint8 of shape (height, width, channels), resized."""
        import cv2

        background = np.ravel(self.background)
        image = decode(path, COLORS[self.color], background[::-1] if self.color == "RGB" else background)
        if self.new_height:
            try:
                image = cv2.resize(image, (self.new_width, self.new_height))
            except cv2.error:
                raise too_large(path) from None
        if self.color == "GRAY":
            return image[:, :, None]
        return image[:, :, ::-1] if self.color == "RGB" else image

    def augmented(self, image, random):
        """The image with other values. It may be written over."""
        blue_first = slice(None, None, -1 if self.color == "RGB" else 1)
        image, jitter = image[:, :, blue_first], (self.brightness, self.contrast, self.saturation, self.hue)
        if any(jitter):
            image = augment.recolored(image, random, *jitter)
        if self.erasing:
            augment.erase(image, random, self.erasing, self.erasing_scale)
        return image[:, :, blue_first]

    def corner(self, path, sides, random):
        """The crop's upper left corner."""
        if self.mean is not None and self.mean.shape[1:] not in ((1, 1), sides, self.crop_size):
            raise ValueError(
                f"{path} is {sides[0]} x {sides[1]} and mean_file is {' x '.join(map(str, self.mean.shape[1:]))}; "
                "give new_height and new_width of its size"
            )
        if not self.crop_size:
            return 0, 0
        spare = [side - crop for side, crop in zip(sides, self.crop_size)]
        if min(spare) < 0:
            crop = " x ".join(map(str, self.crop_size[self.crop_size[0] == self.crop_size[1] :]))
            raise ValueError(f"{path} is {sides[0]} x {sides[1]}, smaller than crop_size {crop}")
        if random is not None:
            return [random.randrange(more + 1) for more in spare]
        return [more * halves // 2 for more, halves in zip(spare, self.view or MIDDLE)]


def read_mean(path):
    """The mean image as float32 of shape (channels, height, width)."""
    content = files.read(path)
    mean = np.load(io.BytesIO(content), allow_pickle=False) if path.endswith(".npy") else read_blob(path, content)
    if mean.ndim != 3 or not np.isfinite(mean).all():
        raise ValueError(f"{path}: expected numbers of channels x height x width, got the shape {mean.shape}")
    return mean.astype(np.float32)


def read_blob(path, content):
    """The array in the content of a .binaryproto, as compute_image_mean writes it: without the first axis."""
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    blob = caffe_pb2.BlobProto()
    try:
        blob.ParseFromString(content)
    except DecodeError:
        raise ValueError(f"{path} is no .binaryproto; give one, or a .npy file") from None
    values, dims = np.array(blob.data, np.float32), list(blob.shape.dim) or [blob.channels, blob.height, blob.width]
    return values.reshape(dims[-3:]) if values.size == np.prod(dims) else values
