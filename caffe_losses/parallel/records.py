"""The record beside each snapshot: from records a training goes on, and its best weights are chosen.

    PREFIX_iter_960.json   {"iteration": 960, "type": "SGD", "images": [960], "seed": 1, "classes": ["ab12..."],
                            "keep": 2, "tests": {"mAP": 0.41, "loss": 0.3}}

Caffe tests after it has written the snapshot of an iteration. So a record is written twice: without its tests, and with
them. A record is never there without its snapshot: it is written last, and deleted first.
"""

import hashlib
import json
import os
import re

from .. import files
from ..data import lists
from ..net.kinds import image_options

ENDING = re.compile(r"_iter_(\d+)\.json$")


def path_of(prefix, iteration):
    return f"{prefix}_iter_{iteration}.json"


def write(prefix, record):
    """Write the record of a snapshot: whole, or not at all."""
    path = path_of(prefix, record["iteration"])
    files.Outputs([path], force=True).write([json.dumps(record, sort_keys=True) + "\n"])


def remove(prefix, iteration):
    path = path_of(prefix, iteration)
    if os.path.exists(path):
        os.remove(path)


def read_all(prefix):
    """{iteration: record} of the snapshots of a prefix that are there; files that are no records are left out."""
    folder, name = os.path.split(prefix)
    there, records = set(os.listdir(folder or ".")), {}
    for file in there:
        match = ENDING.search(file)
        if match and file[: match.start()] == name:
            record = read(os.path.join(folder, file))
            states = [f"{name}_iter_{match.group(1)}.solverstate{end}" for end in ("", ".h5")]
            if record and there.intersection(states):
                records[int(match.group(1))] = record
    return records


def read(path):
    """The record in a file; None if it is none, as one that somebody cut or wrote over."""
    try:
        record = json.loads(files.read(path).decode())
    except (OSError, ValueError):
        return None
    is_one = isinstance(record, dict) and isinstance(record.get("tests", {}), dict)
    return record if is_one and isinstance(record.get("iteration"), int) else None


def best(tests, metric):
    """The iteration with the best value of a metric; the last, of equals and without a metric.

    tests  {iteration: {metric: value}}, which may be empty for some
    """
    sign = -1 if metric and less_is_better(metric) else 1

    def key(iteration):
        value = tests[iteration].get(metric)
        known = isinstance(value, float) and value == value
        return known, sign * value if known else 0, iteration

    return max(tests, key=key)


def less_is_better(output):
    """Whether the name of a metric tells that less is better, as of ranking_loss."""
    return "loss" in output.lower()


def class_digests(layers):
    """What tells whether class names are the same, and in the same order: a text for each list that has names."""
    named = [(image_options(layer) or {}).get("classes") for layer in layers]
    texts = ["\n".join(lists.read_classes(path)) for path in dict.fromkeys(named) if isinstance(path, str)]
    return [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
