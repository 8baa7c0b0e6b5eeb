"""make converters: deploy nets in OpenCV, MNN and onnxruntime, by the programs of examples/tags.

All templates, and a stock net that is wired, with random weights. Of the same picture files, each runtime has to give
the probabilities that Caffe has in the phase TEST of the train_val, to 1e-4, and the tags of `caffe-losses predict`.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import caffe
import cv2
import numpy as np
from documents import blocks
from pictures import picture
from rewiring import command, stock
from trained import probabilities, trained

from caffe_losses import templates, wiring
from caffe_losses.evaluation import Predictor
from caffe_losses.net import prototxt
from caffe_losses.net.sources import transform_for_testing
from caffe_losses.net.testing import phases_of

ROOM = Path("build/converters").resolve()  # with the environment of the runtimes
WORK = ROOM / "nets"
RUNTIMES = "opencv", "mnn", "onnxruntime"
CONVERSIONS = "mnnconvert", "python -m caffe2onnx"
LARGEST = 1e-4
CLASSES = 20
PICTURES = "color.png", "gray.png", "transparent.png"
WIRED = "alexnet", "sigmoid"
SAVE = """
import sys, numpy, tags, run_{runtime}
spec = tags.read("deploy.json")
rows = [run_{runtime}.probabilities(spec, tags.picture(spec, path)) for path in sys.argv[1:]]
numpy.save("{runtime}.npy", numpy.float64(rows))
"""


def write_data():
    """Pictures and their lists; and the programs."""
    WORK.mkdir(parents=True, exist_ok=True)
    for k, (name, channels) in enumerate(zip(PICTURES, (3, 1, 4))):
        cv2.imwrite(str(WORK / name), picture(k, height=300, width=280, channels=channels))
    rows = [f"{WORK / name},tag{k}\n" for k, name in enumerate(PICTURES)]
    for phase in ("train", "test"):
        (WORK / f"{phase}.csv").write_text("path,labels\n" + "".join(rows))
    (WORK / "classes.txt").write_text("".join(f"tag{c}\n" for c in range(CLASSES)))
    for program in Path("examples/tags").glob("*.py"):
        shutil.copy(program, WORK)


def train_val(net, loss):
    """The NetParameter of a template, or of the wired net; it reads one picture at a time."""
    if (net, loss) == WIRED:
        lists = [str(WORK / "train.csv"), str(WORK / "test.csv")]
        image_lists = wiring.ImageLists(lists, str(WORK / "classes.txt"), (256, 256), [104, 117, 123])
        options = {"num_classes": CLASSES, "image_lists": image_lists, "batches": [1, 1]}
        return wiring.wire(stock("bvlc_alexnet"), "SigmoidCrossEntropyLoss", **options).net
    path = WORK / "template.prototxt"
    path.write_text(templates.template(net, loss, lists=str(WORK), batch=1, iter_size=1)["train_val.prototxt"])
    whole = prototxt.read(str(path)).net
    del whole.layer[[layer.name for layer in whole.layer].index("metrics")]
    return whole


def in_caffe(scores, loss):
    """A row of probabilities for each picture, in the phase TEST of the train_val."""
    net, rows = caffe.Net("train_val.prototxt", caffe.TEST, weights="trained.caffemodel"), []
    for _ in PICTURES:
        net.forward()
        rows.append(probabilities(net.blobs[scores].data[0], loss))
    return np.array(rows)


def run(*words):
    """The output of a program in the environment of the runtimes."""
    environment = {**os.environ, "PATH": f"{ROOM / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(WORK)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def compare(net, loss):
    """{runtime: largest difference from Caffe} of one net. The tags have been compared, too."""
    (WORK / f"{net}_{loss}").mkdir(exist_ok=True)
    os.chdir(WORK / f"{net}_{loss}")
    whole, pictures = train_val(net, loss), [str(WORK / name) for name in PICTURES]
    prototxt.write(whole, "train_val.prototxt")
    phases = phases_of(whole)
    shape = transform_for_testing(next(layer for layer in phases.test.layers if not layer.bottom)).shape()
    trained(whole, shape, CLASSES).save("trained.caffemodel")
    with contextlib.redirect_stdout(io.StringIO()):
        command("deploy", "train_val.prototxt", "-o", "deploy.prototxt", "--weights", "trained.caffemodel",
                "--output-weights", "deploy.caffemodel", "--force")  # fmt: skip
    expected = in_caffe(phases.head().scores, loss)
    predictor = Predictor("train_val.prototxt", "trained.caffemodel")
    tags = [
        [f"{label.name} {label.probability:.3f}" for label in predictor.labels(row)]
        for row in predictor.predict(pictures)
    ]
    for block in blocks("sh", "docs/deployment.md"):
        if block.text.startswith(CONVERSIONS):
            run("bash", "-euc", block.text)
    differences = {}
    for runtime in RUNTIMES:
        run("python", "-c", SAVE.format(runtime=runtime), *pictures)
        differences[runtime] = np.abs(np.load(f"{runtime}.npy") - expected).max()
        printed = run("python", str(WORK / "tags.py"), runtime, "deploy.json", *pictures)
        lines = [line.split("  ")[1:] for line in printed.splitlines() if line.startswith(str(WORK))]
        assert list(map(told, lines)) == list(map(told, tags)), f"{net} {loss} in {runtime}: {lines}; Caffe: {tags}"
    for path in Path().iterdir():
        if path.suffix in (".caffemodel", ".mnn", ".onnx"):
            path.unlink()
    return differences


def told(tags):
    """Those of tags that have a probability to speak of, in any order: in float32, many are 0, or 1, alike."""
    return {tag.split()[0] for tag in tags if not tag.endswith(" 0.000")}


def main(nets):
    write_data()
    every = [(net, loss) for net in templates.TEMPLATES for loss in ("softmax", "sigmoid")] + [WIRED]
    print(f"| net | {' | '.join(RUNTIMES)} |\n|---|{'---|' * len(RUNTIMES)}", flush=True)
    largest = 0
    for net, loss in every:
        if not nets or f"{net}_{loss}" in nets:
            differences = compare(net, loss)
            largest = max(largest, *differences.values())
            cells = " | ".join(f"{difference:.0e}" for difference in differences.values())
            print(f"| {net}, {loss} | {cells} |", flush=True)
    if not 0 < largest < LARGEST:
        raise SystemExit(f"expected no difference of {LARGEST:g} or more, got {largest:.1e}")


if __name__ == "__main__":
    main(sys.argv[1:])
