"""Compare all losses of scores on Yeast and on emoji: the same nets, tuned alike, five seeds, one table.

A loss's gradients may be larger or smaller than another's, and their best learning rate with them. So each loss is
tuned by one number, its rate: all rates are tried on a part of the training set, with the same weight_decay x rate.
Then it trains with the best one on five random splits.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import caffe
import numpy as np
from scipy import stats

from caffe_losses import host, losses

HERE = Path(__file__).resolve().parent
RATES, DECAY_STEP = (0.003, 0.01, 0.03, 0.1, 0.3), 0.0005  # DECAY_STEP is weight_decay x rate
SEEDS = 1, 2, 3, 4, 5
STEPS = (
    "net",
    "max_iter",
    "test_interval",
    "display",
    "snapshot_after_train",
    "random_seed",
    "base_lr",
    "weight_decay",
)
REFERENCE = "SigmoidCrossEntropyLoss"
OPTIONS = {"AsymmetricLoss, stop_gradient": {"stop_gradient": True}}  # of a loss in another way, by its title

# One training. part: the folder with its data. Options of the loss follow from its title
Training = namedtuple("Training", "title part rate seed")


def titles():
    """The losses that are compared."""
    of_scores = [name for name in losses.__all__ if getattr(losses, name).has_probabilities]
    return sorted([*of_scores, *OPTIONS], key=lambda title: (of_scores.index(title.split(",")[0]), title))


def loss_of(title):
    return getattr(losses, title.split(",")[0])


class Yeast:
    """The net and the rows of examples/yeast."""

    iterations, solver = 1000, "sigmoid_solver.prototxt"

    def __init__(self):
        self.net, self.prepare = import_module("net"), import_module("prepare")

    def write(self, folder, seed):
        """The data of a split or, with the seed None, of a part of a training set."""
        rows = self.prepare.split(seed or 0)
        self.prepare.write(folder, *((rows[0][:1000], rows[0][1000:]) if seed is None else rows))

    def write_thirds(self, validation, test, seed):
        """Two folders with the same two thirds to train on: one with the rest of these, one with the test rows."""
        train, rest = self.prepare.split(seed)
        self.prepare.write(validation, train[:1000], train[1000:])
        self.prepare.write(test, train[:1000], rest)

    def train_net(self, title, folder, seed):
        proto = self.net.train_net("sigmoid", len(self.prepare.read(folder, "test").labels))
        options = {"metrics": ["mAP"], "test_iter": 1, "softmax": loss_of(title).activation == "Softmax"}
        metrics = proto.layer.add(name="metrics", type="Python", bottom=["scores", "label"], top=["mAP"])
        metrics.include.add(phase=caffe.TEST)
        metrics.python_param.module, metrics.python_param.layer = "caffe_losses.layers", "MultiLabelMetrics"
        metrics.python_param.param_str = json.dumps(options)
        return proto


class Emoji:
    """The net and the pictures of examples/emoji, half as long."""

    iterations, solver = 400, "solver.prototxt"

    def __init__(self):
        self.net, self.prepare = import_module("net"), import_module("prepare")
        self.pictures = self.prepare.tagged()

    def write(self, folder, seed):
        pictures, least = self.pictures, {}
        parts = self.prepare.split(pictures, seed or 1)
        if seed is None:
            pictures, least = {codes: pictures[codes] for codes in parts[0]}, {"least": 1}
            parts = self.prepare.split(pictures, 1, **least)
        self.prepare.write(folder.parent, folder.name, pictures, parts)

    def write_thirds(self, validation, test, seed):
        train, rest = self.prepare.split(self.pictures, seed)
        parts = self.prepare.split({codes: self.pictures[codes] for codes in train}, seed, least=1)
        self.prepare.write(validation.parent, validation.name, self.pictures, parts)
        self.prepare.write(test.parent, test.name, self.pictures, (parts[0], rest))

    def train_net(self, title, folder, seed):
        count = len((folder / "test.csv").read_text().splitlines()) - 1
        classes = len((folder / "classes.txt").read_text().splitlines())
        kind = "softmax" if loss_of(title).activation == "Softmax" else "sigmoid"
        proto = self.net.train_net(kind, num_classes=classes, test_images=count, resample=False, seed=seed)
        for layer in proto.layer:
            layer.python_param.param_str = layer.python_param.param_str.replace('"../', f'"{folder}/')
        return proto


DATA_SETS = {"yeast": Yeast, "emoji": Emoji}


class Comparison:
    """The trainings on one data set. What has been trained is kept in its folder work/compare."""

    def __init__(self, name, jobs):
        sys.path.insert(0, str(HERE / name))
        self.work, self.jobs, self.data_set = HERE / name / "work" / "compare", jobs, DATA_SETS[name]()
        self.solver = re.sub(
            rf"(?m)^({'|'.join(STEPS)}|snapshot|snapshot_prefix): .*\n",
            "",
            (HERE / name / self.data_set.solver).read_text(),
        )

    def leave(self):
        """Forget the modules of this example: the other has some of the same names."""
        sys.path.remove(str(self.work.parent.parent))
        for module in ("net", "prepare"):
            sys.modules.pop(module, None)

    def run(self):
        """{title: {"rate": the best, "mAP": those of the seeds}}"""
        parts = {None: "tune", **{seed: f"seed{seed}" for seed in SEEDS}}
        for seed, part in parts.items():
            self.data_set.write(self.work / part, seed)
        tuning = [Training(title, "tune", rate, 1) for title in titles() for rate in RATES]
        found = dict(zip(tuning, self.train_all(tuning)))
        best = {title: max(RATES, key=lambda rate: found[Training(title, "tune", rate, 1)]) for title in titles()}
        final = [Training(title, parts[seed], best[title], seed) for title in titles() for seed in SEEDS]
        found.update(zip(final, self.train_all(final)))
        return {
            title: {"rate": best[title], "mAP": [found[t] for t in final if t.title == title],
                    "tuning": [found[t] for t in tuning if t.title == title]}
            for title in titles()
        }  # fmt: skip

    def train_all(self, trainings):
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(self.train, trainings))

    def train(self, training):
        """The mAP of the test rows after the last iteration; 0 if the training diverged."""
        net, name = self.net(training), f"{training.title}-{training.rate}".replace(", ", "-")
        last = self.data_set.iterations
        values = f'"{name}.prototxt"', last, last, 0, "false", training.seed, training.rate, DECAY_STEP / training.rate
        solver = self.solver + "".join(f"{step}: {value}\n" for step, value in zip(STEPS, values))
        folder = self.work / training.part
        result, digest = folder / f"{name}.json", hashlib.sha256((net + solver).encode()).hexdigest()
        if result.exists() and json.loads(result.read_text())["digest"] == digest:
            return json.loads(result.read_text())["mAP"]
        (folder / f"{name}.prototxt").write_text(net)
        (folder / f"{name}_solver.prototxt").write_text(solver)
        try:
            host.train(f"{name}_solver.prototxt", folder=folder, log=folder / f"{name}.log", title=name)
            value = float(re.findall(r": mAP = ([\d.e-]+)", (folder / f"{name}.log").read_text())[-1])
        except RuntimeError as error:
            if "the loss is" not in str(error):
                raise
            value = 0.0
        result.write_text(json.dumps({"mAP": value, "digest": digest}))
        return value

    def net(self, training):
        """The prototxt of a training."""
        proto = self.data_set.train_net(training.title, self.work / training.part, training.seed)
        (loss,) = (layer for layer in proto.layer if layer.name == "loss")
        loss.python_param.layer = loss_of(training.title).__name__
        loss.python_param.param_str = json.dumps(OPTIONS.get(training.title, {}))
        return str(proto)


def interval(values):
    """(mean, half of the interval that has it with 95 %), by Student's t."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    return np.mean(values), (high - low) / 2


def table(results):
    """Lines of a Markdown table of {data set: {title: ...}}. Differences are of the same splits."""
    yield "| loss | " + " | ".join(f"{name}: mAP | minus sigmoid | rate" for name in results) + " |"
    yield "|---|" + "---:|---:|---:|" * len(results)
    for title in titles():
        cells = []
        for found in results.values():
            mean, half = interval(found[title]["mAP"])
            lead, spread = interval(np.subtract(found[title]["mAP"], found[REFERENCE]["mAP"]))
            sure = "" if title == REFERENCE else f"{lead:+.3f} ± {spread:.3f}{'' if abs(lead) > spread else ', noise'}"
            cells += [f"{mean:.3f} ± {half:.3f}", sure, f"{found[title]['rate']:g}"]
        yield f"| {title} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_sets", nargs="*", metavar="DATA_SET", help="yeast, emoji (both)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (2)")
    options = parser.parse_args()
    caffe.init_log(2)  # errors only
    results = {}
    for name in options.data_sets or DATA_SETS:
        comparison = Comparison(name, options.jobs)
        results[name] = comparison.run()
        comparison.leave()
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
