"""Tags of pictures by a deploy net and its JSON: python tags.py RUNTIME deploy.json PICTURE..."""

import importlib
import json
import os
import sys

import cv2
import numpy as np

NEEDED = "net", "weights", "inputs", "outputs", "color", "background", "mean", "scale"


def read(path):
    """The JSON, with the paths in it as seen from here. What may be missing are resize, classes and thresholds."""
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    absent = [key for key in NEEDED if key not in spec]
    if absent:
        raise SystemExit(f"{path} does not say {', '.join(absent)}; write that there, see docs/deployment.md")
    if "resize" not in spec:
        print(f"{path} does not say resize: pictures are cut as large as they are; write it there", file=sys.stderr)
    for key in ("net", "weights"):
        spec[key] = os.path.join(os.path.dirname(path), spec[key])
    return spec


def picture(spec, path):
    """A picture as the net takes it."""
    ((_, channels, height, width),) = spec["inputs"].values()
    image = cv2.imread(path, cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE)
    image = image.reshape(*image.shape[:2], channels)
    if spec["color"] == "RGB":
        image = image[:, :, ::-1]
    whole = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if whole.shape[2:] == (4,):
        opaque = whole[:, :, 3:] / np.float32(255)
        image = np.rint(image * opaque + np.float32(spec["background"]) * (1 - opaque)).astype(np.uint8)
    if spec.get("resize"):
        image = cv2.resize(image, (spec["resize"][1], spec["resize"][0]))
    if image.shape[0] < height or image.shape[1] < width:
        raise SystemExit(f"{path} is {image.shape[0]} x {image.shape[1]}, and the net takes {height} x {width}")
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    image = image[top : top + height, left : left + width].reshape(height, width, channels)
    values = (image - np.float32(spec["mean"])) * np.float32(spec["scale"])
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def tags(spec, probabilities):
    """[(name, probability)] of the tags, the best first; always one at least."""
    best = np.argsort(-probabilities, kind="stable")
    if "thresholds" in spec:
        chosen = [c for c in best if probabilities[c] >= spec["thresholds"][c]]
    elif "Sigmoid" in spec["outputs"].values():
        chosen = [c for c in best if probabilities[c] >= 0.5]
    else:
        chosen = best[:5]
    names = spec.get("classes") or [str(c) for c in range(len(probabilities))]
    return [(names[c], probabilities[c]) for c in best if c in chosen or c == best[0]]


if __name__ == "__main__":
    runtime, json_path, *paths = sys.argv[1:]
    spec, module = read(json_path), importlib.import_module(f"run_{runtime}")
    for path in paths:
        found = tags(spec, module.probabilities(spec, picture(spec, path)))
        print(path, *(f"{name} {probability:.3f}" for name, probability in found), sep="  ")
