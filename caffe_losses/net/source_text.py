"""The text of a prototxt file, before it is parsed: its encoding, and fields of another Caffe."""

import re

from .. import files

BOM = b"\xef\xbb\xbf"  # what Windows' editors begin a file with
TOKEN = re.compile(
    r"""
    "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'   # a string
    | \#[^\n]*                                  # a comment
    | [{}<>\[\]]                                # a bracket
    | [:;,]
    | [^\s{}<>\[\]"'\#:;,]+                     # a name or number
    """,
    re.VERBOSE,
)
OPEN, CLOSE = "{<[", "}>]"


def read_text(path):
    """The text of a file, in UTF-8; only its comments may be in another encoding, and are left out then.

    ValueError for a file that is no text or no regular file. OSError if it cannot be read.
    """
    data = files.read(path)
    data = data[len(BOM) :] if data.startswith(BOM) else data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # of each byte a character: tokens keep their places
    text = TOKEN.sub(lambda token: "" if token.group().startswith("#") else token.group(), text)
    for number, line in enumerate(text.splitlines(), 1):
        if max(map(ord, line), default=0) > 127:
            raise ValueError(f"{path}, line {number}: expected UTF-8, got other bytes; save the file as UTF-8")
    return text


def without_field(text, line, column):
    """(the text without the field that starts there, the number of layers before it, the field's value as text).

    Blanks take the field's place, so that all else stays on its line. The number is None for a field of the net.
    """
    start = sum(len(row) + 1 for row in text.split("\n")[: line - 1]) + column - 1
    end = end_of_field(text, start)
    blank = re.sub(r"[^\n]", " ", text[start:end])
    value = re.sub(r"^[^\s:{<]+\s*:?\s*", "", " ".join(text[start:end].split()))
    return text[:start] + blank + text[end:], layers_before(text, start), value


def end_of_field(text, start):
    """Where the value of the field that starts there ends."""
    depth, value, end = 0, False, start
    for token in TOKEN.finditer(text, start):
        word = token.group()
        if token.start() == start or word.startswith("#") or word == ":":
            continue
        string = word[0] in "\"'"
        if value and not (string and depth == 0):
            break
        end = token.end()
        depth += (word in OPEN) - (word in CLOSE)
        value = depth == 0
        if value and not string:
            break
    return end


def layers_before(text, place):
    """How many layers of the net start before a place in the text, that around it not counted; None outside of all."""
    depth, layers, word = 0, 0, ""
    for token in TOKEN.finditer(text, 0, place):
        if token.group() in OPEN:
            layers += depth == 0 and word in ("layer", "layers")
            depth += 1
        elif token.group() in CLOSE:
            depth -= 1
        elif token.group() != ":" and not token.group().startswith("#"):
            word = token.group()
    return layers - 1 if depth else None
