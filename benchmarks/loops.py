"""Loops of a compiled library that compute number by number, as objdump (of binutils) shows them."""

import re
import subprocess
from collections import namedtuple

# Additions and maxima are left out: they also end a loop, over the lanes of a register.
X86 = re.compile(r"v?(mul|div|sqrt)([ps])[sd]|vfn?m(add|sub)(132|213|231)([ps])[sd]")
ARM = re.compile(r"f(n?mul|div|sqrt|mla|mls|n?madd|n?msub)")
JUMP = re.compile(r"j\w+|b|b\.\w+|t?bn?z|cbn?z")
FEW = 8  # what a loop over rows or classes may have: LOG_SUM_EXP's temperatures

Loop = namedtuple("Loop", "function start packed scalar")


def scalar_loops(library):
    """The innermost loops with more multiplications of one number than a few."""
    return [loop for name, code in functions(library) for loop in loops(name, code) if loop.scalar > FEW]


def functions(library):
    """(name, [(address, instruction, arguments)]) of each."""
    command = ["objdump", "-d", "--no-show-raw-insn", library]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    for part in re.split(r"\n(?=[0-9a-f]+ <)", text)[1:]:
        head, *lines = part.splitlines()
        code = [re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)", line) for line in lines]
        yield head.split("<")[1][:-2], [(int(c[1], 16), c[2], c[3]) for c in code if c]


def loops(name, code):
    """The innermost: from where a jump leads back to, to the jump."""
    spans = set()
    for at, instruction, arguments in code:
        target = re.search(r"([0-9a-f]+) <", arguments) if JUMP.fullmatch(instruction) else None
        if target and code[0][0] <= int(target[1], 16) <= at:
            spans.add((int(target[1], 16), at))
    for span in spans:
        if not any(other != span and span[0] <= other[0] and other[1] <= span[1] for other in spans):
            kinds = [kind(*c[1:]) for c in code if span[0] <= c[0] <= span[1]]
            yield Loop(name, span[0], kinds.count("p"), kinds.count("s"))


def kind(instruction, arguments):
    """p for a multiplication or division of packed numbers, s of single ones, None for others."""
    x86 = X86.fullmatch(instruction)
    if x86:
        return x86[2] or x86[5]
    return ("p" if arguments.startswith("v") else "s") if ARM.fullmatch(instruction) else None
