"""The five figures in which Zhang & Zhou (2007) measure a multi-label learner."""

import numpy as np
from sklearn import metrics


def best_threshold(probabilities, labels):
    """The one threshold for all classes that gives the smallest Hamming loss."""
    candidates = np.quantile(probabilities, np.linspace(0, 1, 201))
    return min(candidates, key=lambda threshold: np.mean((probabilities > threshold) != labels))


def score(probabilities, labels, threshold):
    """{name: figure}. A row without labels has no ranking to judge: only Hamming loss counts it."""
    rows = labels.any(axis=1)
    ranked, true = probabilities[rows], labels[rows]
    return {
        "average precision": metrics.label_ranking_average_precision_score(true, ranked),
        "ranking loss": metrics.label_ranking_loss(true, ranked),
        "one-error": np.mean(true[np.arange(len(true)), ranked.argmax(axis=1)] == 0),
        "coverage": metrics.coverage_error(true, ranked) - 1,  # Zhang & Zhou count ranks from 0
        "Hamming loss": metrics.hamming_loss(labels, probabilities > threshold),
    }
