"""Tries whether a net trains: Caffe's own solver makes it and trains it for an iteration, in a process of its own."""

from ..net import iteration, prototxt, trial
from ..net.conditions import check_labels
from ..net.kinds import LEARNED, is_loss
from ..net.view import NO_STAGES, PHASES, View, stages_hint, views
from .stand_in import label_limits, sizes_of, smaller, with_stand_ins

SECONDS = 10  # of an iteration with whole batches
NETS = {"net": "net_param", "train_net": "train_net_param"}


def check(net, shapes=None, stages=NO_STAGES, weights=()):
    """Train the net for an iteration, with a test before and after it, as a solver of Caffe's does by default.

    Input layers take the place of data layers whose sources do not exist. Other data layers read their sources. The
    net runs on two images, if its layers allow that.

    Args:
        net: NetParameter.
        shapes: {top: shape} of data whose layer does not tell it; the key None is for any top.
        stages: the stages that the solver adds in TRAIN, and those in TEST.
        weights: .caffemodel files to start from.

    Returns:
        Lines of what was done, and what to expect.

    Raises:
        ValueError: with the reason, if the net would not train.
    """
    phases = views(net.layer, net.state, stages)
    check_names(shapes or {}, phases.values())
    lines = [not_there(net, phase, more) for phase, more in zip(PHASES, stages) if phase not in phases]
    for view in phases.values():
        check_labels(view)
    whole, missing = with_stand_ins(net, phases, shapes or {})
    stood_in = {phase: f" with Input layers for data, as {path} does not exist" for phase, path in missing.items()}
    solver = default_solver(whole, stages, "TEST" in phases)
    of_inputs = views(whole.layer, whole.state, stages)
    labels = {phase: label_limits(view) for phase, view in of_inputs.items()}
    try:
        result = try_out(solver, labels=labels, weights=weights, seconds=0 if missing else SECONDS)
    except (trial.Failure, iteration.WeightsRefused) as failure:
        if not missing:
            raise
        what = "random numbers" if getattr(failure, "loaded", 0) else "of a shape that --shape may tell"
        path = next(iter(missing.values()))
        raise ValueError(f"{failure} (data are {what}, as {path} does not exist)") from None
    done = {"TRAIN": "forward and backward", "TEST": "forward"}
    lines += [f"check: {phase} loads{stood_in.get(phase, '')}, and runs {done[phase]}" for phase in phases]
    if net.state.level:
        lines.append(f"check: give `caffe train` --level {net.state.level}: it takes 0, whatever the net says")
    return lines + untrained(result) + odd(result, is_to_learn(phases["TRAIN"]))


def not_there(net, phase, stages):
    """What to say of a phase that is not whole. ValueError if the net was made for it, or does not train without it."""
    view = View(net.layer, net.state, phase, stages)
    reason, hint = view.missing() or "it has no layer", stages_hint(net.layer, view)
    if phase == "TRAIN" or (not hint and any(not layer.bottom for layer in view.layers)):
        raise ValueError(f"check: the net does not train: in {phase}, {reason}{hint}")
    return f"check: TEST is not looked at, as {reason}{hint}; a solver with test_iter would fail"


def default_solver(net, stages, tests):
    """The SolverParameter of an iteration; a rate of 0, as it is the user's to choose."""
    from caffe.proto import caffe_pb2

    solver = caffe_pb2.SolverParameter(net_param=net, base_lr=0, lr_policy="fixed", max_iter=1, random_seed=1)
    solver.train_state.stage.extend(stages[0])
    if tests:
        solver.test_iter.append(1)
        solver.test_interval = 1
        solver.test_state.add().stage.extend(stages[1])
    return solver


def check_solver(param, **setting):
    """Train as a solver does for an iteration, on the CPU or a GPU.

    Args:
        param: SolverParameter.
        setting: of `iteration.run`.

    Returns:
        Lines of what is odd.

    Raises:
        ValueError: with the reason, if the training would fail.
    """
    solver = type(param)()
    solver.CopyFrom(param)
    for field, inside in NETS.items():
        if solver.HasField(field):
            getattr(solver, inside).CopyFrom(prototxt.parse(getattr(solver, field)))
            solver.ClearField(field)
    solver.test_net_param.extend(map(prototxt.parse, solver.test_net))
    for field in ("test_net", "weights", "iter_size"):
        solver.ClearField(field)
    solver.test_iter[:] = [1] * len(solver.test_iter)
    return odd(try_out(solver, **setting), True)


def try_out(solver, **setting):
    """Run a small one of a solver, and make all of it. What `iteration.run` returns."""
    small = shrunk(solver)
    if small is None:
        return iteration.run([solver], **setting)
    try:
        return iteration.run([small, solver], **setting)
    except trial.Failure as failure:
        if iteration.RAN in failure.output:
            raise
        try:
            return iteration.run([solver], **setting)  # some layers hold for one size of batch only
        except trial.Failure as of_all:
            if of_all.killed:  # by what wants its memory
                raise failure from None
            raise


def shrunk(solver):
    """A copy of a solver whose nets have small batches. None if it is not known how, or they are so already."""
    small = type(solver)()
    small.CopyFrom(solver)
    nets = [getattr(small, field) for field in NETS.values() if small.HasField(field)] + list(small.test_net_param)
    smaller_nets = [smaller(net) for net in nets]
    if None in smaller_nets:
        return None
    for net, less in zip(nets, smaller_nets):
        net.CopyFrom(less)
    return None if small == solver else small


def untrained(result):
    """What the first test of a training gives, if the statistics of BatchNorm are to blame."""
    if not result["first"] or result["test"] or not result["untrained"]:
        return []
    return [
        f"check: the first test of a training gives nan or inf, as the statistics of {result['untrained']} BatchNorm "
        "layers are 0 before the first iteration; after it, TEST gives numbers"
    ]


def odd(result, learns):
    """What a training would not fail for, but is worth to be looked at.

    learns  whether the net has what is to learn
    """
    lines = []
    if result["train"]:
        lines.append("check: TRAIN gives nan or inf: look at the data, their scale, and the layers below the loss")
    elif result["test"]:
        lines.append(
            "check: TEST gives nan or inf also after an iteration, and TRAIN does not: look at what TEST has of its own"
            + " (or the statistics of BatchNorm are of too few images here)" * bool(result["untrained"])
        )
    if learns and not result["learns"]:
        lines.append("check: TRAIN learns nothing: no gradient reaches any weights; see loss_weight and lr_mult")
    return lines


def check_inference(net):
    """Load a net in TEST, and run it forward. Returns a line. ValueError, with the reason, if it does not."""
    trial.forward(net, {})
    return ["check: TEST loads, and runs forward"]


def cost(net):
    """{"parameters": how many numbers a net learns, "seconds": what a forward and backward take for each image}.

    Failure if it does not load or run. ValueError if data that are not there do not tell their shape.
    """
    phases = {"TRAIN": views(net.layer, net.state)["TRAIN"]}
    whole, _ = with_stand_ins(net, phases, {})
    small = smaller(whole) or whole
    view = View(small.layer, small.state, "TRAIN")
    images = next(size for layer in view.layers if not layer.bottom for size in sizes_of(layer))
    found = trial.measure(small, label_limits(view))
    return dict(found, seconds=found["seconds"] / images)


def check_names(shapes, phases):
    """ValueError for a shape of what no data layer makes."""
    tops = dict.fromkeys(top for view in phases for layer in view.layers if not layer.bottom for top in layer.top)
    for name in shapes:
        if name is not None and name not in tops:
            raise ValueError(f"--shape: expected a top of a data layer, {', '.join(tops)}, got {name}")


def is_to_learn(view):
    return any(map(is_loss, view.layers)) and any(layer.type in LEARNED for layer in view.layers)
