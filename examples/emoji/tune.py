"""How each loss's base_lr and weight_decay were chosen, on a part of the training set: writes tuned.json."""

import argparse
import json
from itertools import product

import experiment
import net
import prepare
from experiment import Setting

DATA, SEED, ITERATIONS = "tune", 1, 600
BASE_LR, WEIGHT_DECAY = (0.005, 0.01, 0.02, 0.05), (0.001, 0.03, 0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (2)")
    pictures = prepare.tagged()
    train, _ = prepare.split(pictures, SEED)
    pictures = {codes: pictures[codes] for codes in train}
    prepare.write(experiment.WORK, DATA, pictures, prepare.split(pictures, SEED, least=1))
    grid = list(product(BASE_LR, WEIGHT_DECAY))
    settings = [Setting(DATA, loss, False, *values, SEED, ITERATIONS) for values in grid for loss in net.LOSSES]
    experiment.run_all(settings, parser.parse_args().jobs)
    values = {setting: experiment.scores(setting).values for setting in settings}
    print(f"| loss | base_lr | weight_decay | {' | '.join(net.METRICS)} |\n|---|---:|---:|{'---:|' * len(net.METRICS)}")
    tuned = {}
    for loss in net.LOSSES:
        ranked = sorted((s for s in settings if s.loss == loss), key=lambda s: -values[s]["mAP"])
        for s in ranked:
            figures = " | ".join(f"{values[s][name]:.3f}" for name in net.METRICS)
            print(f"| {loss} | {s.base_lr:g} | {s.weight_decay:g} | {figures} |")
        tuned[loss] = {"base_lr": ranked[0].base_lr, "weight_decay": ranked[0].weight_decay}
    (experiment.HERE / "tuned.json").write_text(json.dumps(tuned, indent=2) + "\n")


if __name__ == "__main__":
    main()
