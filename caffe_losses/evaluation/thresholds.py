"""From which probability on an image has a label: a file with a number for each class.

{"sea": 0.35, "dog": 0.5}

It is JSON, to be read and edited by people. Classes are known by their names, so that their order does not matter.
"""

import json

from .. import files
from ..options import distinct, shortened


def read(path, names):
    """The thresholds in a file, a list in the order of the classes.

    names  of the classes; each has to be in the file, and no other

    ValueError for what is no such file. OSError for a file that cannot be read.
    """
    try:
        thresholds = json.loads(files.read(path).decode("utf-8"), object_pairs_hook=distinct)
    except ValueError:
        thresholds = None
    if not isinstance(thresholds, dict):
        raise ValueError(f'{path} is no file of thresholds; expected JSON such as {{"sea": 0.35, "dog": 0.5}}')
    absent, unknown = [n for n in names if n not in thresholds], [n for n in thresholds if n not in names]
    if absent or unknown:
        text = f"has none for {shortened(absent)}" if absent else f"names {shortened(unknown)}, which are no classes"
        raise ValueError(f"{path} {text}; give one threshold for each of the {len(names)} classes")
    for name, threshold in thresholds.items():
        is_number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
        if not (is_number and 0 <= threshold <= 1):
            raise ValueError(f"{path}: expected a probability for {name}, got {json.dumps(threshold)}")
    return [float(thresholds[name]) for name in names]
