"""The comparison of the losses as bars and by tag, and test pictures with their predicted tags."""

import io
from pathlib import Path

import experiment
import net
import numpy as np
import prepare
from matplotlib.figure import Figure
from matplotlib.image import imread

from caffe_losses import predict_labels

COLORS = dict(zip(net.LOSSES, ("tab:blue", "tab:orange", "tab:green")))
RIGHT, WRONG, MISSED = "#1a7f37", "#c62828", "#9e9e9e"
ROWS, COLUMNS, THUMBNAIL = 5, 10, 96  # pixels


def comparison(figures, by_tag, counts, path):
    """Bars of each metric, a dot for each seed; and average precision by how many drawings have the tag.

    figures  {(loss, "" or "resampled"): {metric: a value for each seed}}
    by_tag   {(loss, "" or "resampled"): average precision of each tag}
    counts   {tag: drawings}
    """
    figure = Figure(figsize=(12, 8.5), layout="constrained")
    bars, below = figure.subfigures(2, 1, height_ratios=(1, 1.25))
    for axis, metric in zip(bars.subplots(1, len(net.METRICS)), net.METRICS):
        draw_bars(axis, {variant: values[metric] for variant, values in figures.items()})
        axis.set_title(metric)
    plain = {loss: precisions for (loss, resampled), precisions in by_tag.items() if not resampled}
    draw_tags(below.subplots(), plain, counts)
    figure.savefig(path, dpi=100)


def draw_bars(axis, values):
    for k, ((loss, resampled), seeds) in enumerate(values.items()):
        style = {"hatch": "///", "alpha": 0.55} if resampled else {}
        axis.bar(k, np.mean(seeds), color=COLORS[loss], edgecolor="white", **style)
        axis.plot(np.full(len(seeds), k), seeds, "o", color="black", markersize=3.5)
    names = [f"{np.mean(seeds):.3f}\n{loss}\n{resampled}" for (loss, resampled), seeds in values.items()]
    axis.set_xticks(range(len(values)), names, fontsize=8.5)
    axis.spines[["top", "right"]].set_visible(False)


def draw_tags(axis, precisions, counts):
    """A column for each tag, the most frequent first."""
    tags = sorted(counts)
    order = sorted(range(len(tags)), key=lambda c: -counts[tags[c]])
    rows = np.array(list(precisions.values()))[:, order]
    axis.vlines(range(len(tags)), rows.min(axis=0), rows.max(axis=0), color="lightgrey", linewidth=2, zorder=0)
    for (loss, _), row in zip(precisions.items(), rows):
        axis.plot(row, "o", color=COLORS[loss], label=f"{loss}, mean {row.mean():.3f}")
    axis.set_xticks(range(len(tags)), [f"{tags[c]}  {counts[tags[c]]}" for c in order], rotation=90, fontsize=8)
    axis.set(xlim=(-0.7, len(tags) - 0.3), ylim=(0, 1.03), ylabel="average precision, without resampling")
    axis.set_xlabel("tag and how many drawings have it")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(precisions), frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def contact_sheet(setting, title, path):
    """Test pictures, drawn at random, and their tags. The threshold is the best one for the training set."""
    train, test = (experiment.probabilities(setting, part) for part in experiment.PARTS)
    threshold = best_threshold(train, experiment.labels(setting.data, "train"))
    predicted = predict_labels(test, threshold)
    images, true = experiment.images(setting.data, "test"), experiment.labels(setting.data, "test") > 0
    shown = np.sort(np.random.RandomState(setting.seed).permutation(len(images))[: ROWS * COLUMNS])
    figure = Figure(figsize=(COLUMNS * 1.25, ROWS * 1.75 + 0.5))
    for axis, i in zip(figure.subplots(ROWS, COLUMNS).flat, shown):
        axis.imshow(thumbnail(images.paths[i]))
        axis.axis("off")
        order = np.argsort(-test[i])
        lines = [
            (images.classes[c], color(predicted[i, c], true[i, c])) for c in order if predicted[i, c] or true[i, c]
        ]
        for k, (tag, shade) in enumerate(lines):
            axis.text(
                0.5,
                -0.12 - 0.15 * k,
                tag,
                color=shade,
                ha="center",
                va="center",
                fontsize=8.5,
                transform=axis.transAxes,
            )
    legend = ((0.5, "right", RIGHT), (0.56, "wrong", WRONG), (0.62, "missed", MISSED))
    figure.text(0.02, 0.975, f"Test pictures and their tags ({title})", va="center", fontsize=11)
    for x, word, shade in legend:
        figure.text(x, 0.975, word, color=shade, va="center", weight="bold", fontsize=11)
    figure.text(0.98, 0.975, "Drawings: OpenMoji, CC BY-SA 4.0", ha="right", va="center", fontsize=9, color="dimgrey")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.95, bottom=0.1, hspace=0.9, wspace=0.25)
    figure.savefig(path, dpi=90)


def color(predicted, true):
    return (RIGHT if true else WRONG) if predicted else MISSED


def thumbnail(path):
    """The drawing of a rendered picture, larger."""
    return imread(io.BytesIO(prepare.png(prepare.drawings()[Path(path).stem], THUMBNAIL)))


def best_threshold(probabilities, labels):
    """The threshold with the highest micro F1, 2 TP / (predicted + true)."""
    order = np.argsort(-probabilities, axis=None)
    hits = np.cumsum(labels.flat[order])
    f1 = 2 * hits / (np.arange(1, order.size + 1) + labels.sum())
    return probabilities.flat[order[f1.argmax()]]
