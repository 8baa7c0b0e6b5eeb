"""What a template is, in a few lines: size, parameters, iterations, time."""

from ..net import prototxt, trial
from ..net.sources import batch_size
from ..wiring import cost

UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60))


def summary(files):
    """Lines about the files that `template` gives. The net is run, for the time. Failure if Caffe does not load it."""
    from caffe.proto import caffe_pb2

    net, deploy = (parsed(files, name, caffe_pb2.NetParameter) for name in ("train_val.prototxt", "deploy.prototxt"))
    solver = parsed(files, "solver.prototxt", caffe_pb2.SolverParameter)
    scores = next(layer for layer in net.layer if layer.name == "scores").inner_product_param.num_output
    size = " x ".join(map(str, deploy.layer[0].input_param.shape[0].dim[1:]))
    lines = [f"{net.name}: images of {size}, {scores} classes, {solver.max_iter} iterations"]
    try:
        found = cost(net)
    except trial.Failure as failure:
        if not failure.loaded:
            raise
        return [*lines, f"its time is not known: {failure}"]
    except ValueError as error:  # the shape of the data is not known
        return [*lines, f"its time is not known: {error}"]
    batch = batch_size(next(layer for layer in net.layer if not layer.bottom)) * solver.iter_size
    seconds = found["seconds"] * batch
    return [
        f"{lines[0]} of {batch} images, {found['parameters']:,} parameters",
        f"an iteration takes about {duration(seconds)} on this CPU, all of them {duration(seconds * solver.max_iter)}, "
        "without tests and images",
    ]


def parsed(files, name, kind):
    return prototxt.parsed(name, files[name], kind(), name)


def duration(seconds):
    """As "2.3 hours"."""
    unit, name = next(((unit, name) for name, unit in UNITS if seconds >= unit), (1, "seconds"))
    number = seconds / unit
    return f"{number:.0f} {name}" if number >= 10 else f"{number:.2g} {name}"
