"""Which labels an image is given, unless the user says it; and thresholds as scores."""

import numpy as np

TOP_K, PROBABILITY = 5, 0.5


def decision(activation, threshold=None, top_k=None):
    """What the user asks for, or what the loss suggests, as arguments of `predict_labels`.

    Args:
        activation: "Sigmoid", whose probabilities are each class's own, or "Softmax", or None.
        threshold: a probability, or None.
        top_k: how many labels, or None.
    """
    if threshold is None and top_k is None:
        return {"threshold": PROBABILITY} if activation == "Sigmoid" else {"top_k": TOP_K}
    return {name: value for name, value in (("threshold", threshold), ("top_k", top_k)) if value is not None}


def log_odds(probability, makes):
    """The score of which a Sigmoid makes a probability; of a Softmax, its logarithm. A number, or an array."""
    p = np.asarray(probability, np.float64)
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-p) if makes == "Sigmoid" else np.log(p)
