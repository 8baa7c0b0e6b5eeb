"""Random changes of a picture, for training: one function each, and levels of all of them together.

Pictures are uint8 of shape (height, width, channels). All chance comes from a `random.Random`.
"""

import math

import numpy as np

from ..options import Domain, Option, nullable, number, real

TRIES = 10  # as torchvision's RandomResizedCrop and RandomErasing
ERASING_ASPECT = (0.3, 1 / 0.3)  # Zhong et al., 2020
# From colors to YIQ: the gray value, and two axes of color (NTSC)
RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
BGR_TO_YIQ = RGB_TO_YIQ[:, ::-1]
YIQ_TO_BGR = np.linalg.inv(BGR_TO_YIQ)


def span(text, high):
    def convert(value):
        first, last = map(real, value)
        if not 0 < first <= last <= high:
            raise ValueError
        return [first, last]

    return Domain(text, convert)


SHARES = span("[least, most] in (0, 1]", 1)
ASPECTS = span("[least, most] > 0", 100)

OPTIONS = (
    Option(
        "crop_scale",
        None,
        nullable(SHARES),
        "TRAIN: cuts out a random window, and resizes it to `crop_size`. Its area is this share of the image, uniform. "
        "TEST: the largest window of the shape of `crop_size`, in the middle. Szegedy et al., 2015; torchvision's "
        "RandomResizedCrop; they have [0.08, 1].",
    ),
    Option(
        "crop_aspect",
        [0.75, 4 / 3],
        ASPECTS,
        "With `crop_scale`: width / height of the window, divided by that of `crop_size`. Its logarithm is uniform.",
    ),
    Option(
        "rotation",
        0.0,
        number(0, 180),
        "TRAIN: turns the image around its middle by up to so many degrees, either way, uniform. What comes in at the "
        "border is the image, mirrored.",
    ),
    Option(
        "brightness",
        0.0,
        number(0, 1),
        "TRAIN: multiplies the values by a factor, uniform in 1 - x to 1 + x. This and the next two are those of "
        "torchvision's ColorJitter.",
    ),
    Option(
        "contrast",
        0.0,
        number(0, 1),
        "TRAIN: multiplies the differences from the mean gray of the image by such a factor.",
    ),
    Option(
        "saturation",
        0.0,
        number(0, 1),
        "TRAIN: multiplies the differences from the gray of each pixel by such a factor.",
    ),
    Option(
        "hue",
        0.0,
        number(0, 0.5),
        "TRAIN: turns the colors around the gray axis of YIQ by up to this share of a full turn, either way, uniform, "
        "as MXNet's HueJitterAug. Grays stay.",
    ),
    Option(
        "erasing",
        0.0,
        number(0, 1),
        "TRAIN: the probability that a rectangle is filled with random values (random erasing, Zhong et al., 2020). "
        "They have 0.5. The logarithm of its width / height is uniform, from 0.3 to 1 / 0.3.",
    ),
    Option(
        "erasing_scale",
        [0.02, 0.4],
        SHARES,
        "With `erasing`: the area of the rectangle, as a share of the image; uniform.",
    ),
)

# What is sensible for several labels an image: a small window may show none of them.
LEVELS = {
    "none": {},
    "light": {"crop_scale": [0.5, 1]},
    "standard": {"crop_scale": [0.25, 1], "brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
    "strong": {
        "crop_scale": [0.08, 1],
        "rotation": 15,
        "brightness": 0.4,
        "contrast": 0.4,
        "saturation": 0.4,
        "hue": 0.1,
        "erasing": 0.25,
    },
}
OF_COLORS = "saturation", "hue"


def with_level(options, level):
    """The options of a MultiLabelImageData layer for TRAIN, with those of a level of augmentation.

        with_level({"new_height": 256, "new_width": 256, "crop_size": 224}, "light")
        # {"crop_size": 224, "crop_scale": [0.5, 1]}

    options  {name: value} as in a param_str, with crop_size, or new_height and new_width. It stays as it is
    level    one of LEVELS. none: nothing changes. Mirroring is an option of its own

    `crop_scale` resizes, so new_height and new_width go. Their size is the crop's, if there is no crop. Gray images
    have no colors to change.
    """
    added = {name: value for name, value in LEVELS[level].items() if name not in OF_COLORS or not is_gray(options)}
    changed = dict(options, **added)
    if "crop_scale" in added:
        resized = [changed.pop(name, 0) for name in ("new_height", "new_width")]
        if not changed.get("crop_size"):
            changed["crop_size"] = resized
    return changed


def is_gray(options):
    return options.get("color") == "GRAY"


def contradiction(options):
    """What of these options does not go together, as text; None if all do.

    options  {name: value}, of OPTIONS and those of `transform`, checked
    """
    default = {option.name: option.default for option in OPTIONS}
    for name, owner in (("crop_aspect", "crop_scale"), ("erasing_scale", "erasing")):
        if not options[owner] and options[name] != default[name]:
            return f"{name} without {owner}; give {owner} too, or leave it out"
    if options["crop_scale"]:
        if not options["crop_size"]:
            return "crop_scale without crop_size; give the size to which the window is resized"
        if options["new_height"]:
            return "crop_scale and new_height, which it overrides; leave out new_height and new_width"
        if options["mean_file"] is not None:
            return "crop_scale and mean_file, which has the size of whole images; give mean_value"
    colors = [name for name in OF_COLORS if options[name] and is_gray(options)]
    return f"{colors[0]} for GRAY, which has no colors; leave it out" if colors else None


# Windows


def window(random, sides, scale, aspects, shape=1.0):
    """A random rectangle, as a tuple of two slices. None if ten tries give none that is inside.

    sides    (height, width) of the image
    scale    its area, as a share of the image: uniform between two numbers
    aspects  its width / height, divided by `shape`: the logarithm is uniform between those of two numbers
    """
    for _ in range(TRIES):
        area = sides[0] * sides[1] * random.uniform(*scale)
        aspect = shape * math.exp(random.uniform(*map(math.log, aspects)))
        height, width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < height <= sides[0] and 0 < width <= sides[1]:
            return placed(
                random.randrange(sides[0] - height + 1), random.randrange(sides[1] - width + 1), height, width
            )
    return None


def placed(top, left, height, width):
    return slice(top, top + height), slice(left, left + width)


def middle(sides, shape):
    """The largest rectangle of this width / height in the middle of an image."""
    height, width = min(sides[0], round(sides[1] / shape)), min(sides[1], round(sides[0] * shape))
    height, width = max(1, height), max(1, width)
    return placed((sides[0] - height) // 2, (sides[1] - width) // 2, height, width)


def resized_crop(image, random, crop, scale, aspects, degrees=0):
    """A random window of the image, resized to `crop`, a pair of height and width. Without `random`, the middle.

    degrees  with `random`, the image is turned first, by up to so many either way. Both in one step: that is faster,
             and pixels are interpolated once
    """
    import cv2

    sides, shape = image.shape[:2], crop[1] / crop[0]
    chosen = (random and window(random, sides, scale, aspects, shape)) or middle(sides, shape)
    if random and degrees:
        return warped(image, resizing(chosen, crop) @ turn(sides, random, degrees), crop)
    return np.atleast_3d(cv2.resize(image[chosen], crop[::-1]))


def rotated(image, random, most):
    """The image, turned around its middle by up to `most` degrees either way."""
    sides = image.shape[:2]
    return warped(image, turn(sides, random, most), sides)


def turn(sides, random, most):
    """The turn around the middle, as a 3 x 3 matrix for (x, y, 1)."""
    import cv2

    height, width = sides
    center = (width - 1) / 2, (height - 1) / 2
    return np.vstack([cv2.getRotationMatrix2D(center, random.uniform(-most, most), 1), [0, 0, 1]])


def resizing(window, crop):
    """What maps a window to a crop, as a 3 x 3 matrix for (x, y, 1). The middle of the first pixel is at 0."""
    matrix = np.eye(3)
    for axis, place, side in zip((1, 0), window, crop):
        factor = side / (place.stop - place.start)
        matrix[axis, [axis, 2]] = factor, (0.5 - place.start) * factor - 0.5
    return matrix


def warped(image, matrix, sides):
    import cv2

    return np.atleast_3d(cv2.warpAffine(image, matrix[:2], sides[::-1], borderMode=cv2.BORDER_REFLECT_101))


# Values


def recolored(image, random, brightness, contrast, saturation, hue):
    """The image, gray or with blue first, in other colors.

    All four changes are linear and, but for the rounding at the end, may have any order.
    In YIQ, saturation s and hue t multiply the two axes of color by s and turn them by t. They leave the gray. Then
    brightness b and contrast c make c b x + (1 - c) b m of a value x, where m is the mean gray of the image.
    """
    import cv2

    b, c, s = (1 + random.uniform(-most, most) if most else 1 for most in (brightness, contrast, saturation))
    t = 2 * math.pi * random.uniform(-hue, hue) if hue else 0
    if image.shape[2] == 1:
        colors, gray = np.eye(1), cv2.mean(image)[0]
    else:
        turn = s * np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
        colors = YIQ_TO_BGR @ np.block([[np.eye(1), np.zeros((1, 2))], [np.zeros((2, 1)), turn]]) @ BGR_TO_YIQ
        gray = BGR_TO_YIQ[0] @ cv2.mean(image)[:3]
    offset = np.full((len(colors), 1), (1 - c) * b * gray)
    return np.atleast_3d(cv2.transform(image, np.hstack([c * b * colors, offset])))


def erase(image, random, probability, scale):
    """With this probability, write random values into a rectangle of the image."""
    if random.random() < probability:
        hole = window(random, image.shape[:2], scale, ERASING_ASPECT)
        if hole is not None:
            values = image[hole]
            noise = random.getrandbits(8 * values.size).to_bytes(values.size, "little")
            values[...] = np.frombuffer(noise, np.uint8).reshape(values.shape)
