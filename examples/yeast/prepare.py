"""The Yeast benchmark (Elisseeff & Weston, 2001) as HDF5 files for Caffe's HDF5Data layer."""

from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np

FEATURES, CLASSES, TRAIN_ROWS = 103, 14, 1500


def load():
    """Features (2417, 103) and labels (2417, 14) of 0 and 1, from the file that the package river carries."""
    path = Path(find_spec("river").origin).parent / "datasets" / "yeast.csv.gz"
    table = np.loadtxt(path, np.float32, delimiter=",", skiprows=1)
    return table[:, :FEATURES], table[:, FEATURES:]


def split(seed):
    """Row numbers of a random training and test set, of the sizes that the authors of the benchmark took."""
    order = np.random.RandomState(seed).permutation(len(load()[0]))
    return order[:TRAIN_ROWS], order[TRAIN_ROWS:]


def write(folder, train, test):
    """train.h5, test.h5 and HDF5Data's lists of them, for rows train and test of the table.

    The features are standardised with the mean and deviation of the training rows. Paths in the lists
    are relative: Caffe runs in the folder.
    """
    features, labels = load()
    features = (features - features[train].mean(axis=0)) / features[train].std(axis=0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", train), ("test", test)):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"], file["label"] = features[rows], labels[rows]
        (folder / f"{name}.txt").write_text(f"{name}.h5\n")


def read(folder, name):
    """Features and labels of "train" or "test", as written."""
    with h5py.File(folder / f"{name}.h5", "r") as file:
        return file["data"][:], file["label"][:]
