"""Images a second of MultiLabelImageData and of Caffe's ImageData, on the same files; see README.md.

Needs a Caffe with OpenCV, which `make bench-images` builds.
"""

import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import caffe
import cv2
import numpy as np

from caffe_losses.data import LEVELS

COUNT, BATCH, ROUNDS, BATCHES = 1024, 64, 3, 10
CASES = {
    "500 x 375, resized to 256 x 256, 224 cut out": ((375, 500), {"new_height": 256, "new_width": 256}, 224),
    "256 x 256, 227 cut out": ((256, 256), {}, 227),
    "64 x 64, 56 cut out": ((64, 64), {}, 56),
}
MEAN = [104, 117, 123]
AUGMENTATIONS = {
    "nothing more": {},
    "rotation 15": {"rotation": 15},
    "brightness, contrast, saturation, hue": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "erasing 0.5": {"erasing": 0.5},
    **{f"level {level}": LEVELS[level] for level in ("light", "standard", "strong")},
}
# Work that leaves the second core free: about as long for Caffe as it takes to decode a batch.
COMPUTE = """layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
  pooling_param { pool: MAX kernel_size: %d stride: 1 } }"""


def write_images(folder, sides):
    """JPEG files with as much detail as photographs have: about 1.2 bits a pixel."""
    random = np.random.RandomState(1)
    for k in range(COUNT):
        noise = random.randint(0, 256, (*sides, 3)).astype(np.uint8)
        image = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(folder / f"{k}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    (folder / "list.txt").write_text("".join(f"{folder}/{k}.jpg {k % 10}\n" for k in range(COUNT)))


def image_data(folder, resize, crop):
    size = " ".join(f"{key}: {value}" for key, value in resize.items())
    return f"""layer {{ name: "data" type: "ImageData" top: "data" top: "label"
      transform_param {{ crop_size: {crop} mirror: true {" ".join(f"mean_value: {mean}" for mean in MEAN)} }}
      image_data_param {{ source: "{folder}/list.txt" batch_size: {BATCH} shuffle: true {size} }} }}"""


def multi_label(folder, resize, crop, **more):
    options = dict(resize, source=f"{folder}/list.txt", batch_size=BATCH, shuffle=True, classes=10, crop_size=crop,
                   mirror=True, mean_value=MEAN)  # fmt: skip
    options.update(more)
    if "crop_scale" in options:  # which resizes
        options = {name: value for name, value in options.items() if name not in resize}
    return f"""layer {{ name: "data" type: "Python" top: "data" top: "label" python_param {{
      module: "caffe_losses.layers" layer: "MultiLabelImageData" param_str: '{json.dumps(options)}' }} }}"""


def numbers(crop):
    return f"""layer {{ name: "data" type: "Input" top: "data"
      input_param {{ shape {{ dim: {BATCH} dim: 3 dim: {crop} dim: {crop} }} }} }}"""


def net(text):
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        return caffe.Net(file.name, caffe.TRAIN)


def seconds(loaded):
    """The seconds of a batch. Call it twice: the first call uses up what was decoded ahead."""
    start = time.perf_counter()
    for _ in range(BATCHES):
        loaded.forward()
    return (time.perf_counter() - start) / BATCHES


def measure(texts):
    """The median seconds of a batch of each net.

    They take turns, so that a slow moment of the machine hits all. Only one net is there at a time, as another would
    decode meanwhile.
    """
    times = {name: [] for name in texts}
    for _ in range(ROUNDS):
        for name, text in texts.items():
            loaded = net(text)
            if loaded.inputs:
                data = loaded.blobs["data"].data
                data[...] = np.random.RandomState(1).randint(0, 256, data.shape)
            seconds(loaded)
            times[name].append(seconds(loaded))
            close(loaded)
    return {name: float(np.median(each)) for name, each in times.items()}


def close(loaded):
    """End the processes that decode for the net. Some Caffes never free a Python layer."""
    for layer in loaded.layers:
        if layer.type == "Python":
            layer.batches.close()


def report(title, times, first):
    print(title)
    for who, each in times.items():
        print(f"  {who:40} {BATCH / each:8.0f} images/s   {times[first] / each:5.2f} of {first}", flush=True)


def augmentation():
    """What each augmentation costs, with two workers. Needs no Caffe with OpenCV."""
    (title, (sides, resize, crop)), *_ = CASES.items()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, sides)
        nets = {who: multi_label(folder, resize, crop, **more) for who, more in AUGMENTATIONS.items()}
        report(f"{title}, augmented", measure(nets), "nothing more")


def main():
    for title, (sides, resize, crop) in CASES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_images(folder, sides)
            ours, theirs = multi_label(folder, resize, crop), image_data(folder, resize, crop)
            compute = COMPUTE % (5 if crop > 100 else 9)
            times = measure({
                "Caffe": theirs, "one worker": multi_label(folder, resize, crop, workers=1), "ours": ours,
                "Caffe, with a net": theirs + compute, "ours, with a net": ours + compute,
                "the net alone": numbers(crop) + compute,
            })  # fmt: skip
            report(title, times, "Caffe")
    augmentation()


if __name__ == "__main__":
    main()
