"""Compile the kernels in place: python -m caffe_losses.kernels

Needs a C compiler, and no Python.h: the library is called by ctypes. setup.py runs this file too, before the package is
installed, so it imports nothing of it. CC and CFLAGS are honoured.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = (
    "lanes.h",
    "functions.h",
    "losses.h",
    "problem.h",
    "independent.h",
    "distribution.h",
    "log_sum_exp.h",
    "kernels.c",
    "processor.c",
)
LIBRARY = os.path.join(HERE, "library.so")

# -fassociative-math and -ffast-math would take away the rounding of the exponential, and NaN checks.
FLAGS = "-O2 -funroll-loops -std=gnu11 -fPIC -DNDEBUG -Wno-psabi -fno-math-errno -fno-trapping-math -ffp-contract=fast"
TYPES = {"float": "", "double": "-DDOUBLE"}
# x86-64-v4 and v3, spelt out for compilers that do not know these names; base runs everywhere.
LEVELS = {
    "v4": "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mbmi2 -mprefer-vector-width=512",
    "v3": "-mavx2 -mfma -mbmi2",
    "base": "",
}


def digest():
    """What the sources are, in a word: a library that was made of others is not used."""
    content = hashlib.sha256()
    for name in SOURCES:
        with open(os.path.join(HERE, name), "rb") as source:
            content.update(source.read())
    return content.hexdigest()[:16]


def seal(content):
    """What stands behind a library's bytes: what its sources were, and a checksum of them, which takes 0.1 ms."""
    return f"{digest()}{zlib.crc32(content):08x}".encode()


def is_ours(library):
    """Whether a library is of these sources, and whole: to load one that is cut may end the process, by SIGBUS."""
    with open(library, "rb") as file:
        content = file.read()
    end = len(content) - len(seal(b""))
    return end > 0 and content[end:] == seal(content[:end])


def build(library=LIBRARY):
    """Compile the library to this path; OSError, with what the compiler said, if it does not."""
    folder = tempfile.mkdtemp()
    try:
        made = os.path.join(folder, "library.so")
        link(objects(folder), made)
        with open(made, "r+b") as file:
            file.write(seal(file.read()))
        shutil.copy(made, library + ".new")
        os.replace(library + ".new", library)  # a process that has loaded the old one keeps it
    finally:
        shutil.rmtree(folder)


def objects(folder):
    """Compile each variant that the compiler and the machine know, side by side."""
    started = {"processor": compiler("-O2 -fPIC", "-DNDEBUG", "processor.c", folder, "processor")}
    for kind, define in TYPES.items():
        for level, flags in LEVELS.items():
            name = f"_{kind}_{level}"
            started[name] = compiler(f"{FLAGS} {define} {flags}", f"-DVARIANT={name}", "kernels.c", folder, name)
    said = {name: process.communicate()[0] for name, process in started.items()}
    failed = {name for name, process in started.items() if process.returncode}
    needed = failed & {"processor", *(f"_{kind}_base" for kind in TYPES)}
    if needed:
        raise OSError(f"the compiler failed: {first_error(said[sorted(needed)[0]])}")
    return [os.path.join(folder, name + ".o") for name in started if name not in failed]


def compiler(flags, define, source, folder, name):
    flags = [*shlex.split(flags), *shlex.split(os.environ.get("CFLAGS", ""))]
    return run([*flags, define, "-c", os.path.join(HERE, source), "-o", os.path.join(folder, name + ".o")])


def link(parts, library):
    process = run([*shlex.split(os.environ.get("CFLAGS", "")), "-shared", *parts, "-lm", "-o", library])
    said = process.communicate()[0]
    if process.returncode:
        raise OSError(f"the linker failed: {first_error(said)}")


def first_error(said):
    lines = said.strip().splitlines() or ["no reason given"]
    return next((line for line in lines if "error" in line), lines[0])


def run(arguments):
    command = [*shlex.split(os.environ.get("CC", "cc")), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)


def main():
    try:
        build()
    except OSError as error:
        missing = error.filename is not None  # the compiler itself
        remedy = "install a C compiler, e.g. apt-get install gcc" if missing else "mend losses.h, or set CC and CFLAGS"
        sys.exit(f"caffe_losses: cannot compile the kernels: {error}; {remedy}")
    print(LIBRARY)
