"""Nets and solvers in the text format: read, upgraded, written, loaded. No other code here knows that format."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import namedtuple
from contextlib import contextmanager

from ..extras import remedy
from ..host import program

NetFile = namedtuple("NetFile", "net upgraded")  # a NetParameter; whether it was in the format of an older Caffe

LOAD = """
import json, os, sys
os.environ["GLOG_minloglevel"] = "2"
import caffe
net = caffe.Net(sys.argv[1], getattr(caffe, sys.argv[2]))
print(sys.argv[3] + json.dumps({name: list(blob.data.shape) for name, blob in net.blobs.items()}) + sys.argv[3])
"""
MARK = "=== shapes ==="  # amid whatever else is printed


def read(path):
    """The net in a file, as today's Caffe would read it.

    Returns:
        NetFile(net, upgraded): a NetParameter, and whether it was upgraded from the format of an older Caffe.

    Raises:
        ValueError: the file is no net, or it is old and Caffe's upgrade_net_proto_text is not there or fails.
        OSError: the file cannot be read.
    """
    net = parse(path)
    if not (net.layers or net.input):
        return NetFile(net, False)
    with tempfile.TemporaryDirectory() as folder:
        upgraded = os.path.join(folder, "upgraded.prototxt")
        upgrade(path, upgraded)
        return NetFile(parse(upgraded), True)


def parse(path):
    """The net in a file, in whatever format it is. ValueError if it is no net."""
    from caffe.proto import caffe_pb2

    return parsed(path, caffe_pb2.NetParameter(), "a net")


def read_solver(path):
    """The SolverParameter in a file. ValueError if it is no solver."""
    from caffe.proto import caffe_pb2

    return parsed(path, caffe_pb2.SolverParameter(), "a solver")


def parsed(path, message, what):
    from google.protobuf import text_format

    with open(path) as file:
        try:
            return text_format.Parse(file.read(), message)
        except (text_format.ParseError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not {what}: {' '.join(str(error).split())}") from None


def upgrade(path, upgraded):
    """Have Caffe's own program rewrite a net; it is installed next to the interpreter."""
    name = "upgrade_net_proto_text"
    try:
        upgrader = program(name)
    except OSError:
        raise ValueError(
            f"{path} is in the format of an older Caffe, and {name} is not found; put it on PATH"
        ) from None
    process = subprocess.run([upgrader, path, upgraded], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if process.returncode or not os.path.exists(upgraded):
        raise ValueError(f"{path}: {name} failed: {last_line(process.stdout)}")


def last_line(output):
    """What a program of Caffe's ended with: a module that is missing, the check that failed, or its last line."""
    text = output.decode(errors="replace").strip()
    missing = re.search(r"No module named '([\w.]+)'", text)
    if missing:
        return remedy(missing.group(1))
    lines = text.splitlines()
    fatal = [line.split("] ", 1)[-1] for line in lines if "Check failed" in line]
    return (fatal or lines or ["no reason given"])[-1]


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
    with open(path, "w") as file:
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


def shapes(net, phase):
    """Load a net in a process of its own; Caffe ends the process for a net that it cannot load.

    Args:
        net: NetParameter.
        phase: "TRAIN" or "TEST".

    Returns:
        {blob: its shape, a list}.

    Raises:
        ValueError: with Caffe's reason, if the net does not load.
    """
    with temporary(net) as path:
        command = [sys.executable, "-c", LOAD, path, phase, MARK]
        process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if process.returncode:
        raise ValueError(f"check: Caffe does not load the {phase} phase: {last_line(process.stdout)}")
    return json.loads(process.stdout.decode().split(MARK)[1])
