"""How the solvers' base_lr and weight_decay were chosen: threefold cross-validation of the training set."""

import re
from itertools import product

import caffe
import metrics
import net
import numpy as np
import prepare
from run import HERE, SEED, WORK

from caffe_losses import host

FOLDER = WORK / "tune"
BASE_LR, WEIGHT_DECAY = (0.003, 0.01, 0.03, 0.1), (0.01, 0.02, 0.03, 0.06)


def validate(loss, base_lr, weight_decay):
    """The average precision on the fold left out."""
    solver = re.sub(r"(?m)^(base_lr|weight_decay|snapshot): .*\n", "", (HERE / f"{loss}_solver.prototxt").read_text())
    solver += f"base_lr: {base_lr}\nweight_decay: {weight_decay}\n"
    (FOLDER / "solver.prototxt").write_text(solver)
    host.train("solver.prototxt", folder=FOLDER, log=FOLDER / "log", title=f"{loss} {base_lr} {weight_decay}")
    last = int(re.search(r"max_iter: (\d+)", solver).group(1))
    fold = prepare.read(FOLDER, "test")
    probabilities = net.probabilities(FOLDER, loss, last, fold.features)
    return metrics.score(probabilities, fold.labels, threshold=0.5)["average precision"]


def main():
    caffe.init_log(2)  # errors only
    rows, _ = prepare.split(SEED)
    folds = np.array_split(rows, 3)
    settings = list(product(net.LOSSES, BASE_LR, WEIGHT_DECAY))
    precision = {setting: [] for setting in settings}
    for k, fold in enumerate(folds):
        prepare.write(FOLDER, np.concatenate(folds[:k] + folds[k + 1 :]), fold)
        net.write(FOLDER, len(fold))
        for setting in settings:
            precision[setting].append(validate(*setting))
    for setting in sorted(settings, key=lambda s: (s[0], -np.mean(precision[s]))):
        print("{}  base_lr {:<5}  weight_decay {:<4}".format(*setting), f" {np.mean(precision[setting]):.4f}")


if __name__ == "__main__":
    main()
