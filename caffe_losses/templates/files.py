"""The files of a template."""

from ..net.prototxt import compact_text
from ..wiring import deploy
from .known import METRICS, TEMPLATES
from .solvers import solvers
from .training import ListFolder, train_val


def template(
    net, loss, *, data=None, lists=None, label_format="DENSE", num_classes=None, batch=None, iter_size=None,
    images=None, test_images=None, epochs=90, warmup_epochs=None, base_lr=None, seed=None, metrics=METRICS,
    size=None, color=None, mean=None, scale=None, mirror=None, resample=False, augment="none", snapshot_keep=None
):  # fmt: skip
    """The files of a template. What is None is the net's own default.

    Args:
        net: one of TEMPLATES.
        loss: one of LOSSES.
        data: one of DATA, which says where images and labels come from. None: lmdb, if there are no `lists`.
        lists: instead of data, the folder with classes.txt and the lists train and validation of images, or test if
            that has no list validation. They are read, and tell num_classes, images and test_images.
        label_format: "DENSE" or "INDEX".
        num_classes: scores an image.
        batch: images at a time, `iter_size` times in an iteration.
        images: of the training set.
        test_images: of the test set.
        epochs: passes over the training set, of which `warmup_epochs` have a rising learning rate. Fractions will do.
        base_lr: the learning rate that the warm-up ends with.
        seed: of the weights, and of the order and the changes of the images.
        metrics: names for MultiLabelMetrics, measured on the test images.
        size: (height, width) of the images that the net takes.
        color: "COLOR" or "GRAY".
        mean: what is subtracted from the values of a pixel: one number, or three, blue first.
        scale: what they are then multiplied by.
        mirror: whether half of the images are mirrored in training.
        resample: square-root resampling, in training.
        augment: a level of `caffe_losses.data.augment.LEVELS`.
        snapshot_keep: how many snapshots `caffe-losses train` shall keep. It is in the comment that tells the command.

    Returns:
        {file name: text} of train_val.prototxt, deploy.prototxt, solver.prototxt and, if there is a warm-up,
        warmup_solver.prototxt.

    Raises:
        ValueError: a list is wrong, options do not go together, or the warm-up does not end before the first halving
            of the rate.
        OSError: a list cannot be read.
    """
    given = {name: value for name, value in locals().items() if name not in ("net", "loss")}
    check_together(given)
    known, folder = adapted(TEMPLATES[net], size, color, mean, scale), ListFolder(lists) if lists else None
    if folder:
        num_classes, images, test_images = len(folder.classes), folder.count("train"), folder.count(folder.tests())
    num_classes, images, test_images = (
        num_classes or known.num_classes, images or known.images, test_images or known.tests
    )  # fmt: skip
    batch, iter_size = batch or known.batch, iter_size or known.iter_size
    changes = {"mirror": known.channels == 3 if mirror is None else mirror, "resample": resample, "augment": augment}
    training = train_val(
        net, loss, known, data=data or "lmdb", list_folder=folder, label_format=label_format, num_classes=num_classes,
        batch=batch, metrics=metrics, test_images=test_images, changes=changes, seed=seed
    )  # fmt: skip
    warmup, main = solvers(
        f"{net}_{loss}", rate=known.rate, batch=batch, iter_size=iter_size, images=images, test_images=test_images,
        epochs=epochs, clip=known.clip, warmup_epochs=warmup_epochs, base_lr=base_lr, seed=seed
    )  # fmt: skip
    inference = deploy(training, shapes={"data": [1, known.channels, *known.size]}).net
    told = {"label_format": label_format, "batch": batch, "iter_size": iter_size, "epochs": epochs}
    if not folder:
        told.update(data=data or "lmdb", num_classes=num_classes, images=images, test_images=test_images)
    command = comment(net, loss, dict(given, **told))
    files = {
        "train_val.prototxt": compact_text(training),
        "deploy.prototxt": compact_text(inference),
        "warmup_solver.prototxt": warmup,
        "solver.prototxt": main,
    }
    return {name: command + text for name, text in files.items() if text}


def check_together(given):
    """Refuse options that others override."""
    lists, data = given["lists"], given["data"]
    if lists:
        overridden = [name for name in ("data", "num_classes", "images", "test_images") if given[name] is not None]
        why = "--lists tells it"
    else:
        only = {"resample": False, "augment": "none"}
        overridden, why = [name for name, none in only.items() if given[name] != none], "it needs --lists"
        ready = [name for name in ("mean", "scale", "mirror") if given[name] is not None]
        if data == "hdf5" and ready:
            overridden, why = overridden + ready, "--data hdf5 has numbers that are ready for the net"
        if data != "hdf5" and given["size"] and given["size"][0] != given["size"][1]:
            overridden, why = [*overridden, "size"], "the crop of Caffe's Data layer is square, and lists take any"
    if overridden:
        raise ValueError(f"--{overridden[0].replace('_', '-')}: {why}; leave it out")


def adapted(known, size, color, mean, scale):
    """The Template with images of another size or color, or with other values."""
    channels = {None: known.channels, "COLOR": 3, "GRAY": 1}[color]
    transform = dict(known.transform)
    if mean is not None:
        transform["mean_value"] = list(mean)
    elif channels == 1 and len(transform.get("mean_value", ())) == 3:
        transform["mean_value"] = [round(sum(transform["mean_value"]) / 3, 2)]
    if len(transform.get("mean_value", [0])) not in (1, channels):
        raise ValueError(f"--mean: expected 1 or {channels} numbers, got {len(mean)}; give one for each channel")
    if scale is not None:
        transform["scale"] = scale
    size = size or known.size
    resize = tuple(round(side * before / after) for side, before, after in zip(size, known.resize, known.size))
    return known._replace(channels=channels, size=size, resize=resize, transform=transform)


FIRST = "lists", "data", "label_format", "num_classes", "batch", "iter_size", "images", "test_images", "epochs"


def comment(net, loss, told):
    """The command that makes a template, as comment lines."""
    words = [f"caffe-losses template {net} --loss {loss}"]
    order = sorted(told, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name == "metrics"))
    words += [option(name, told[name]) for name in order if told[name] not in (None, False, "none")]
    if told["mirror"] is False:
        words.append("--no-mirror")
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 95:
            lines.append("  ")
        lines[-1] += " " + word
    return "#" + " \\\n#".join(lines) + "\n"


def option(name, value):
    """A name and its value as words of the command."""
    if value is True:
        return "--" + name.replace("_", "-")
    if name in ("size", "mean"):
        value = ",".join(f"{number:g}" for number in value)
    elif name == "metrics":
        value = " ".join(value)
    elif isinstance(value, float):
        value = f"{value:g}"
    return f"--{name.replace('_', '-')} {value}"
