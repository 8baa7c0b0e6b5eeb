"""One training of the net, and its figures. A folder keeps them, so that nothing is done twice."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import caffe
import net
import numpy as np

from caffe_losses import host
from caffe_losses.data import lists

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
PARTS = "train", "test"
# data: the folder in work/ that has train.csv and test.csv. augment: a level of docs/data.md, "Augmentation"
Setting = namedtuple("Setting", "data loss resample base_lr weight_decay seed iterations augment", defaults=["none"])
# Of the test pictures. values: {metric: value}. precisions: average precision of each tag
Scores = namedtuple("Scores", "values precisions")


def run(setting):
    """The folder of a run: net, solver, log, snapshot and figures. It is made anew if it was made from others."""
    folder = folder_of(setting)
    texts = files(setting)
    made_from = "".join(texts.values()) + "".join((folder.parent / f"{part}.csv").read_text() for part in PARTS)
    digest, mark = hashlib.sha256(made_from.encode()).hexdigest(), folder / "done"
    if not mark.exists() or mark.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
        title = title_of(setting)
        host.train("solver.prototxt", folder=folder, log=folder / f"{title}.log", title=title)
        caffe_losses(setting, "evaluate", "--metrics", *net.METRICS, "--json", "figures.json")
        mark.write_text(digest)
    return folder


def run_all(settings, jobs):
    """run() for each, `jobs` at a time."""
    caffe.init_log(2)  # errors only
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(run, settings))


def title_of(setting):
    changes = f"{'-resampled' * setting.resample}{f'-{setting.augment}' * (setting.augment != 'none')}"
    return f"{setting.loss}{changes}-{setting.base_lr:g}-{setting.weight_decay:g}"


def folder_of(setting):
    return WORK / setting.data / f"{title_of(setting)}-{setting.iterations}-seed{setting.seed}"


def files(setting):
    """The text of each prototxt."""
    test = images(setting.data, "test")
    schedule = {
        "max_iter": setting.iterations,
        "test_interval": -(-setting.iterations // 4),
        "base_lr": setting.base_lr,
        "weight_decay": setting.weight_decay,
        "random_seed": setting.seed,
    }
    solver = (HERE / "solver.prototxt").read_text()
    train_net = net.train_net(
        setting.loss,
        num_classes=test.num_classes(),
        test_images=len(test),
        resample=setting.resample,
        seed=setting.seed,
        augment=setting.augment,
    )
    return {
        "net.prototxt": str(train_net),
        "solver.prototxt": solver + "".join(f"{name}: {value}\n" for name, value in schedule.items()),
    }


def caffe_losses(setting, command, *arguments):
    """Run a command of caffe-losses on the net that a run has trained. Returns what it prints."""
    trained = ["--model", "net.prototxt", "--weights", f"net_iter_{setting.iterations}.caffemodel"]
    words = [sys.executable, "-m", "caffe_losses", command, *trained, *arguments]
    return subprocess.run(words, cwd=str(folder_of(setting)), check=True, stdout=subprocess.PIPE, text=True).stdout


def images(data, part):
    return lists.read(str(WORK / data / f"{part}.csv"), lists.read_classes(str(WORK / data / "classes.txt")))


def labels(data, part):
    pictures = images(data, part)
    return pictures.dense(np.arange(len(pictures)), pictures.num_classes())


def scores(setting):
    """The Scores of a run."""
    figures = json.loads((run(setting) / "figures.json").read_text())
    tags = sorted(figures["classes"], key=lambda tag: tag["index"])
    return Scores(figures["metrics"], np.array([tag["average_precision"] for tag in tags], float))


def probabilities(setting, part):
    """What the net of a run gives for the pictures of train.csv or test.csv, (pictures, tags)."""
    pictures = images(setting.data, part)
    paths = [str(WORK / setting.data / path) for path in pictures.paths]
    lines = caffe_losses(setting, "predict", "--json", "--top-k", str(pictures.num_classes()), *paths).splitlines()
    table = np.empty((len(pictures), pictures.num_classes()), np.float32)
    for row, line in zip(table, lines):
        for tag in json.loads(line)["labels"]:
            row[tag["index"]] = tag["probability"]
    return table
