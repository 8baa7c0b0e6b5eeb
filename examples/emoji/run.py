"""Train one net with each loss, with and without square-root resampling, and compare: a table and two pictures."""

import argparse
import json
import os
from itertools import product
from pathlib import Path

import experiment
import net
import numpy as np
import pictures
import prepare
from experiment import HERE, WORK, Setting

RESAMPLE = {"": False, "resampled": True}
ITERATIONS = 800


def settings_of(losses, seeds, iterations):
    """{(loss, "" or "resampled"): a setting for each seed}, with the rate and decay that tune.py chose for the loss."""
    tuned = json.loads((HERE / "tuned.json").read_text())
    return {
        (loss, name): [
            Setting(f"seed{seed}", loss, resample, seed=seed, iterations=iterations, **tuned[loss]) for seed in seeds
        ]
        for loss, (name, resample) in product(losses, RESAMPLE.items())
    }


def table(figures):
    """Lines of a Markdown table, mean and standard deviation over the seeds, the best mean of each metric starred."""
    best = {metric: max(np.mean(values[metric]) for values in figures.values()) for metric in net.METRICS}
    yield f"| {'loss':18} | {' | '.join(f'{metric:>14}' for metric in net.METRICS)} |"
    yield f"|{'-' * 20}|{'---------------:|' * len(net.METRICS)}"
    for variant, values in figures.items():
        cells = (f"{cell(values[metric], best[metric]):>14}" for metric in net.METRICS)
        yield f"| {title(variant):18} | {' | '.join(cells)} |"


def cell(values, best):
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}{'*' if np.mean(values) == best else ' '}"


def title(variant):
    return ", ".join(filter(None, variant))


def duels(figures):
    """How far softmax is ahead of the other losses, on the same pictures."""
    for (loss, name), values in figures.items():
        softmax = figures.get(("softmax", name))
        if loss != "softmax" and softmax:
            leads = {metric: np.subtract(softmax[metric], values[metric]) for metric in net.METRICS}
            text = ", ".join(f"{metric} {' '.join(f'{lead:+.3f}' for lead in leads[metric])}" for metric in net.METRICS)
            yield f"softmax - {title((loss, name))}, by seed: {text}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of split and training; one run each (1)")
    parser.add_argument("--losses", nargs="+", choices=list(net.LOSSES), default=list(net.LOSSES), metavar="LOSS")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help=f"of each training ({ITERATIONS})")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (2)")
    parser.add_argument("--pictures", type=Path, default=WORK, metavar="FOLDER", help="where the PNGs go (work)")
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    tagged = prepare.tagged()
    for seed in options.seeds:
        prepare.write(WORK, f"seed{seed}", tagged, prepare.split(tagged, seed))
    settings = settings_of(options.losses, options.seeds, options.iterations)
    experiment.run_all([setting for seeds in settings.values() for setting in seeds], options.jobs)
    scores = {variant: [experiment.scores(setting) for setting in seeds] for variant, seeds in settings.items()}
    figures = {
        variant: {metric: [run.values[metric] for run in runs] for metric in net.METRICS}
        for variant, runs in scores.items()
    }
    print("\n".join([*table(figures), "", *duels(figures)]))
    best = max(figures, key=lambda variant: np.mean(figures[variant]["mAP"]))
    by_tag = {variant: np.mean([run.precisions for run in runs], axis=0) for variant, runs in scores.items()}
    counts = prepare.counts(tagged)
    pictures.comparison(figures, by_tag, counts, options.pictures / "comparison.png")
    pictures.contact_sheet(settings[best][0], title(best), options.pictures / "contact_sheet.png")
    for name in ("comparison", "contact_sheet"):
        print(f"Picture: {os.path.relpath(options.pictures / name)}.png")


if __name__ == "__main__":
    main()
