"""Pictures of an evaluation: precision-recall curves, and average precision against label frequency."""

import numpy as np

from . import figures

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


def steps(recall, precision):
    """The corners of a curve that is drawn with steps-post; below it is the average precision.

    Between the recall of a threshold and that of the next higher one, the precision is that of the threshold. The
    highest threshold has it from recall 0 on.
    """
    return np.append(recall, 0), np.append(precision, precision[-1])


def draw(path, metrics, names, title):
    """Write the PNG.

    Args:
        path: of the file.
        metrics: MultiLabelMetrics with mAP, to which all was added.
        names: of the classes.
        title: above the picture.
    """
    figure = figures.new_figure(13, 6.4)
    curves, scatter = figure.subplots(1, 2)
    figure.suptitle(figures.plain(title), fontsize=11)
    averages = metrics.average_precisions()
    drawn = classes_to_draw(metrics.positives)
    there = np.flatnonzero(metrics.positives)
    labels = figures.labels_of(names, sorted({*drawn, *(there if len(there) <= NAMED else ())}))
    draw_curves(curves, metrics, drawn, labels, averages)
    draw_frequencies(scatter, metrics.positives, averages, labels)
    figures.save(figure, path)


def draw_curves(axes, metrics, drawn, labels, averages):
    colors = figures.colormap("viridis")(np.linspace(0, 0.92, len(drawn)))
    handles, texts = [], []
    for color, (c, scores, true) in zip(colors, metrics.columns(drawn)):
        handles += draw_curve(axes, [(scores, true.astype(np.int8))], color=color, linewidth=1.2)
        text = f"{labels[c].text} ({metrics.positives[c]} images, AP {averages[c]:.2f})"
        texts.append(figures.Label(text, labels[c].font))
    handles = draw_curve(axes, metrics.kept, color="black", linewidth=2.4) + handles
    texts.insert(0, figures.Label("all classes together (micro average)", None))
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision", title="Precision and recall")
    add_legend(axes, handles, texts, columns=2)
    axes.grid(alpha=0.3)


def draw_curve(axes, parts, **style):
    return axes.plot(*steps(*precision_recall(parts)), drawstyle="steps-post", **style)


def add_legend(axes, handles, labels, columns):
    """Below the axes, so that it hides nothing."""
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.11), "ncol": columns}
    figures.add_legend(axes, handles, labels, fontsize=8.5, frameon=False, **place)


def draw_frequencies(axes, frequencies, averages, labels):
    """A point for each class that has images; with its name if it is in `labels`, and there are few."""
    there = np.flatnonzero(frequencies)
    size = np.clip(4000 / max(1, len(there)), 5, 36)
    points = axes.scatter(frequencies[there], averages[there], s=size, alpha=0.55, linewidths=0, color="tab:blue")
    handles, texts = [points], ["a class"]
    centers, medians = running_median(frequencies[there], averages[there])
    if len(centers) > 1:
        handles += axes.plot(centers, medians, color="tab:orange", linewidth=2, marker="o", markersize=4)
        texts.append("median of a group")
    mean = averages[there].mean()
    handles.append(axes.axhline(mean, color="black", linestyle="--", linewidth=1))
    texts.append(f"mAP {mean:.3f}")
    if len(there) <= NAMED:
        for c in there:
            place = {"xytext": (4, 4), "textcoords": "offset points"}
            name = figures.plain(labels[c].text)
            figures.set_font(axes.annotate(name, (frequencies[c], averages[c]), fontsize=8, **place), labels[c].font)
    scale_frequencies(axes, frequencies[there])
    axes.set(ylim=(-0.02, 1.03), xlabel="images with the label", ylabel="average precision")
    axes.set_title("Average precision and frequency")
    add_legend(axes, handles, [figures.Label(text, None) for text in texts], columns=3)
    axes.grid(alpha=0.3, which="both")


def scale_frequencies(axes, frequencies):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    figures.calm_log_x(axes, frequencies)
    decades = np.ptp(np.log10(frequencies))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def running_median(frequencies, averages):
    """Median frequency and average precision of up to 12 equal groups of classes, of ten or more each."""
    order = np.argsort(frequencies, kind="mergesort")
    groups = np.array_split(order, max(1, min(12, len(order) // 10)))
    return [np.median(frequencies[g]) for g in groups], [np.median(averages[g]) for g in groups]
