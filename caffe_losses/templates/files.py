"""The files of a template."""

from ..net.prototxt import compact_text
from ..wiring import deploy
from .known import METRICS, TEMPLATES
from .solvers import solvers
from .training import ListFolder, train_val


def template(
    net, loss, *, data="lmdb", lists=None, label_format="DENSE", num_classes=None, batch=None, iter_size=None,
    images=None, test_images=None, epochs=90, warmup_epochs=5, metrics=METRICS
):  # fmt: skip
    """The four files of a template. What is None is the net's own default.

    Args:
        net: one of TEMPLATES.
        loss: one of LOSSES.
        data: one of DATA, which says where images and labels come from.
        lists: instead of data, the folder with classes.txt and the lists train and test of images. They are read, and
            tell num_classes, images and test_images.
        label_format: "DENSE" or "INDEX".
        num_classes: scores an image.
        batch: images at a time, `iter_size` times in an iteration.
        images: of the training set.
        test_images: of the test set.
        epochs: passes over the training set, of which `warmup_epochs` have a rising learning rate.
        metrics: names for MultiLabelMetrics, measured on the test images.

    Returns:
        {file name: text} of train_val.prototxt, deploy.prototxt, warmup_solver.prototxt and solver.prototxt.

    Raises:
        ValueError: a list is wrong, or the warm-up does not end before the first halving of the rate.
        OSError: a list cannot be read.
    """
    known, folder = TEMPLATES[net], ListFolder(lists) if lists else None
    if folder:
        num_classes, images, test_images = len(folder.classes), folder.count("train"), folder.count("test")
    num_classes, images, test_images = (
        num_classes or known.num_classes, images or known.images, test_images or known.tests
    )  # fmt: skip
    batch, iter_size = batch or known.batch, iter_size or known.iter_size
    training = train_val(
        net, loss, data=data, list_folder=folder, label_format=label_format, num_classes=num_classes, batch=batch,
        metrics=metrics, test_images=test_images
    )  # fmt: skip
    warmup, main = solvers(
        f"{net}_{loss}", rate=known.rate, batch=batch, iter_size=iter_size, images=images, test_images=test_images,
        epochs=epochs, warmup_epochs=warmup_epochs
    )  # fmt: skip
    inference = deploy(training, shapes={"data": [1, known.channels, known.size, known.size]}).net
    source, counts = f"--data {data}", f" --images {images} --test-images {test_images}"
    classes = f" --num-classes {num_classes}"
    if folder:
        source, counts, classes = f"--lists {lists}", "", ""
    command = (
        f"# caffe-losses template {net} --loss {loss} {source} --label-format {label_format}{classes} \\\n"
        f"#   --batch {batch} --iter-size {iter_size}{counts} "
        f"--epochs {epochs} --warmup-epochs {warmup_epochs} --metrics {' '.join(metrics)}\n"
    )
    return {
        "train_val.prototxt": command + compact_text(training),
        "deploy.prototxt": command + compact_text(inference),
        "warmup_solver.prototxt": command + warmup,
        "solver.prototxt": command + main,
    }
