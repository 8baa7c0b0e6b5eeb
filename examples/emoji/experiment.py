"""One training of the net, and what it gives for its pictures: kept in a folder, so that none is done twice."""

import hashlib
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import caffe
import net
import numpy as np
from google.protobuf import text_format
from train import read_solver, train

from caffe_losses.data import Transform, lists
from caffe_losses.metrics import MultiLabelMetrics

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
PARTS = "train", "test"
# data: the folder in work/ that has train.csv and test.csv
Setting = namedtuple("Setting", "data loss resample base_lr weight_decay seed iterations")


def run(setting):
    """The folder of a run: net, solver, log and scores.npz, made anew if it was made from other ones."""
    title = f"{setting.loss}{'-resampled' * setting.resample}-{setting.base_lr:g}-{setting.weight_decay:g}"
    folder = WORK / setting.data / f"{title}-{setting.iterations}-seed{setting.seed}"
    texts = files(setting)
    made_from = "".join(texts.values()) + "".join((folder.parent / f"{part}.csv").read_text() for part in PARTS)
    digest, mark = hashlib.sha256(made_from.encode()).hexdigest(), folder / "done"
    if not mark.exists() or mark.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, text in texts.items():
            (folder / name).write_text(text)
        train(folder, folder / "solver.prototxt", title)
        np.savez(folder / "scores.npz", **{part: probabilities(setting, folder, part) for part in PARTS})
        mark.write_text(digest)
    return folder


def run_all(settings, jobs):
    """run() for each, `jobs` at a time."""
    caffe.init_log(2)  # errors only
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(run, settings))


def files(setting):
    """The text of each prototxt."""
    classes = len(images(setting.data, "test").classes)
    test_images = len(images(setting.data, "test"))
    solver = read_solver(HERE / "solver.prototxt")
    solver.base_lr, solver.weight_decay = setting.base_lr, setting.weight_decay
    solver.max_iter, solver.test_interval = setting.iterations, -(-setting.iterations // 4)
    solver.random_seed = setting.seed
    return {
        "net.prototxt": str(net.train_net(setting.loss, classes, test_images, setting.resample, setting.seed)),
        "deploy.prototxt": str(net.deploy_net(setting.loss, classes)),
        "solver.prototxt": text_format.MessageToString(solver),
    }


def images(data, part):
    return lists.read(str(WORK / data / f"{part}.csv"), lists.read_classes(str(WORK / data / "classes.txt")))


def labels(data, part):
    found = images(data, part)
    return found.dense(np.arange(len(found)), found.num_classes())


@lru_cache(maxsize=None)
def pixels(data, part):
    transform = Transform(train=False, **net.TRANSFORM)
    return np.array([transform(str(WORK / data / path)) for path in images(data, part).paths])


def probabilities(setting, folder, part):
    """What the last snapshot gives for train.csv or test.csv."""
    weights = folder / f"net_iter_{setting.iterations}.caffemodel"
    deployed = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST, weights=str(weights))
    data = pixels(setting.data, part)
    deployed.blobs["data"].reshape(*data.shape)
    deployed.blobs["data"].data[...] = data
    return deployed.forward()["probability"]


def scores(setting):
    """What a run gives for the test pictures: {metric: value}, and average precision by class."""
    found = np.load(run(setting) / "scores.npz")["test"]
    measured = MultiLabelMetrics(metrics=list(net.METRICS))
    measured.add(found, labels(setting.data, "test"))
    return measured.values(), measured.average_precisions()
