"""Pictures of an evaluation: precision-recall curves, and average precision against label frequency."""

import numpy as np

CURVES = 8  # classes whose curve is drawn
POINTS = 500  # of a curve
NAMED = 25  # so many classes have their names in the picture


def precision_recall(parts, points=POINTS):
    """Recall and precision at up to `points` thresholds, which are scores of true labels, evenly many of these apart.

    Args:
        parts: a list of (scores, labels) whose elements are taken together; labels are 1, 0, or -1 for what takes no
            part.
        points: how many thresholds at most.

    Returns:
        (recall, precision), two arrays of one number a threshold.
    """
    positives = np.sort(np.concatenate([scores[labels == 1] for scores, labels in parts]))
    cuts = np.unique(positives[np.linspace(0, len(positives) - 1, points).astype(int)])
    between = np.zeros(len(cuts) + 1, np.int64)  # how many scores there are from each cut to the next
    for scores, labels in parts:
        between += np.bincount(np.searchsorted(cuts, scores[labels >= 0], side="right"), minlength=len(between))
    as_high = np.cumsum(between[::-1])[::-1][1:]
    true = len(positives) - np.searchsorted(positives, cuts)
    return true / len(positives), true / as_high


def classes_to_draw(frequencies, count=CURVES):
    """Classes at even steps of the order of frequency, the most frequent first; only such as have images."""
    order = np.argsort(-frequencies, kind="mergesort")[: np.count_nonzero(frequencies)]
    places = np.linspace(0, len(order) - 1, min(count, len(order)))
    return order[np.round(places).astype(int)]


def draw(path, metrics, names, title):
    """Write the PNG.

    Args:
        path: of the file.
        metrics: MultiLabelMetrics with mAP, to which all was added.
        names: of the classes.
        title: above the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.4), dpi=110, layout="constrained")
    curves, scatter = figure.subplots(1, 2)
    figure.suptitle(title, fontsize=11)
    averages = metrics.average_precisions()
    draw_curves(curves, metrics, names, averages)
    draw_frequencies(scatter, metrics.positives, averages, names)
    figure.savefig(path, format="png")


def draw_curves(axes, metrics, names, averages):
    from matplotlib import colormaps

    drawn = classes_to_draw(metrics.positives)
    colors = colormaps["viridis"](np.linspace(0, 0.92, len(drawn)))
    for color, (c, scores, true) in zip(colors, metrics.columns(drawn)):
        recall, precision = precision_recall([(scores, true.astype(np.int8))])
        label = f"{shortened(names[c])} ({metrics.positives[c]} images, AP {averages[c]:.2f})"
        marker = "." if len(recall) < 12 else None
        axes.plot(recall, precision, color=color, linewidth=1.2, marker=marker, label=label)
    recall, precision = precision_recall(metrics.kept)
    axes.plot(recall, precision, color="black", linewidth=2.4, label="all classes together (micro average)")
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision", title="Precision and recall")
    handles, labels = axes.get_legend_handles_labels()
    add_legend(axes, handles[-1:] + handles[:-1], labels[-1:] + labels[:-1], columns=2)
    axes.grid(alpha=0.3)


def add_legend(axes, handles, labels, columns):
    """Below the axes, so that it hides nothing."""
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.11), "ncols": columns}
    axes.legend(handles, labels, fontsize=8.5, frameon=False, **place)


def draw_frequencies(axes, frequencies, averages, names):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    there = frequencies > 0
    size = np.clip(4000 / max(1, np.count_nonzero(there)), 5, 36)
    axes.scatter(
        frequencies[there], averages[there], s=size, alpha=0.55, linewidths=0, color="tab:blue", label="a class"
    )
    centers, medians = running_median(frequencies[there], averages[there])
    if len(centers) > 1:
        axes.plot(
            centers, medians, color="tab:orange", linewidth=2, marker="o", markersize=4, label="median of a group"
        )
    mean = averages[there].mean()
    axes.axhline(mean, color="black", linestyle="--", linewidth=1, label=f"mAP {mean:.3f}")
    if np.count_nonzero(there) <= NAMED:
        for c in np.flatnonzero(there):
            place = {"xytext": (4, 4), "textcoords": "offset points"}
            axes.annotate(shortened(names[c]), (frequencies[c], averages[c]), fontsize=8, **place)
        axes.margins(x=0.12)
    axes.set_xscale("log")
    decades = np.ptp(np.log10(frequencies[there]))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(ylim=(-0.02, 1.03), xlabel="images with the label", ylabel="average precision")
    axes.set_title("Average precision and frequency")
    add_legend(axes, *axes.get_legend_handles_labels(), columns=3)
    axes.grid(alpha=0.3, which="both")


def running_median(frequencies, averages):
    """Median frequency and average precision of up to 12 equal groups of classes, of ten or more each."""
    order = np.argsort(frequencies, kind="mergesort")
    groups = np.array_split(order, max(1, min(12, len(order) // 10)))
    return [np.median(frequencies[g]) for g in groups], [np.median(averages[g]) for g in groups]


def shortened(name):
    return name if len(name) <= 24 else name[:22] + "…"
