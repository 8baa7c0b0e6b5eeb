"""How the solvers' base_lr and weight_decay were chosen: threefold cross-validation of the training set."""

from itertools import product

import caffe
import metrics
import net
import numpy as np
import prepare
from google.protobuf import text_format
from run import HERE, SEED, WORK
from train import probabilities, read_solver, train

FOLDER = WORK / "tune"
BASE_LR, WEIGHT_DECAY = (0.003, 0.01, 0.03, 0.1), (0.01, 0.02, 0.03, 0.06)


def validate(loss, base_lr, weight_decay):
    """The average precision on the fold left out."""
    solver = read_solver(HERE / f"{loss}_solver.prototxt")
    solver.base_lr, solver.weight_decay, solver.snapshot = base_lr, weight_decay, solver.max_iter
    path = FOLDER / "solver.prototxt"
    path.write_text(text_format.MessageToString(solver))
    train(FOLDER, path, f"{loss} {base_lr} {weight_decay}")
    features, labels = prepare.read(FOLDER, "test")
    found = probabilities(FOLDER, loss, solver.max_iter, features)
    return metrics.score(found, labels, threshold=0.5)["average precision"]


def main():
    caffe.init_log(2)  # errors only
    rows, _ = prepare.split(SEED)
    folds = np.array_split(rows, 3)
    settings = list(product(net.LOSSES, BASE_LR, WEIGHT_DECAY))
    found = {setting: [] for setting in settings}
    for k, fold in enumerate(folds):
        prepare.write(FOLDER, np.concatenate(folds[:k] + folds[k + 1 :]), fold)
        net.write(FOLDER, len(fold))
        for setting in settings:
            found[setting].append(validate(*setting))
    for setting in sorted(settings, key=lambda s: (s[0], -np.mean(found[s]))):
        print("{}  base_lr {:<5}  weight_decay {:<4}".format(*setting), f" {np.mean(found[setting]):.4f}")


if __name__ == "__main__":
    main()
