"""Solvers with the recipe of Mahajan et al., 2018 (section 2.3), which is that of Goyal et al., 2017:

SGD with momentum 0.9 and weight decay 1e-4; a learning rate in proportion to the batch, reached by a
linear warm-up; then halved ten times, at equal steps.

Stock Caffe has no warm-up, but its lr_policy "inv", base_lr (1 + gamma iter)^-power, is linear with
power -1. So a first solver warms up, and the main one goes on from its snapshot, momentum and all.
"""

import math
from collections import namedtuple

HALVINGS = 10
Solvers = namedtuple("Solvers", "warmup main")  # texts of warmup_solver.prototxt, or None, and solver.prototxt


def solvers(
    name, *, rate, batch, iter_size, images, test_images, epochs, clip=None, warmup_epochs=None, base_lr=None, seed=None
):
    """The Solvers of a train_val.prototxt.

    Args:
        name: how the snapshots are called.
        rate: learning rate for each 256 images of a batch.
        batch: images of the net's batch, of which `iter_size` make one iteration's.
        images: of the training set.
        test_images: of the test set.
        epochs: passes over the training set, of which the first `warmup_epochs` have a rising learning rate. None:
            5, or half of what there is before the first halving.
        clip: the largest norm of a batch's gradient, or None.
        base_lr: instead of what `rate` makes.
        seed: random_seed, or None.

    Returns:
        The Solvers; `warmup` is None if there is no warm-up.

    Raises:
        ValueError: the warm-up would not end before the first halving.
    """
    whole_batch = batch * iter_size
    said = f"{rate:g} for each 256 images" if base_lr is None else "as --base-lr says"
    base_lr = rate * whole_batch / 256 if base_lr is None else base_lr
    start = min(base_lr * 256 / whole_batch, base_lr / 10)
    epoch = math.ceil(images / whole_batch)
    tests = math.ceil(epochs)
    interval = math.ceil(epoch * epochs / tests)  # an epoch; less if there is a part of one, so that the end is tested
    max_iter = interval * tests
    steps = sorted({max(1, round(max_iter * k / (HALVINGS + 1))) for k in range(1, HALVINGS + 1)} - {max_iter})
    before = steps[0] if steps else max_iter
    usual = 5 * epoch if 5 * epoch < before else before // 2
    warmup = usual if warmup_epochs is None else math.ceil(epoch * warmup_epochs)
    if warmup and warmup >= before:
        raise ValueError(
            f"solver: a warm-up of {warmup_epochs:g} of {epochs:g} epochs; it has to end before the rate is first "
            f"halved, at {epochs / (HALVINGS + 1):.3g}; leave --warmup-epochs out for one that fits"
        )
    same = f"""\
net: "train_val.prototxt"
snapshot_prefix: "{name}"
type: "SGD"
momentum: 0.9
weight_decay: 0.0001
iter_size: {iter_size}  # times {batch} images: {whole_batch} an iteration
display: 20
average_loss: 20
solver_mode: CPU  # caffe train --gpu 0 overrides it
"""
    if clip is not None:
        same += f"clip_gradients: {clip * iter_size:g}  # the largest norm of the sum over iter_size batches\n"
    if seed is not None:
        same += f"random_seed: {seed}\n"
    first = (
        warmup
        and f"""\
base_lr: {start:.9g}  # at iteration i, base_lr (1 + gamma i): {base_lr:.9g} after the last
lr_policy: "inv"
power: -1
gamma: {(base_lr / start - 1) / warmup:.9g}
max_iter: {warmup}
"""
    )
    main = f"""\
base_lr: {base_lr:.9g}  # {said}
lr_policy: "multistep"
gamma: 0.5
{"".join(f"stepvalue: {step}{chr(10)}" for step in steps)}max_iter: {max_iter}
test_iter: {math.ceil(test_images / batch)}
test_interval: {interval}
test_initialization: false
snapshot: {interval}
"""
    if not warmup:
        return Solvers(warmup=None, main="# caffe train --solver solver.prototxt\n" + same + main)
    warm_up = "# Warm-up. Then: caffe train --solver solver.prototxt"
    after = "# After the warm-up: caffe train --solver solver.prototxt"
    resumed = f" --snapshot {name}_iter_{warmup}.solverstate\n"
    return Solvers(warmup=warm_up + resumed + same + first, main=after + resumed + same + main)
