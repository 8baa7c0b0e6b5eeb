"""What the pictures have in common: any text as it is, axes that stay calm, and every matplotlib from 3.3 on."""

import math
import sys
from collections import namedtuple

SPAN = 0.1  # of an axis: at least this share of its largest value
FACTOR = 4  # of a logarithmic axis, at least from its first to its last value
LONGEST = 24  # characters of a name that are drawn
LAST_RESORT = "Last Resort"  # a font of matplotlib's whose glyphs only say which character is meant

MARK = "\u200e"  # left to right

Label = namedtuple("Label", "text font")  # font: a FontProperties, or None for matplotlib's own


def new_figure(width, height):
    """In inches. Its axes leave room for what is around them."""
    from matplotlib.figure import Figure

    try:
        return Figure(figsize=(width, height), dpi=110, layout="constrained")
    except TypeError:  # before 3.5
        return Figure(figsize=(width, height), dpi=110, constrained_layout=True)


def save(figure, path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that no font has
        figure.savefig(path, format="png")


def colormap(name):
    import matplotlib

    if hasattr(matplotlib, "colormaps"):
        return matplotlib.colormaps[name]
    from matplotlib import cm

    return cm.get_cmap(name)  # before 3.5


def plain(text):
    """The text for matplotlib, which would take what is between two $ for mathematics."""
    return " ".join(text.split()).replace("$", r"\$")


def shortened(name):
    return name if len(name) <= LONGEST else name[: LONGEST - 2] + "…"


def add_legend(owner, handles, labels, **place):
    """A legend of axes or of a figure, with Labels. Of texts that begin with _, matplotlib itself would draw none."""
    legend = owner.legend(handles, ["-"] * len(handles), **place)
    for drawn, label in zip(legend.get_texts(), labels):
        set_font(drawn, label.font)
        drawn.set_text(plain(label.text))


def set_font(drawn, font):
    if font is not None:
        size = drawn.get_size()
        drawn.set_fontproperties(font)
        drawn.set_size(size)


def calm_y(axes):
    """Widen a linear axis, so that small changes of a large number look small. Its numbers are the values."""
    low, high = axes.get_ylim()
    lacking = SPAN * max(abs(low), abs(high)) - (high - low)
    if lacking > 0:
        axes.set_ylim(low - lacking / 2, high + lacking / 2)
    axes.ticklabel_format(axis="y", useOffset=False)


def calm_log_x(axes, values):
    """Give a logarithmic axis limits around the values, with room for names, and at least a FACTOR apart."""
    low, high = min(values), max(values)
    margin = max(1.15, math.sqrt(FACTOR * low / high), (high / low) ** 0.12)
    axes.set_xlim(low / margin, high * margin)


# Fonts


def labels_of(names, classes):
    """{class: Label} of these classes. Where no font has the characters of a name, its text is as 'class 7'."""
    fonts, labels = {}, {}
    for c in classes:
        text = shortened(" ".join(names[c].split()))
        characters = frozenset(text) - {" "}
        if characters not in fonts:
            fonts[characters] = font_for(characters)
        known, font = fonts[characters]
        if is_right_to_left(characters):
            text = f"{MARK}{text}{MARK}"  # or what stands beside it would change its place
        labels[c] = Label(text if known else f"class {c}", font)
    unknown = [c for c in classes if labels[c].text == f"class {c}" != names[c]]
    if unknown:
        print(
            f"no font here draws the names of {len(unknown)} classes, such as {names[unknown[0]]}: the picture has "
            "their numbers; install one, such as fonts-noto-cjk",
            file=sys.stderr,
        )
    return labels


def font_for(characters):
    """(whether a font here has all these characters, a FontProperties or None for matplotlib's own font)."""
    from matplotlib import font_manager

    own = font_manager.findfont(font_manager.FontProperties())
    if is_right_to_left(characters) and not shapes_text():
        return False, None
    if has(own, characters):
        return True, None
    entries = sorted({(entry.style != "normal", entry.fname) for entry in fonts_of(font_manager)})
    path = next((path for _, path in entries if has(path, characters)), None)
    return path is not None, path and font_manager.FontProperties(fname=path)


def fonts_of(font_manager):
    return [entry for entry in font_manager.fontManager.ttflist if LAST_RESORT not in entry.name]


def has(path, characters):
    """Whether the font of a file can draw all these characters."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
        return bool(font.scalable) and {ord(character) for character in characters} <= font.get_charmap().keys()
    except (OSError, RuntimeError):  # a font that FreeType does not read
        return False


def is_right_to_left(characters):
    from unicodedata import bidirectional

    return any(bidirectional(character) in ("R", "AL") for character in characters)


def shapes_text():
    """Whether this matplotlib draws Arabic and Hebrew in their order, as from 3.11 on, by libraqm."""
    from matplotlib import ft2font

    return hasattr(ft2font, "__libraqm_version__")
