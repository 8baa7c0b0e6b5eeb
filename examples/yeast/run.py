"""Train one net with each loss on the Yeast benchmark, and compare them: a table, and work/yeast.png."""

import argparse
import os
from pathlib import Path

import caffe
import metrics
import net
import prepare
from matplotlib.figure import Figure
from train import losses, probabilities, read_solver, train

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


def experiment(loss):
    """Train with a loss: its curves, the test set's average precision by iteration, and its final scores."""
    path = HERE / f"{loss}_solver.prototxt"
    log = train(WORK, path, loss)
    solver = read_solver(path)
    snapshots = range(solver.snapshot, solver.max_iter + 1, solver.snapshot)
    curve = [evaluate(loss, iteration)["average precision"] for iteration in snapshots]
    return losses(log), (snapshots, curve), evaluate(loss, solver.max_iter)


def evaluate(loss, iteration):
    """The test set's scores, with the threshold that is best for the training set."""
    (train_data, train_labels), (data, labels) = (prepare.read(WORK, name) for name in ("train", "test"))
    threshold = metrics.best_threshold(probabilities(WORK, loss, iteration, train_data), train_labels)
    return metrics.score(probabilities(WORK, loss, iteration, data), labels, threshold)


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


def plot(results, path):
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplot_mosaic("ac;bc")
    for axis, color, (loss, (curves, precision, _)) in zip("ab", ("tab:blue", "tab:orange"), results.items()):
        for name, style in (("training", "--"), ("test", "-")):
            iterations, values = curves[name][:, 1:]  # iteration 0 would dwarf the rest
            axes[axis].plot(iterations, values, style, color=color, label=name)
        axes[axis].set(xlabel="iteration", ylabel=f"{loss} loss")
        axes[axis].legend(loc="upper right")
        axes["c"].plot(*precision, color=color, label=loss)
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
    results = {loss: experiment(loss) for loss in net.LOSSES}
    plot(results, WORK / "yeast.png")
    print("\n".join(table({loss: scores for loss, (_, _, scores) in results.items()})))
    print(f"Curves: {os.path.relpath(WORK / 'yeast.png')}")


if __name__ == "__main__":
    main()
