"""Solvers with the recipe of Mahajan et al., 2018 (section 2.3), which is that of Goyal et al., 2017:

SGD with momentum 0.9 and weight decay 1e-4; a learning rate in proportion to the batch, reached by a
linear warm-up; then halved ten times, at equal steps.

Stock Caffe has no warm-up, but its lr_policy "inv", base_lr (1 + gamma iter)^-power, is linear with
power -1. So a first solver warms up, and the main one goes on from its snapshot, momentum and all.
"""

import math
from collections import namedtuple

HALVINGS = 10
Solvers = namedtuple("Solvers", "warmup main")  # texts of warmup_solver.prototxt and solver.prototxt


def solvers(name, *, rate, batch, iter_size, images, test_images, epochs, warmup_epochs):
    """The Solvers of a train_val.prototxt.

    Args:
        name: how the snapshots are called.
        rate: learning rate for each 256 images of a batch.
        batch: images of the net's batch, of which `iter_size` make one iteration's.
        images: of the training set.
        test_images: of the test set.
        epochs: passes over the training set, of which the first `warmup_epochs` have a rising learning rate.

    Raises:
        ValueError: the warm-up would not end before the first halving.
    """
    whole_batch = batch * iter_size
    base_lr = rate * whole_batch / 256
    start = min(rate, base_lr / 10)
    epoch = math.ceil(images / whole_batch)
    max_iter, warmup = epoch * epochs, epoch * warmup_epochs
    steps = [round(max_iter * k / (HALVINGS + 1)) for k in range(1, HALVINGS + 1)]
    if not 0 < warmup < steps[0]:
        raise ValueError(
            f"solver: a warm-up of {warmup_epochs} of {epochs} epochs; it has to take at least one, and to end "
            f"before the rate is first halved, at {epochs / (HALVINGS + 1):.3g}"
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
    first = f"""\
base_lr: {start:.9g}  # at iteration i, base_lr (1 + gamma i): {base_lr:.9g} after the last
lr_policy: "inv"
power: -1
gamma: {(base_lr / start - 1) / warmup:.9g}
max_iter: {warmup}
"""
    main = f"""\
base_lr: {base_lr:.9g}  # {rate:g} for each 256 images
lr_policy: "multistep"
gamma: 0.5
{chr(10).join(f"stepvalue: {step}" for step in steps)}
max_iter: {max_iter}
test_iter: {math.ceil(test_images / batch)}
test_interval: {epoch}
test_initialization: false
snapshot: {epoch}
"""
    warm_up = "# Warm-up. Then: caffe train --solver solver.prototxt"
    after = "# After the warm-up: caffe train --solver solver.prototxt"
    resumed = f" --snapshot {name}_iter_{warmup}.solverstate\n"
    return Solvers(warmup=warm_up + resumed + same + first, main=after + resumed + same + main)
