"""What a template is, in a few lines: size, parameters, iterations, time."""

import os

from ..net import prototxt
from ..net.sources import batch_size
from ..wiring import cost

UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60))


def summary(folder):
    """Lines about the train_val.prototxt and solver.prototxt in a folder. The net is run for a second."""
    net = prototxt.parse(os.path.join(folder, "train_val.prototxt"))
    deploy = prototxt.parse(os.path.join(folder, "deploy.prototxt"))
    solver = prototxt.read_solver(os.path.join(folder, "solver.prototxt"))
    scores = next(layer for layer in net.layer if layer.name == "scores").inner_product_param.num_output
    size = " x ".join(map(str, deploy.layer[0].input_param.shape[0].dim[1:]))
    lines = [f"{net.name}: images of {size}, {scores} classes, {solver.max_iter} iterations"]
    try:
        found = cost(net)
    except ValueError as error:
        return [*lines, f"its time is not known: {error}"]
    batch = batch_size(next(layer for layer in net.layer if not layer.bottom)) * solver.iter_size
    seconds = found["seconds"] * batch
    return [
        f"{lines[0]} of {batch} images, {found['parameters']:,} parameters",
        f"an iteration takes about {duration(seconds)} on this CPU, all of them {duration(seconds * solver.max_iter)}, "
        "without tests and images",
    ]


def duration(seconds):
    """As "2.3 hours"."""
    unit, name = next(((unit, name) for name, unit in UNITS if seconds >= unit), (1, "seconds"))
    number = seconds / unit
    return f"{number:.0f} {name}" if number >= 10 else f"{number:.2g} {name}"
