"""Small picture files and lists of them."""

import cv2
import numpy as np


def picture(k, height=12, width=16, channels=3):
    """A picture whose every pixel tells k."""
    return np.random.RandomState(k).randint(0, 256, (height, width, channels)).astype(np.uint8)


def write_pictures(folder, count, ending="png", **size):
    """count files in the folder, as PNG kept to the bit; their names."""
    names = [f"{k}.{ending}" for k in range(count)]
    for k, name in enumerate(names):
        cv2.imwrite(str(folder / name), picture(k, **size))
    return names


def write_list(folder, count, classes=3, name="list.txt", **size):
    """A list of count pictures, of which picture k has the labels k % classes and (k // 2) % classes."""
    names = write_pictures(folder, count, **size)
    labels = [sorted({k % classes, k // 2 % classes}) for k in range(count)]
    lines = [f"{name} {' '.join(map(str, own))}\n" for name, own in zip(names, labels)]
    (folder / name).write_text("".join(lines))
    return str(folder / name)
