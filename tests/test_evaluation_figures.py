"""Texts, fonts and axes of the pictures."""

import matplotlib
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from matplotlib import font_manager

from caffe_losses.evaluation import curves, figures
from caffe_losses.metrics import MultiLabelMetrics

SEA = "\U0002a6a5\U0002b737"  # of CJK extensions that few fonts have


def write_font(path, characters):
    """A font whose glyphs are empty boxes, for these characters."""
    names = [f"u{ord(character):x}" for character in characters]
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap(dict(zip(map(ord, characters), names)))
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0)), pen.lineTo((0, 700)), pen.lineTo((600, 700)), pen.lineTo((600, 0)), pen.closePath()
    glyph = pen.glyph()
    builder.setupGlyf(dict.fromkeys([".notdef", *names], glyph))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names], (700, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Test of CJK", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(str(path))


@pytest.fixture
def new_fonts(monkeypatch):
    """The list of fonts, which a test may change."""
    monkeypatch.setattr(font_manager.fontManager, "ttflist", list(font_manager.fontManager.ttflist))


def texts(figure):
    figure.canvas.draw() if hasattr(figure.canvas, "draw") else None
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def drawn(names, monkeypatch, tmp_path):
    """The figure of an evaluation with classes of these names."""
    kept = []
    save = figures.save
    monkeypatch.setattr(figures, "save", lambda figure, path: kept.append(figure) or save(figure, path))
    random = np.random.RandomState(0)
    metrics = MultiLabelMetrics(metrics=["mAP"])
    labels = random.rand(40, len(names)) < 0.3
    metrics.add(random.randn(*labels.shape) + labels, labels)
    curves.draw(str(tmp_path / "out.png"), metrics, names, "net_$1 and $2.caffemodel")
    assert (tmp_path / "out.png").stat().st_size > 10000
    return kept[0]


def test_each_name_is_drawn_as_it_is(monkeypatch, tmp_path, capsys):
    names = ["_hidden", "$x^2$", "$", "5 $ and 6 $", r"\frac", "{a}", "café", "%d"]
    figure = drawn(names, monkeypatch, tmp_path)
    for name in names:
        legend = [text for text in texts(figure) if text.startswith(figures.plain(name) + " (")]
        beside = [text for text in texts(figure) if text == figures.plain(name)]
        assert len(legend) == len(beside) == 1, name
    assert r"net_\$1 and \$2.caffemodel" in texts(figure)[0] or any(r"net_\$1" in text for text in texts(figure))
    assert not capsys.readouterr().err


def test_names_without_a_font_are_numbers_and_that_is_said(monkeypatch, tmp_path, capsys):
    figure = drawn(["sea", SEA], monkeypatch, tmp_path)
    assert "class 1" in texts(figure)
    line = capsys.readouterr().err
    assert line.startswith(f"no font here draws the names of 1 classes, such as {SEA}: the picture has their numbers")


def test_a_font_that_has_the_characters_is_taken(new_fonts, monkeypatch, tmp_path, capsys):
    write_font(tmp_path / "cjk.ttf", SEA)
    font_manager.fontManager.addfont(str(tmp_path / "cjk.ttf"))
    figure = drawn(["sea", SEA], monkeypatch, tmp_path)
    (text,) = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text() == SEA]
    assert text.get_fontproperties().get_file() == str(tmp_path / "cjk.ttf")
    assert not capsys.readouterr().err


@pytest.mark.parametrize("name", ["שלום", "مرحبا", "sea שלום"])
def test_right_to_left_names_keep_their_place_or_are_numbers(name, monkeypatch):
    label = figures.labels_of([name], [0])[0]
    assert label.text == (f"\u200e{name}\u200e" if figures.shapes_text() else "class 0")
    monkeypatch.setattr(figures, "shapes_text", lambda: False)
    assert figures.labels_of([name], [0])[0].text == "class 0"


def test_broken_fonts_are_passed_over(new_fonts, tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert not figures.has(str(tmp_path / "broken.ttf"), {"a"})


@pytest.mark.parametrize("values, least", [([0.5, 0.50001], 0.04), ([-3, -3.0001], 0.25), ([1e-9, 1.001e-9], 5e-11)])
def test_small_changes_look_small(values, least):
    axes = figures.new_figure(4, 3).subplots()
    axes.plot(values)
    figures.calm_y(axes)
    low, high = axes.get_ylim()
    assert high - low >= least
    assert low < min(values) < max(values) < high


def test_large_changes_are_left_as_they_are():
    axes = figures.new_figure(4, 3).subplots()
    axes.plot([0, 1])
    before = axes.get_ylim()
    figures.calm_y(axes)
    assert axes.get_ylim() == before


@pytest.mark.parametrize("values", [[10], [50, 52], [1, 1000]])
def test_frequencies_are_within_a_calm_axis(values):
    axes = figures.new_figure(4, 3).subplots()
    axes.set_xscale("log")
    figures.calm_log_x(axes, values)
    low, high = axes.get_xlim()
    assert low < min(values) <= max(values) < high
    assert high / low >= figures.FACTOR * 0.999


def test_matplotlib_before_3_5(monkeypatch):
    """It has neither colormaps nor layout."""
    with monkeypatch.context() as patch:
        patch.delattr(matplotlib, "colormaps")
        patch.setattr(matplotlib.cm, "get_cmap", lambda name: name, raising=False)
        assert figures.colormap("viridis") == "viridis"
