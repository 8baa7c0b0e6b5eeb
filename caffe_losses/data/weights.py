"""Weights of classes, from how many images each has."""

import numpy as np

SCHEMES = "inverse", "sqrt", "effective"
BETA = 0.999


def class_weights(frequencies, scheme, beta=BETA):
    """A weight for each class, of which the mean is 1: the rarer, the higher.

    Args:
        frequencies: images of each class, n >= 1.
        scheme: "inverse": 1 / n. "sqrt": 1 / sqrt(n). "effective": (1 - beta) / (1 - beta^n), of the effective number
            of images (Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", 2019).
        beta: in [0, 1).
    """
    n = np.asarray(frequencies, np.float64)
    # expm1 and log1p: 1 - beta^n of a beta near 1 would cancel
    effective = 1.0 if beta == 0 else -np.expm1(n * np.log1p(beta - 1)) / (1 - beta)
    weights = 1 / {"inverse": n, "sqrt": np.sqrt(n), "effective": effective * np.ones_like(n)}[scheme]
    return weights / weights.mean()


def pos_weights(frequencies, images):
    """Other images / images of each class: with these, the labels 0 and 1 of a class weigh the same."""
    n = np.asarray(frequencies, np.float64)
    return (images - n) / n
