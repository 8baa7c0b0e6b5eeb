"""The emoji example, in a copy of its folder, on a part of the drawings and with a tiny budget."""

import csv
import os
import re
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ITERATIONS = "4"
PART = "1F[16]*"  # people, animals and vehicles: a sixth of the drawings


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, what run.py prints) after a few iterations with the softmax loss."""
    folder = str(tmp_path_factory.mktemp("examples") / "emoji")
    shutil.copytree(os.path.join(ROOT, "examples", "emoji"), folder, ignore=shutil.ignore_patterns("work"))
    with open(os.path.join(folder, "prepare.py"), "r+") as file:
        text = file.read()
        assert text.count('"*.svg"') == 1
        file.seek(0)
        file.write(text.replace('"*.svg"', f'"{PART}.svg"'))
    done = subprocess.run(
        [sys.executable, os.path.join(folder, "run.py"), "--iterations", ITERATIONS, "--losses", "softmax"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def rows(folder, part):
    with open(os.path.join(folder, "work", "seed1", f"{part}.csv"), newline="") as file:
        return [(row["path"], row["labels"].split()) for row in csv.DictReader(file)]


def test_it_prints_the_figures_and_draws_the_pictures(run):
    folder, printed = run
    plain, resampled = re.findall(r"\| softmax.*", printed)
    assert "resampled" in resampled
    for row in (plain, resampled):
        figures = [float(figure) for figure in re.findall(r"\d\.\d+", row)]
        assert len(figures) == 3
        assert all(0 < figure < 1 for figure in figures)
    for picture in ("comparison.png", "contact_sheet.png"):
        with open(os.path.join(folder, "work", picture), "rb") as png:
            assert png.read(4) == b"\x89PNG"


def test_the_log_has_the_metrics_too(run):
    folder, _ = run
    (log,) = [
        os.path.join(at, name)
        for at, _, names in os.walk(os.path.join(folder, "work"))
        for name in names
        if name.endswith(".log") and "resampled" not in name
    ]
    with open(log) as lines:
        text = lines.read()
    for metric in ("mAP", "hit@1", "precision@2"):
        assert re.search(rf"Iteration {ITERATIONS}, Testing net[\s\S]*output #\d+: {metric} = 0\.\d", text)


def test_a_second_run_trains_nothing_anew(run):
    folder, printed = run
    again = subprocess.run(
        [sys.executable, os.path.join(folder, "run.py"), "--iterations", ITERATIONS, "--losses", "softmax"],
        capture_output=True,
        text=True,
    )
    assert again.stdout == printed
    assert "iterations" not in again.stderr


def test_the_parts_share_no_picture_and_both_have_each_tag_twice(run):
    train, test = (rows(run[0], part) for part in ("train", "test"))
    assert not {path for path, _ in train} & {path for path, _ in test}
    counts = [[tag for _, tags in part for tag in tags] for part in (train, test)]
    assert set(counts[0]) == set(counts[1])
    for tag in set(counts[0]):
        assert min(part.count(tag) for part in counts) >= 2
        assert sum(part.count(tag) for part in counts) >= 10


def test_tags_are_the_words_of_the_unicode_name(run):
    tags = {os.path.basename(path): set(words) for part in ("train", "test") for path, words in rows(run[0], part)}
    assert tags["1F63B.png"] == {"smiling", "cat", "face", "heart", "eyes"} & set().union(*tags.values())
    assert "1F1E9-1F1EA.png" not in tags  # a flag
    assert not [name for name in tags if "1F3FD" in name]  # a skin tone
    assert tags["1F6B6-200D-2640-FE0F.png"] == {"female"}  # a pedestrian, in a sequence


def test_augmentation_and_views_are_compared(run):
    folder, _ = run
    words = ["--seeds", "2", "--iterations", ITERATIONS, "--levels", "none", "light"]
    done = subprocess.run(
        [sys.executable, os.path.join(folder, "augment.py"), *words],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    header, _, *rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in done.stdout.splitlines()]
    assert [len(row) for row in rows] == [len(header)] * 2
    assert [row[:2] for row in rows] == [[ITERATIONS, "none"], [ITERATIONS, "light"]]
    assert all(0 < float(mean) < 1 for row in rows for mean in row[2:5])
    (none, light) = (float(row[2]) for row in rows)
    assert float(rows[1][5].split()[0]) == pytest.approx(light - none, abs=0.0016)  # three numbers of three digits
    nets = {setting: text for setting, text in trained_nets(folder) if "seed2" in setting}
    assert {"crop_scale" in text for text in nets.values()} == {True, False}
    assert all(("light" in setting) == ("crop_scale" in text) for setting, text in nets.items())


def test_gains_are_means_over_seeds_with_their_interval():
    code = """
import augment, numpy as np

found = {(800, "none"): np.array([[0.4, 0.5, 0.6], [0.6, 0.7, 0.8]])}
found[800, "light"] = found[800, "none"] + [[0.1, 0.1, 0.0], [0.2, 0.2, 0.0]]
print("\\n".join(augment.table(found)))
"""
    folder = os.path.join(ROOT, "examples", "emoji")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    none, light = ([cell.strip() for cell in row.split("|")[1:-1]] for row in done.stdout.splitlines()[2:])
    assert none[2:7] == ["0.500", "0.600", "0.700", "", "+0.100 ± 0.000"]
    assert light[2:6] == ["0.650", "0.750", "0.700", "+0.150 ± 0.635"]  # 12.706, Student's t, times 0.05


def trained_nets(folder):
    """(folder of a training, its net)"""
    for at, _, names in os.walk(os.path.join(folder, "work")):
        if "net.prototxt" in names:
            with open(os.path.join(at, "net.prototxt")) as file:
                yield at, file.read()


def test_all_files_of_the_readme_are_there():
    folder = os.path.join(ROOT, "examples", "emoji")
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as readme:
        text = readme.read()
    named = re.findall(r"`([a-z_]+\.(?:py|prototxt|json|png))`|\]\(([a-z_]+\.png)\)", text)
    assert len(named) > 8
    for name in (a or b for a, b in named):
        assert os.path.exists(os.path.join(folder, name)), name
