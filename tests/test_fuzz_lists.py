"""Random lists: separators, encodings, layouts. Each is read as it was meant, or refused in one line; and so again
when it was written in any form. FUZZ sets how many (`make fuzz`).

What a list means is known, as it is made from labels.
"""

import codecs
import csv
import io
import json
import os
import tempfile
from collections import namedtuple

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from caffe_losses.data import lists

CASES = int(os.environ.get("FUZZ", "300"))
FUZZ = settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))

PLAIN = ["cat", "dog", "owl", "Cat", "straße", "猫", "été", "a1", "x_y", "#1"]
SPACED = ["Home Automation", "traffic light", "cat dog"]
MARKED = ["sea, sunset", "a|b", "a;b", 'say "hi"', "[x]", "{y}"]
NUMBERS = ["0", "1", "2", "7", "2017", "007", "-1", "1.5", "nan"]
STRANGE = [" cat", "dog ", "a\tb", "a\nb", "", "\ufeffx", "\x07", "path", "labels", "weight", "x.jpg"]
ENCODINGS = {
    "utf-8": b"", "utf-8 with a mark": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE, "latin-1": b"", "utf-16-le without a mark": b"",
}  # fmt: skip
PATHS = ["a.png", "b.JPG", "dir/c.jpeg", "ä.png", "no_ending"]
HARD_PATHS = ["with space.png", "a,b.png", "a;b.png", '"q".png', "path"]


NAMES = [PLAIN, PLAIN + SPACED, PLAIN + SPACED + MARKED, NUMBERS, PLAIN + NUMBERS, PLAIN + STRANGE, list("01234")]
ENDINGS = {"txt": [".txt", "", ".lst"], "csv": [".csv", ".CSV"], "columns": [".csv"]}

# A list as somebody has made it. rows: (path, labels), or None if the encoding loses some of it. said: the separator
# that the reader is told. names: of all classes
Case = namedtuple("Case", "form name data said names rows")


@st.composite
def cases(draw):
    names = draw(st.lists(st.sampled_from(draw(st.sampled_from(NAMES))), min_size=1, max_size=5, unique=True))
    labels = st.lists(st.sampled_from(names), max_size=4, unique=draw(st.integers(0, 9)) > 0)
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from(PATHS + HARD_PATHS * (draw(st.integers(0, 4)) == 0)), labels),
            min_size=1,
            max_size=6,
        )
    )
    form = draw(st.sampled_from(["txt", "csv", "columns", "jsonl", "objects"]))
    said = draw(st.sampled_from([None, None, None, "|", ";", ",", " ", ""])) if form in ("txt", "csv") else None
    if said == "":
        rows = [(path, own[:1]) for path, own in rows]
    if form in ("columns", "objects"):
        rows = [(path, list(dict.fromkeys(own))) for path, own in rows]
    text = {"txt": text_file, "csv": label_table, "columns": class_table}.get(form, json_file)(
        draw, rows, names, said, form
    )
    encoding = draw(st.sampled_from([*ENCODINGS, *["utf-8"] * 12]))
    newline = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    data = ENCODINGS[encoding] + text.replace("\n", newline).encode(encoding.split(" ")[0], "replace")
    name = "list" + draw(st.sampled_from(ENDINGS.get(form, [".jsonl"])))
    return Case(form, name, data, said, names, None if encoding == "latin-1" else rows)


def text_file(draw, rows, names, said, form):
    separator = draw(st.sampled_from([" ", " ", "  ", ",", "|", ";"])) if said is None else said
    return "".join(f"{path} {separator.join(labels)}\n" for path, labels in rows)


def json_file(draw, rows, names, said, form):
    own = list if form == "jsonl" else lambda labels: dict.fromkeys(labels, 1)
    ascii_only = draw(st.booleans())
    objects = [{"path": path, "labels": own(labels)} for path, labels in rows]
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in objects)


def label_table(draw, rows, names, said, form):
    separator = draw(st.sampled_from(["|", "|", ";", "; ", ",", ", ", " "])) if said is None else said
    return table(
        draw, draw(st.sampled_from(["labels", "Labels", "TAGS"])), [(path, [separator.join(own)]) for path, own in rows]
    )


def class_table(draw, rows, names, said, form):
    values = draw(st.sampled_from([("0", "1"), ("", "1"), ("0.0", "1.0"), ("-1", "1"), ("0", "255")]))
    return table(draw, names, [(path, [values[name in own] for name in names]) for path, own in rows])


def table(draw, header, rows):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=draw(st.sampled_from([",", ",", ";", "\t"])), lineterminator="\n")
    first = draw(st.sampled_from(["path", "Path", "image", "FILENAME"]))
    writer.writerow([first, *([header] if isinstance(header, str) else header)])
    writer.writerows([path, *cells] for path, cells in rows)
    return file.getvalue()


def is_sure(case, with_classes):
    """Whether the labels can be in a file of this form at all, so that no other labels may be read."""
    labels = set(case.names)
    if case.form in ("jsonl", "objects"):
        return True
    if any(not label.strip() or label != label.strip() or label in STRANGE for label in labels):
        return False
    if case.said:
        return not any(case.said in label for label in labels)
    if case.form == "txt" and case.said is None:
        return not any(" " in label for label in labels)
    if case.form == "csv" and case.said is None and not with_classes:
        return not any(mark in label for label in labels for mark in "|;")
    return True


def meaning(images):
    return [(path, sorted(images.names(k))) for k, path in enumerate(images.paths)]


def one_line(path, refusal):
    text = str(refusal)
    assert text.startswith(path), text
    assert len(text.splitlines()) == 1, text
    assert len(text) < 700, text


@pytest.mark.slow
@FUZZ
@given(cases(), st.booleans())
def test_lists_are_read_as_they_are_meant_or_refused(case, with_classes):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, case.name)
        with open(path, "wb") as file:
            file.write(case.data)
        classes = sorted({label for _, own in case.rows or () for label in own}) if with_classes else None
        try:
            images = lists.read(path, classes or None, case.said)
        except ValueError as refusal:
            one_line(path, refusal)
            event(f"{case.form}: refused")
            return
        event(f"{case.form}: read")
        if case.rows is not None and is_sure(case, with_classes):
            assert meaning(images) == [(path, sorted(own)) for path, own in case.rows]
        written_again(folder, images)


def written_again(folder, images):
    """In each form it is the same list, or refused."""
    for ending in (".txt", ".csv", ".tsv", ".jsonl"):
        path = os.path.join(folder, "again" + ending)
        try:
            text = lists.text(images, path)
        except ValueError as refusal:
            one_line(path, refusal)
            continue
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        again = lists.read(path, images.classes)
        assert meaning(again) == meaning(images)
        try:
            alone = lists.read(path)
        except ValueError as refusal:
            one_line(path, refusal)
        else:
            assert meaning(alone) == meaning(images)


@FUZZ
@given(st.binary(max_size=200), st.sampled_from([".txt", ".csv", ".jsonl", ".tsv"]))
def test_any_bytes_are_read_or_refused(data, ending):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "list" + ending)
        with open(path, "wb") as file:
            file.write(data)
        for read in (lists.read, lists.read_classes):
            try:
                read(path)
            except ValueError as refusal:
                one_line(path, refusal)
