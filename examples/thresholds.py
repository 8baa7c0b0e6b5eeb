"""Thresholds for each class on Yeast and emoji: tuned on a part of the training set, they raise the F1 of the test set.

The net trains with sigmoid cross-entropy on two thirds of the training set or so. The rest tells the thresholds.
"""

import argparse
import json
import subprocess
import sys

import caffe
import numpy as np
from compare import DATA_SETS, HERE, REFERENCE, Comparison, interval

from caffe_losses import host

RATE, SEEDS = {"yeast": 0.01, "emoji": 0.03}, (1, 2, 3, 4, 5)
OBJECTIVES = "macro_f1", "micro_f1", "example_f1"
SHOWN = "macro_f1", "micro_f1"


class Example(Comparison):
    """One data set, with the folders seed1/validation and seed1/test for the first seed."""

    def __init__(self, name):
        super().__init__(name, jobs=1)
        self.name, self.work = name, HERE / name / "work" / "thresholds"

    def measure(self, seed):
        """{objective: {metric: (before, after)}} of the test set."""
        validation, test = (self.work / f"seed{seed}" / part for part in ("validation", "test"))
        self.data_set.write_thirds(validation, test, seed)
        for folder in (validation, test):
            (folder / "net.prototxt").write_text(str(self.data_set.train_net(REFERENCE, folder, seed)))
        (validation / "solver.prototxt").write_text(self.solver + self.schedule(seed))
        host.train("solver.prototxt", folder=validation, log=validation / "log", title=f"{self.name}, seed {seed}")
        weights = str(validation / f"net_iter_{self.data_set.iterations}.caffemodel")
        before, after = self.evaluate(test, weights, "--threshold", "0.5"), {}
        for objective in OBJECTIVES:
            file = str(validation / f"{objective}.json")
            self.evaluate(validation, weights, "--tune-thresholds", file, "--objective", objective)
            after[objective] = self.evaluate(test, weights, "--thresholds", file)
        return {o: {metric: (before[metric], after[o][metric]) for metric in SHOWN} for o in OBJECTIVES}

    def schedule(self, seed):
        last, rate = self.data_set.iterations, RATE[self.name]
        return (
            f'net: "net.prototxt"\nsnapshot_prefix: "net"\nmax_iter: {last}\ntest_interval: {last}\ndisplay: 0\n'
            f"random_seed: {seed}\nbase_lr: {rate}\nweight_decay: {0.0005 / rate}\n"
        )

    def evaluate(self, folder, weights, *words):
        """The metrics that caffe-losses evaluate gives."""
        command = [sys.executable, "-m", "caffe_losses", "evaluate", "--model", "net.prototxt", "--weights", weights]
        command += ["--metrics", *SHOWN, "--json", "figures.json", "--force", *words]
        subprocess.run(command, cwd=str(folder), check=True, stdout=subprocess.DEVNULL)
        return json.loads((folder / "figures.json").read_text())["metrics"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_sets", nargs="*", metavar="DATA_SET", help="yeast, emoji (both)")
    names = parser.parse_args().data_sets or list(DATA_SETS)
    caffe.init_log(2)  # errors only
    print("| data | tuned for | F1 of the test set | 0.5 for all | tuned | gain |\n|---|---|---|---:|---:|---:|")
    for name in names:
        example = Example(name)
        runs = [example.measure(seed) for seed in SEEDS]
        for objective in OBJECTIVES:
            for metric in SHOWN:
                before, after = np.array([run[objective][metric] for run in runs]).T
                gain, half = interval(after - before)
                cells = f"{before.mean():.3f} | {after.mean():.3f} | {gain:+.3f} ± {half:.3f}"
                print(f"| {name} | {objective} | {metric} | {cells} |", flush=True)
        example.leave()


if __name__ == "__main__":
    main()
