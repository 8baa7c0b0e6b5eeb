"""Arguments that several commands take, and what they are converted to."""

import argparse
import json
from itertools import chain

from ..evaluation import CROPS, views
from ..files import Outputs, check_regular
from ..net import prototxt
from ..net.contents import named_files
from ..net.view import NO_STAGES
from ..parallel import devices


class Parser(argparse.ArgumentParser):
    """Raises a ValueError of one line where argparse would print the usage, and exit."""

    def error(self, message):
        raise ValueError(message[len("argument ") :] if message.startswith("argument ") else message)


# Types


def input_file(text):
    """The name of a file to read. What is no file is told before it is opened."""
    try:
        check_regular(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def positive(text):
    """A whole number >= 1."""
    return whole(text, "a number >= 1")


def device_number(text):
    """A whole number >= 0."""
    return int(text) if text.isdecimal() else refuse("a device number such as 0", text)


def size(text):
    """(height, width) from "256,256"."""
    numbers = tuple(whole(word, "H,W", text) for word in text.split(","))
    return numbers if len(numbers) == 2 else refuse("H,W", text)


def shape(text):
    """("data", [1, 3, 224, 224]) from "data=1,3,224,224"; without a name, the first is None."""
    top, _, numbers = text.rpartition("=")
    return top or None, [whole(word, "[TOP=]N,C,H,W", text) for word in numbers.split(",")]


def key_value(text):
    """("gamma", 2) from "gamma=2", ("label_scale", "SUM") from "label_scale=SUM": a value is JSON, or a string."""
    key, equals, value = text.partition("=")
    if not equals:
        refuse("KEY=VALUE, each key once", text)
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def whole(word, expected, text=None):
    try:
        number = int(word)
    except ValueError:
        number = 0
    return number if number >= 1 else refuse(expected, text or word)


def refuse(expected, text):
    raise argparse.ArgumentTypeError(f"expected {expected}, got {text}")


# The argument of the commands that compute on one device


def add_gpu(parser):
    parser.add_argument("--gpu", metavar="N", type=device_number, help="compute on the GPU of this number (the CPU)")


def use_gpu(options):
    """Have Caffe compute on the GPU of --gpu. ValueError if this Caffe, or this machine, has none of that number."""
    if options.gpu is not None:
        devices.check_built_for_gpus(f"--gpu {options.gpu}")
        devices.use(options.gpu)


# Arguments of the commands that write files


def add_force(parser):
    parser.add_argument("--force", action="store_true", help="write over files that are there")


def outputs(options, paths, net=None, texts=(), more=()):
    """The Outputs of a command: it writes over none of the files that its other arguments, its net or `more` name."""
    written = "output", "output_weights", "tune_thresholds", "json", "png"
    values = [value for name, value in vars(options).items() if name not in written]
    words = chain.from_iterable(value if isinstance(value, (list, tuple)) else [value] for value in values)
    inputs = [word for word in words if isinstance(word, str)]
    inputs += [*more, *(path for layer in (net.layer if net else ()) for path in named_files(layer))]
    return Outputs(paths, inputs=inputs, force=options.force, texts=texts)


# Arguments of the commands that rewrite a net


def add_rewriting(parser):
    """What goes in and out."""
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="prototxt to write")
    add_force(parser)
    parser.add_argument("--check", action="store_true", help="load the result in Caffe, and run it once")
    parser.add_argument(
        "--shape",
        metavar="[TOP=]N,C,H,W",
        type=shape,
        action="append",
        default=[],
        help="of data that does not tell its shape, as crop_size does; may be repeated",
    )
    add_stages(parser)


def add_stages(parser):
    parser.add_argument(
        "--stage",
        metavar="STAGE",
        nargs="+",
        action="append",
        help="the stages that the solver names: one for both phases, or that of TRAIN and that of TEST; several of a "
        "phase are joined by commas",
    )


def add_head(parser):
    """Which scores are wanted, and the stages that tell which layers there are."""
    parser.add_argument(
        "--head",
        metavar="NAME",
        help="the loss, also of TRAIN alone, or the Accuracy or MultiLabelMetrics of TEST, whose scores are wanted "
        "(the loss of TEST with the largest loss_weight or, if it has none, what is measured there)",
    )
    add_stages(parser)


def stages_of(options):
    """(stages in TRAIN, stages in TEST) of the arguments."""
    words = [word for group in options.stage or [] for word in group]
    if len(words) > 2:
        raise ValueError(f"--stage: expected one or two, for TRAIN and TEST, got {len(words)}; join stages by commas")
    return tuple(word.split(",") for word in (words[0], words[-1])) if words else NO_STAGES


def finish(file, rewritten, options, check, more=None):
    """Print what was changed; check the net if asked to, before anything is written.

    check  takes the net, and returns lines; ValueError if it is no good
    more   {path: content} of other files to write
    """
    more = more or {}
    output = outputs(options, [options.output, *more], file.net)
    print("\n".join(["upgraded from the format of an older Caffe"] * file.upgraded + rewritten.lines))
    if options.check:
        print("\n".join(check(rewritten.net)))
    output.write([prototxt.text(rewritten.net), *more.values()])
    return 0


# Arguments of the commands that run a trained net


def add_trained_net(parser):
    parser.add_argument(
        "--model",
        metavar="NET",
        type=input_file,
        required=True,
        help="prototxt of the train_val, or of a deploy net whose JSON is beside it",
    )
    parser.add_argument(
        "--weights", metavar="W", type=input_file, required=True, help="its .caffemodel or .caffemodel.h5"
    )
    parser.add_argument(
        "--classes", metavar="FILE", type=input_file, help="one class name a line (the data layer's, or numbers)"
    )
    add_head(parser)


def add_views(parser):
    """In which views each image is shown to the net; `views_of` reads them."""
    parser.add_argument(
        "--crops",
        metavar="N",
        type=int,
        choices=list(CROPS),
        default=1,
        help="average the probabilities of N crops: 1, the middle, or 5, with the four corners (1)",
    )
    parser.add_argument("--mirror", action="store_true", help="and of each crop mirrored, too")


def views_of(options):
    return views(options.crops, options.mirror)
