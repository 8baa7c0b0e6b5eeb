"""Augmentation, and several views of a test picture: the mAP of sigmoid cross-entropy with each, over seeds."""

import argparse
import json
from itertools import product

import experiment
import numpy as np
import prepare
from experiment import HERE, WORK, Setting
from scipy import stats

LEVELS = "none", "light", "standard"
ITERATIONS = 800, 2400
VIEWS = {"mirrored, too": ["--mirror"], "and five crops": ["--crops", "5", "--mirror"]}


def measure(setting):
    """The mAP with one view of each picture, and with each of VIEWS."""
    return [experiment.scores(setting).values["mAP"], *(averaged(setting, words) for words in VIEWS.values())]


def averaged(setting, words):
    experiment.caffe_losses(setting, "evaluate", "--metrics", "mAP", "--json", "views.json", "--force", *words)
    return json.loads((experiment.folder_of(setting) / "views.json").read_text())["metrics"]["mAP"]


def gain(values):
    """The mean, with the interval that has it with 95 % by Student's t."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    return f"{np.mean(values):+.3f} ± {(high - low) / 2:.3f}"


def table(found):
    """Lines of a Markdown table of {(iterations, level): (seeds, views)}. Gains are of the same splits."""
    yield f"| iterations | level | one view | {' | '.join(VIEWS)} | gain by the level | by mirroring | by all views |"
    yield "|---:|---|---:|---:|---:|---:|---:|---:|"
    first = next(level for _, level in found)
    for (iterations, level), values in found.items():
        means = " | ".join(f"{mean:.3f}" for mean in values.mean(axis=0))
        by_level = gain(values[:, 0] - found[iterations, first][:, 0]) if level != first else ""
        by_views = " | ".join(gain(values[:, k] - values[:, 0]) for k in (1, 2))
        yield f"| {iterations} | {level} | {means} | {by_level} | {by_views} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of split and training (1 to 5)")
    parser.add_argument("--iterations", type=int, nargs="+", default=ITERATIONS, help="of each training (800 2400)")
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=LEVELS, help="compared with the first (all)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (2)")
    options = parser.parse_args()
    tagged = prepare.tagged()
    for seed in options.seeds:
        prepare.write(WORK, f"seed{seed}", tagged, prepare.split(tagged, seed))
    tuned = json.loads((HERE / "tuned.json").read_text())["sigmoid"]
    settings = {
        (iterations, level): [
            Setting(f"seed{seed}", "sigmoid", False, seed=seed, iterations=iterations, augment=level, **tuned)
            for seed in options.seeds
        ]
        for iterations, level in product(options.iterations, options.levels)
    }
    experiment.run_all([setting for seeds in settings.values() for setting in seeds], options.jobs)
    found = {variant: np.array([measure(setting) for setting in seeds]) for variant, seeds in settings.items()}
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
