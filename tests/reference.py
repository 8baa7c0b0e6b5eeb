"""The losses as their formulas stand, one score at a time in plain Python: slow, and hard to get wrong.

A row is handed over as lists of its scores and labels. What is shared by all losses is in `reduce`.
"""

import math

import numpy as np

CLAMP = 1e-20


def softplus(x):
    """log(1 + exp(x))"""
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def softmax(scores):
    top = max(scores)
    exp = [math.exp(s - top) for s in scores]
    return [e / sum(exp) for e in exp]


def log_softmax(scores):
    top = max(scores)
    log_sum = math.log(sum(math.exp(s - top) for s in scores))
    return [s - top - log_sum for s in scores]


# Distributions: (loss, slopes) of one row whose classes all take part


def softmax_row(scores, targets):
    log_p = log_softmax(scores)
    loss = -sum(t * lp for t, lp in zip(targets, log_p) if t)
    return loss, [sum(targets) * math.exp(lp) - t for t, lp in zip(targets, log_p)]


def logistic_row(p, targets):
    loss = -sum(t * math.log(max(q, CLAMP)) for t, q in zip(targets, p))
    return loss, [-t / q if q > CLAMP else 0.0 for t, q in zip(targets, p)]


def distribution(row):
    def loss(scores, labels, label_scale="COUNT", label_smoothing=0, class_weight=None, **options):
        positive = [y for y in labels if y]
        if not positive:
            return 0.0, [0.0] * len(scores)
        scale = {"COUNT": len(positive), "SUM": sum(positive), "NONE": 1}[label_scale]
        targets = [(1 - label_smoothing) * y / scale + label_smoothing / len(labels) for y in labels]
        return row(scores, [w * t for w, t in zip(class_weight or [1] * len(targets), targets)], **options)

    return loss


# Yes or no: (loss, slope) of one score whose label is 1, or 0


def cross_entropy(s):
    return (softplus(-s), -sigmoid(-s)), (softplus(s), sigmoid(s))


def focal(s, alpha, gamma):
    p, q = sigmoid(s), sigmoid(-s)
    yes = softplus(-s) * q**gamma, -(q**gamma) * (gamma * p * softplus(-s) + q)
    no = softplus(s) * p**gamma, p**gamma * (gamma * q * softplus(s) + p)
    a, b = (1, 1) if alpha is None else (alpha, 1 - alpha)
    return (a * yes[0], a * yes[1]), (b * no[0], b * no[1])


def asymmetric(s, gamma_pos, gamma_neg, clip, stop_gradient=False):
    yes = focal(s, None, gamma_pos)[0]
    p, q = sigmoid(s), sigmoid(-s)
    r = max(p - clip, 0)
    if stop_gradient:
        not_r = min(q + clip, 1) if clip else q
        loss = -math.log(not_r) if clip else softplus(s)
        return (yes[0], -(q**gamma_pos) * q), (
            r**gamma_neg * loss,
            r**gamma_neg * p * (q / not_r if clip else 1) if r else 0.0,
        )
    if not clip:
        return yes, focal(s, None, gamma_neg)[1]
    if p <= clip:
        return yes, (0.0, 0.0)
    m = p - clip
    slope = gamma_neg * m ** (gamma_neg - 1) * -math.log1p(-m) + m**gamma_neg / (1 - m) if m else 0.0
    return yes, (m**gamma_neg * -math.log1p(-m), slope * p * sigmoid(-s))


def hill(s, lamb, margin, gamma):
    p = sigmoid(s)
    return focal(s - margin, None, gamma)[0], ((lamb - p) * p**2, (2 * lamb - 3 * p) * p**2 * sigmoid(-s))


def binary(p):
    yes = -math.log(max(p, CLAMP)), -1 / p if p > CLAMP else 0.0
    no = -math.log(max(1 - p, CLAMP)), 1 / (1 - p) if 1 - p > CLAMP else 0.0
    return yes, no


def independent(score_loss):
    def loss(scores, labels, label_smoothing=0, class_weight=None, pos_weight=None, unannotated=None, **options):
        total, slopes = 0.0, []
        for c, (s, t) in enumerate(zip(scores, labels)):
            w = (class_weight or [1] * len(scores))[c]
            if t is None:
                weak = score_loss(s, **dict(options, gamma_neg=unannotated[0]))[1]
                total += w * unannotated[1] * weak[0]
                slopes.append(w * unannotated[1] * weak[1])
                continue
            t = (1 - label_smoothing) * t + label_smoothing / 2
            yes, no = score_loss(s, **options)
            q = (pos_weight or [1] * len(scores))[c]
            total += w * (q * t * yes[0] + (1 - t) * no[0] if t else no[0])
            slopes.append(w * (q * t * yes[1] + (1 - t) * no[1] if t else no[1]))
        return total, slopes

    return loss


# Sums of exponentials, over a row or over a class


def log_sum_exp(values, temperature=1):
    if not values:
        return -math.inf, []
    top = max(values)
    e = [math.exp((v - top) / temperature) for v in values]
    return top + temperature * math.log(sum(e)), [x / sum(e) for x in e]


def of_sums(scores, labels, t_neg, t_pos, cost):
    """(loss, slopes), where cost(n, p) gives the loss and its derivatives in n and p."""
    n, share_n = log_sum_exp([s for s, y in zip(scores, labels) if y == 0], t_neg)
    p, share_p = log_sum_exp([-s for s, y in zip(scores, labels) if y == 1], t_pos)
    loss, slope_n, slope_p = cost(n, p)
    share_n, share_p = iter(share_n), iter(share_p)
    return loss, [slope_n * next(share_n) if y == 0 else -slope_p * next(share_p) for y in labels]


def or_0(function, x):
    return 0.0 if x == -math.inf else function(x)


def zlpr(scores, labels):
    def cost(n, p):
        return or_0(softplus, n) + or_0(softplus, p), or_0(sigmoid, n), or_0(sigmoid, p)

    return of_sums(scores, labels, 1, 1, cost)


def two_way_group(scores, labels, t_neg, t_pos):
    return of_sums(scores, labels, t_neg, t_pos, lambda n, p: (or_0(softplus, n + p), *[or_0(sigmoid, n + p)] * 2))


def two_way(rows, labels, outer, normalization, temperature_neg, temperature_pos):
    """Of rows of scores, and their labels, None where ignored."""
    total, slopes = 0.0, np.zeros(rows.shape)
    for across in (False, True):
        scores, marks, part = (rows.T, labels.T, slopes.T) if across else (rows, labels, slopes)
        with_positive = sum(any(y == 1 for y in group) for group in marks)
        units = {"VALID": with_positive, "FULL": len(scores), "BATCH_SIZE": len(scores) if across else outer, "NONE": 1}
        divisor = max(1, units[normalization])
        for g in range(len(scores)):
            kept = [k for k, y in enumerate(marks[g]) if y is not None]
            loss, slope = two_way_group(
                [scores[g][k] for k in kept], [marks[g][k] for k in kept], temperature_neg, temperature_pos
            )
            total += loss / divisor
            part[g, kept] += np.array([x / divisor for x in slope], float)
    return total, slopes


ROWS = {
    "ZLPRLoss": zlpr,
    "HillLoss": independent(hill),
    "MultiLabelSoftmaxLoss": distribution(softmax_row),
    "MultiLabelLogisticLoss": distribution(logistic_row),
    "SigmoidCrossEntropyLoss": independent(cross_entropy),
    "BinaryCrossEntropyLoss": independent(binary),
    "SigmoidFocalLoss": independent(focal),
    "AsymmetricLoss": independent(asymmetric),
}


def reduce(name, scores, labels, weights=None, *, axis, label_format, ignore_label, normalization, **options):
    """(loss, gradient) of whole arrays; options as the loss has them after its defaults are filled in."""
    by_score = "pos_weight" in options
    scores = np.asarray(scores, np.float64)
    rows = np.moveaxis(scores, axis, -1)
    classes = rows.shape[-1]
    outer = int(np.prod(scores.shape[: axis % scores.ndim], dtype=int))
    inner = rows.size // classes // max(1, outer)
    rows = np.moveaxis(scores.reshape(outer, classes, inner), 1, 2).reshape(-1, classes)
    given = np.moveaxis(np.asarray(labels, np.float64).reshape(outer, -1, inner), 1, 2).reshape(len(rows), -1)
    for key in ("class_weight", "pos_weight"):
        if options.get(key) is not None:
            options[key] = np.resize(options[key], classes).tolist()
    if name == "TwoWayLoss":
        marks = np.empty(rows.shape, object)
        for r in range(len(rows)):
            y, kept = row_labels(given[r], classes, label_format, ignore_label)
            marks[r, kept] = np.round(np.take(y, kept))
        total, slopes = two_way(rows, marks, outer, normalization, **options)
        return total, np.moveaxis(slopes.reshape(outer, inner, classes), 2, 1).reshape(scores.shape)
    if name not in ROWS:
        raise LookupError(f"tests/reference.py has no formula of {name}; add it to ROWS")
    total, valid, slopes = 0.0, 0, np.zeros_like(rows)
    for r in range(len(rows)):
        y, kept = row_labels(given[r], classes, label_format, ignore_label)
        if options.get("unannotated"):
            y, kept = [y[c] if c in kept else None for c in range(classes)], range(classes)
        if not kept:
            continue
        picked = {
            k: [v[c] for c in kept] if k in ("class_weight", "pos_weight") and v else v for k, v in options.items()
        }
        loss, slope = ROWS[name]([rows[r][c] for c in kept], [y[c] for c in kept], **picked)
        weight = 1.0 if weights is None else float(np.ravel(weights)[r])
        total += weight * loss
        slopes[r, kept] = weight * np.array(slope)
        valid += len(kept) if by_score else 1
    batch = scores.shape[0] if by_score else outer
    units = rows.size if by_score else len(rows)
    divisor = max(1, {"FULL": units, "VALID": valid, "BATCH_SIZE": batch, "NONE": 1}[normalization])
    gradient = np.moveaxis(slopes.reshape(outer, inner, classes), 2, 1).reshape(scores.shape)
    return total / divisor, gradient / divisor


def row_labels(given, classes, label_format, ignore_label):
    """A row's labels, one a class, and the classes that take part."""
    if label_format == "DENSE":
        kept = [c for c in range(classes) if ignore_label is None or given[c] != ignore_label]
        return given, kept
    y, ignored = [0.0] * classes, 0
    for label in given:
        if ignore_label is not None and label == ignore_label:
            ignored += 1
        elif label != -1:
            y[int(label)] += 1
    return y, ([] if ignored and not any(y) else list(range(classes)))
