"""Metrics of whole test sets that papers give: through scikit-learn, and mAP's interval by resampling pictures."""

import numpy as np

DRAWS, SEED, LEVEL = 1000, 0, 0.95  # of the bootstrap
BLOCK = 100  # so many draws at a time, which bounds their memory


def macro_auroc(metrics):
    """The mean area under the ROC curve of the classes that have a positive and a negative. Ties count half."""
    from sklearn.metrics import roc_auc_score

    areas = [roc_auc_score(true, scores) for _, scores, true in metrics.columns() if 0 < true.sum() < len(true)]
    if not areas:
        raise ValueError("macro_AUROC: no class has images with and without its label; give more images")
    return np.mean(areas)


def micro_auroc(metrics):
    """The area under the ROC curve of all scores of all classes together."""
    from sklearn.metrics import roc_auc_score

    scores, labels = together(metrics)
    takes_part = labels >= 0
    true = labels[takes_part] == 1
    if true.all() or not true.any():
        raise ValueError("micro_AUROC: the labels are all 0 or all 1; give more images")
    return roc_auc_score(true, scores[takes_part])


def ranking_average_precision(metrics):
    """For each true label of an image, the share of true ones among the labels ranked as high; mean over images."""
    from sklearn.metrics import label_ranking_average_precision_score

    scores, labels = ranked(metrics)
    if labels.shape[1] == 1:
        return 1.0  # one class: scikit-learn takes it for no ranking
    return label_ranking_average_precision_score(labels, scores)


def coverage(metrics):
    """How many of the highest scores have all true labels of an image among them; mean over images."""
    from sklearn.metrics import coverage_error

    scores, labels = ranked(metrics)
    if labels.shape[1] == 1:
        return labels.mean()
    return coverage_error(labels, scores)


def together(metrics):
    return (np.concatenate([batch[i] for batch in metrics.kept]) for i in (0, 1))


def ranked(metrics):
    """Scores and labels for a ranking of each image's classes: an ignored label is last, and not true."""
    scores, labels = together(metrics)
    scores = scores.astype(np.float64)
    last = np.nextafter(scores.min(), -np.inf)  # minus 1 would leave large scores as they are
    return np.where(labels < 0, last, scores), labels == 1


def mean_average_precision_interval(metrics, draws=DRAWS, seed=SEED, level=LEVEL):
    """[low, high]: the basic bootstrap interval of mAP, over `draws` samples of the images with replacement.

    An image that is drawn twice lifts its own precision, so that samples have a higher mAP than the images, as the
    images have a higher one than all images of the world. The interval is mirrored at mAP for that: 2 mAP minus a
    percentile. In each sample, mAP is the mean over the classes that have a positive in it.

    References:
        Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 5.2.
    """
    random, means = np.random.RandomState(seed), []
    for start in range(0, draws, BLOCK):
        samples = [random.randint(metrics.images, size=metrics.images) for _ in range(min(BLOCK, draws - start))]
        times = np.stack([np.bincount(s, minlength=metrics.images) for s in samples], axis=1).astype(np.int32)
        means.append(sampled_means(metrics, times))
    means = np.concatenate(means)
    tail = 50 * (1 - level)
    highest, lowest = np.percentile(means[~np.isnan(means)], [100 - tail, tail])
    return [float(np.clip(2 * metrics.value("mAP") - x, 0, 1)) for x in (highest, lowest)]


def sampled_means(metrics, times):
    """mAP of each sample; NaN where no class has a positive. `times`, (images, samples): how often each is drawn."""
    totals, classes = np.zeros(times.shape[1]), np.zeros(times.shape[1])
    labels = np.concatenate([batch.labels for batch in metrics.kept])
    for c, scores, true in metrics.columns():
        if true.any():
            totals += sampled_precisions(scores, true, times[labels[:, c] >= 0], classes)
    return np.where(classes > 0, totals / np.maximum(1, classes), np.nan)


def sampled_precisions(scores, true, times, classes):
    """Average precision in each sample, 0 without a positive. Adds 1 to `classes` where there is one."""
    thresholds = np.unique(scores[true])[::-1]
    images, positives = (runs(each, times[part], thresholds) for each, part in ((scores, ...), (scores[true], true)))
    hits = positives.cumsum(axis=0)
    classes += hits[-1] > 0
    shares = hits / np.maximum(1, images.cumsum(axis=0))
    return (positives * shares).sum(axis=0) / np.maximum(1, hits[-1])


def runs(scores, times, thresholds):
    """How many images of each sample have a score from one threshold up to the one before: (thresholds, samples)."""
    order = np.argsort(-scores, kind="mergesort")
    ends = np.searchsorted(-scores[order], -thresholds, side="right")
    return np.add.reduceat(times[order[: ends[-1]]], np.append(0, ends[:-1]), axis=0)


METRICS = {
    "mAP_interval": mean_average_precision_interval,
    "macro_AUROC": macro_auroc,
    "micro_AUROC": micro_auroc,
    "LRAP": ranking_average_precision,
    "coverage": coverage,
}
