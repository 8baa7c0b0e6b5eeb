"""The pages of the documentation, and what is in them."""

import contextlib
import functools
import io
import os
import re
import shlex
import subprocess
from collections import namedtuple
from importlib.util import find_spec
from pathlib import Path

import training
from nets import CAFFE
from pictures import write_pictures

from caffe_losses.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

ENVIRONMENT = {
    **training.ENVIRONMENT,
    "PATH": os.path.dirname(CAFFE) + os.pathsep + os.environ["PATH"],
    "GLOG_minloglevel": "0",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",  # the same in Open MPI 5
    "OMPI_MCA_hwloc_base_binding_policy": "none",
}

Block = namedtuple("Block", "page line language text")


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(language, page=None):
    """The code blocks of a language, of one page or of all."""
    return [block for block in BLOCKS if block.language == language and page in (None, block.page)]


def blocks_of(page):
    text = read(page)
    for match in FENCED.finditer(text):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2))


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def block_id(block):
    return f"{block.page}:{block.line}"


def prose(page):
    """A page without its code blocks."""
    return FENCED.sub("", read(page))


def spans(page):
    """The inline code of a page."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def tables(page):
    """Each table as a list of its rows, a list of cells each, without the line below the header."""
    for lines in re.findall(r"(?:^\|.*\|\n)+", prose(page), re.MULTILINE):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines.splitlines()]
        yield [row for row in rows if not all(set(cell) <= set("-:") for cell in row)]


def commands(text):
    """The commands of a sh block, each a list of words; the text of a here-document is none."""
    text = re.sub(r"<<EOF\n.*?^EOF$", "", text.replace("\\\n", " "), flags=re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [line for line in lines if line]


@functools.lru_cache(maxsize=None)
def options_of(command):
    """The long options that a command of caffe-losses takes; a KeyError if there is no such command."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        try:
            main([command, "--help"])
        except SystemExit as end:
            if end.code:
                raise KeyError(command) from None
    usage = output.getvalue().split("\n\n")[0]
    short = {"-o": "--output"}
    return {short.get(word, word) for word in re.findall(r"(?<![\w-])(--[a-z][\w-]*|-[a-z])\b", usage)} - {"-h"}


def anchors(page):
    """What links to a page may name after #."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


FLAGS = {"caffe": ("--solver", "--snapshot", "--weights")}
# not ours, and without options to check
SHELL = "cd", "cp", "source", "cat", "tar", "apt-get", "docker", "mpirun", "mnnconvert"
CONVERTER = "caffe2onnx.convert"  # a module that is not ours, either


@functools.lru_cache(maxsize=None)
def make_targets():
    return set(re.findall(r"^([\w-]+):", read("Makefile"), re.MULTILINE))


def check_command(words):
    """That the command and the options that it is given exist."""
    if words[0] == "mpirun" and "caffe-losses" in words:
        words = words[words.index("caffe-losses") :]
    while "=" in words[0]:  # of the environment
        words = words[1:]
    name, *rest = words
    given = {word.split("=")[0] for word in rest if word.startswith("--")}
    if name == "make":
        assert {word for word in rest if "=" not in word} <= make_targets(), words
    elif name == "caffe-losses":
        assert not rest or given <= options_of(rest[0]), words
    elif name == "caffe":
        assert rest[0] == "train"
        assert given <= set(FLAGS["caffe"]), words
    elif name == "pip":
        extras = re.findall(r"[\w-]+", "".join(re.findall(r"\[(.*)\]", rest[-1])))
        assert all(f'"{extra}": [' in read("setup.py") for extra in extras), words
    elif name == "python" and rest[:1] == ["-m"]:
        assert rest[1] == CONVERTER or find_spec(rest[1] + ".__main__"), words
    elif name == "python":
        assert (ROOT / "examples" / "tags" / rest[0]).exists(), words
    elif "/" in name:
        assert name.startswith(".venv/bin/") or os.access(ROOT / name, os.X_OK), words
        assert all((ROOT / word).exists() for word in rest if word.endswith(".py")), words
    else:
        assert name in SHELL, words


def shell(text, folder, **environment):
    done = subprocess.run(
        ["bash", "-euc", text], cwd=str(folder), env={**ENVIRONMENT, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def pictures(folder, split=True):
    """A list of 40 pictures in a folder and, split, its lists."""
    (folder / "beach").mkdir()
    names = write_pictures(folder / "beach", 40, ending="jpg")
    rows = [f"beach/{name},{'sea|sunset' if k % 2 else 'dog'}\n" for k, name in enumerate(names)]
    (folder / "labels.csv").write_text("path,labels\n" + "".join(rows))
    if split:
        shell("caffe-losses split labels.csv -o lists --test 0.1", folder)
