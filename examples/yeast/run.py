"""Train one net with each loss on the Yeast benchmark, and compare them: a table, and work/yeast.png."""

import argparse
import os
from collections import namedtuple
from pathlib import Path

import caffe
import metrics
import net
import prepare
from matplotlib.figure import Figure

from caffe_losses import host
from caffe_losses.evaluation.logs import read_log

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
SEED = 1
ML_KNN = {  # Zhang & Zhou 2007, tenfold cross-validation
    "average precision": 0.765,
    "ranking loss": 0.167,
    "one-error": 0.230,
    "coverage": 6.275,
    "Hamming loss": 0.194,
}


# losses: {"train" or "test": {iteration: loss}}. scores: {iteration: {figure: value}}, of the test set
Run = namedtuple("Run", "losses scores")


def experiment(loss):
    """Train with a loss, and measure each snapshot."""
    for snapshot in WORK.glob(f"{loss}_iter_*"):  # of an earlier run
        snapshot.unlink()
    log = WORK / f"{loss}.log"
    host.train(HERE / f"{loss}_solver.prototxt", folder=WORK, log=log, title=loss)
    iterations = sorted(int(path.stem.split("_")[-1]) for path in WORK.glob(f"{loss}_iter_*.caffemodel"))
    return Run(read_log(str(log)).losses, {iteration: evaluate(loss, iteration) for iteration in iterations})


def evaluate(loss, iteration):
    """The figures of the test set, with the threshold that is best for the training set."""
    train, test = (prepare.read(WORK, name) for name in ("train", "test"))
    threshold = metrics.best_threshold(net.probabilities(WORK, loss, iteration, train.features), train.labels)
    return metrics.score(net.probabilities(WORK, loss, iteration, test.features), test.labels, threshold)


def better(name, scores):
    """The loss with the better figure."""
    return (max if name == "average precision" else min)(scores, key=lambda loss: scores[loss][name])


def table(scores):
    """Lines of a Markdown table, the better of the losses starred."""
    yield f"| {'':19} | {' | '.join(f'{loss:>8}' for loss in scores)} | ML-kNN, published |"
    yield f"|{'-' * 21}|{'---------:|' * len(scores)}------------------:|"
    for name, published in ML_KNN.items():
        best = better(name, scores)
        cells = (f"{scores[loss][name]:7.3f}{'*' if loss == best else ' '}" for loss in scores)
        arrow = "↑" if name == "average precision" else "↓"
        yield f"| {name + ' ' + arrow:19} | {' | '.join(cells)} | {published:17.3f} |"
    wins = {loss: sum(better(name, scores) == loss for name in ML_KNN) for loss in scores}
    yield "\nBetter* here: " + ", ".join(f"{loss} in {wins[loss]} of {len(ML_KNN)}" for loss in scores)


def plot(runs, path):
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplot_mosaic("ac;bc")
    for axis, color, (loss, run) in zip("ab", ("tab:blue", "tab:orange"), runs.items()):
        for name, series, style in (("training", run.losses["train"], "--"), ("test", run.losses["test"], "-")):
            points = [point for point in series.items() if point[0]]  # iteration 0 would dwarf the rest
            axes[axis].plot(*zip(*points), style, color=color, label=name)
        axes[axis].set(xlabel="iteration", ylabel=f"{loss} loss")
        axes[axis].legend(loc="upper right")
        precision = [scores["average precision"] for scores in run.scores.values()]
        axes["c"].plot(list(run.scores), precision, color=color, label=loss)
    axes["c"].axhline(ML_KNN["average precision"], color="grey", linestyle=":", label="ML-kNN, published")
    axes["c"].set(xlabel="iteration", ylabel="average precision, test set")
    axes["c"].legend(loc="lower right")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the train/test split ({SEED})")
    rows = prepare.split(parser.parse_args().seed)
    caffe.init_log(2)  # errors only
    prepare.write(WORK, *rows)
    net.write(WORK, len(rows[1]))
    runs = {loss: experiment(loss) for loss in net.LOSSES}
    plot(runs, WORK / "yeast.png")
    print("\n".join(table({loss: run.scores[max(run.scores)] for loss, run in runs.items()})))
    print(f"Curves: {os.path.relpath(WORK / 'yeast.png')}")


if __name__ == "__main__":
    main()
