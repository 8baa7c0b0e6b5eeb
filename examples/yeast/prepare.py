"""The Yeast benchmark (Elisseeff & Weston, 2001) as HDF5 files for Caffe's HDF5Data layer."""

from collections import namedtuple
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np

FEATURES, CLASSES, TRAIN_ROWS = 103, 14, 1500
Rows = namedtuple("Rows", "features labels")


def load():
    """All Rows: features (2417, 103) and labels (2417, 14) of 0 and 1, from the file that the package river carries."""
    path = Path(find_spec("river").origin).parent / "datasets" / "yeast.csv.gz"
    table = np.loadtxt(path, np.float32, delimiter=",", skiprows=1)
    return Rows(table[:, :FEATURES], table[:, FEATURES:])


def split(seed):
    """Row numbers of a random training and test set, of the sizes that the authors of the benchmark took."""
    order = np.random.RandomState(seed).permutation(len(load().labels))
    return order[:TRAIN_ROWS], order[TRAIN_ROWS:]


def write(folder, train, test):
    """Write train.h5, test.h5 and the lists of them for HDF5Data.

    train, test  row numbers of the table

    The features are standardised with the mean and deviation of the training rows. The paths in the lists are
    relative, as Caffe runs in the folder.
    """
    features, labels = load()
    features = (features - features[train].mean(axis=0)) / features[train].std(axis=0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", train), ("test", test)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"], file["label"] = features[rows], labels[rows]
        (folder / f"{name}.txt").write_text(f"{name}.h5\n")


def read(folder, name):
    """The Rows of "train" or "test", as `write` wrote them."""
    with h5py.File(folder / f"{name}.h5", "r") as file:
        return Rows(file["data"][:], file["label"][:])
