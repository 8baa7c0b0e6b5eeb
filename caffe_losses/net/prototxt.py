"""Nets and solvers in the text format: read, upgraded, written, loaded. No other code here knows that format."""

import os
import re
import subprocess
import tempfile
from collections import namedtuple
from contextlib import contextmanager

from ..host import program
from . import source_text
from .reasons import reason

NetFile = namedtuple("NetFile", "net upgraded")  # a NetParameter; whether it was in the format of an older Caffe
UNKNOWN_FIELD = re.compile(r'Message type "(?:caffe\.)?(\w+)" has no field named "(\w+)"')


def read(path):
    """The net in a file, as today's Caffe would read it.

    Returns:
        NetFile(net, upgraded): a NetParameter, and whether it was upgraded from the format of an older Caffe.

    Raises:
        ValueError: the file is no net, or it is old and Caffe's upgrade_net_proto_text is not there or fails.
        OSError: the file cannot be read.
    """
    return upgraded(path, parse(path))


def read_foreign(path):
    """The net in a file, of whose layers only another Caffe may know some fields; these are left out.

    Returns:
        (NetFile, {layer: {field: its text}}): what `read` gives, and the fields that are left out, with the message
        that each is of before it: "ImageDataParameter label_dim".
    """
    from caffe.proto import caffe_pb2

    fields, by_layer = [], {}
    net = parsed(path, source_text.read_text(path), caffe_pb2.NetParameter(), "a net", fields)
    for number, name, value in fields:
        by_layer.setdefault((net.layer or net.layers)[number].name, {})[name] = value
    return upgraded(path, net), by_layer


def upgraded(path, net):
    """The NetFile of a net that was read from `path`."""
    if not (net.layers or net.input):
        return NetFile(net, False)
    with tempfile.TemporaryDirectory() as folder:
        old, new = os.path.join(folder, "old.prototxt"), os.path.join(folder, "new.prototxt")
        write(net, old)
        upgrade(path, old, new)
        return NetFile(parse(new), True)


def parse(path):
    """The net in a file, in whatever format it is. ValueError if it is no net."""
    from caffe.proto import caffe_pb2

    return parsed(path, source_text.read_text(path), caffe_pb2.NetParameter(), "a net")


def read_solver(path):
    """The SolverParameter in a file. ValueError if it is no solver."""
    from caffe.proto import caffe_pb2

    return parsed(path, source_text.read_text(path), caffe_pb2.SolverParameter(), "a solver")


def parsed(path, text, message, what, foreign=None):
    """The message that the text of a file has, put into `message`.

    foreign  a list, to which (number of the layer, field, text) is added for each field that is not known and is
             left out; None: they are refused
    """
    from google.protobuf import text_format

    while True:
        message.Clear()
        try:
            return text_format.Parse(text, message)
        except text_format.ParseError as error:
            unknown = UNKNOWN_FIELD.search(str(error))
            number = None
            if unknown and foreign is not None:
                text, number, value = source_text.without_field(text, error.GetLine(), error.GetColumn())
            if number is None:
                raise ValueError(f"{path} is not {what}: {' '.join(str(error).split())}{hint(unknown)}") from None
            foreign.append((number, f"{unknown.group(1)} {unknown.group(2)}", value))


def hint(unknown):
    return f" If it is a field of another Caffe, take {unknown.group(2)} out." if unknown else ""


def upgrade(path, old, new):
    """Have Caffe's own program rewrite a net, of `path`; it is installed next to the interpreter."""
    name = "upgrade_net_proto_text"
    try:
        upgrader = program(name)
    except OSError:
        raise ValueError(
            f"{path} is in the format of an older Caffe, and {name} is not found; put it on PATH"
        ) from None
    process = subprocess.run([upgrader, old, new], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if process.returncode or not os.path.exists(new):
        raise ValueError(f"{path}: {name} failed: {reason(process)}")


def text(message):
    """A net or solver as text."""
    from google.protobuf import text_format

    return text_format.MessageToString(message)


def compact_text(net):
    """A net as text: of each layer, name, type and blobs on one line, then a line for each kind of parameter."""
    from google.protobuf import text_format

    lines = [f'name: "{net.name}"']
    for layer in net.layer:
        first, kinds = type(layer)(), {}
        for field, value in layer.ListFields():
            if field.message_type is None:
                first.MergeFrom(type(layer)(**{field.name: value}))
            else:
                kinds[field.name] = type(layer)(**{field.name: value})
        parts = [text_format.MessageToString(part, as_one_line=True).strip() for part in [first, *kinds.values()]]
        lines.append("layer { " + "\n  ".join(parts) + " }")
    return "\n".join(lines) + "\n"


def write(message, path):
    """Write a net or solver."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text(message))


@contextmanager
def temporary(message):
    """The path of a file with a net or solver, as long as the block lasts; for Caffe, which loads only files."""
    handle, path = tempfile.mkstemp(suffix=".prototxt")
    os.close(handle)
    try:
        write(message, path)
        yield path
    finally:
        os.remove(path)


def quiet():
    """Have Caffe print errors alone. To be called before anything imports it; what the user has set counts."""
    os.environ.setdefault("GLOG_minloglevel", "2")


def load(net, phase):
    """The caffe.Net of a NetParameter in the phase "TRAIN" or "TEST". Caffe ends the process if it cannot load it."""
    import caffe

    with temporary(net) as path:
        return caffe.Net(path, getattr(caffe, phase))
