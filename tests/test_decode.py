"""Pictures of every kind, and damaged ones, which OpenCV alone lets pass."""

import io
import os
import re
import resource
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
from pictures import picture
from PIL import Image

from caffe_losses.data import Transform
from caffe_losses.data.decode import decode

SMOOTH = cv2.GaussianBlur(picture(0, 240, 320), (0, 0), 3)
KINDS = {
    "baseline": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "optimized": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
    "fine": [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111],
}
MOTION_PHOTO = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20 + b"\xff\xda\xff\xd8\xff\xda"


def jpeg(kind="baseline", image=SMOOTH):
    return cv2.imencode(".jpg", image, KINDS[kind])[1].tobytes()


def pixels(folder, content, **options):
    (folder / "picture").write_bytes(content)
    return Transform(**options).decode(str(folder / "picture"))


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


# JPEG: whole, damaged, cut


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behind", [b"", b"\0", MOTION_PHOTO, jpeg()])
def test_whole_jpegs_are_read_whatever_stands_behind_them(tmp_path, kind, behind):
    content = jpeg(kind)
    np.testing.assert_array_equal(pixels(tmp_path, content + behind), cv2.imdecode(np.frombuffer(content, np.uint8), 1))


@pytest.mark.parametrize(
    "image", [np.full((99, 99, 3), 200, np.uint8), picture(0, 64, 64), np.zeros((8, 8, 3), np.uint8)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_flat_and_noisy_jpegs_are_whole(tmp_path, kind, image):
    """A flat picture of optimized tables is mostly zeros."""
    assert pixels(tmp_path, jpeg(kind, image)).shape == image.shape


def test_a_thumbnail_in_it_is_no_end(tmp_path):
    content = jpeg()
    segment = b"Exif\0\0" + jpeg(image=SMOOTH[:16, :16])
    thumbnail = content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:]
    assert pixels(tmp_path, thumbnail).shape == SMOOTH.shape
    with pytest.raises(ValueError, match="not all of one"):
        pixels(tmp_path, thumbnail[: len(segment) + 30])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_a_jpeg_that_is_cut_is_refused_with_an_end_mark_too(tmp_path, capfd, kind, share):
    part = jpeg(kind)[: int(share * len(jpeg(kind)))]
    with pytest.raises(ValueError, match="picture is no image that can be decoded, or not all of one"):
        pixels(tmp_path, part)
    for end in (b"\xff\xd9", b"\xff\xd9" + MOTION_PHOTO):
        with pytest.raises(ValueError, match="picture is damaged: Corrupt JPEG data: "):
            pixels(tmp_path, part + end)
    assert capfd.readouterr().err == ""  # said by the error alone


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [64, 200, 1000])
def test_a_stretch_of_zeros_is_refused(tmp_path, kind, length):
    """Where a scan holds the coefficients themselves: zeros among the last bits of a progressive one are not seen."""
    content = jpeg(kind)
    start = content.find(b"\xff\xda") + (14 if kind != "progressive" else len(content) // 3)
    for place in np.linspace(start, len(content) * 2 // 3 - length, 10).astype(int):
        with pytest.raises(ValueError, match="picture is damaged: "):
            pixels(tmp_path, content[:place] + bytes(length) + content[place + length :])


@pytest.mark.parametrize(
    "form, options", [("png", []), ("tiff", []), ("bmp", []), ("webp", [cv2.IMWRITE_WEBP_QUALITY, 80])]
)
def test_other_forms_that_are_cut_are_refused(tmp_path, form, options):
    content = cv2.imencode(f".{form}", SMOOTH, options)[1].tobytes()
    assert pixels(tmp_path, content).shape == SMOOTH.shape
    for share in (0, 0.1, 0.5, 0.98):
        with pytest.raises(ValueError, match="is no image that can be decoded, or not all of one"):
            pixels(tmp_path, content[: int(share * len(content))])


@pytest.mark.parametrize("form", ["png", "tiff"])
def test_other_forms_with_zeros_in_them_are_refused(tmp_path, form):
    content = cv2.imencode(f".{form}", SMOOTH)[1].tobytes()
    middle = len(content) // 2
    with pytest.raises(ValueError, match=r"is no image that can be decoded, or not all of one|is damaged: "):
        pixels(tmp_path, content[:middle] + bytes(200) + content[middle + 200 :])


def test_what_others_print_meanwhile_is_kept(tmp_path, capfd, monkeypatch):
    (tmp_path / "picture").write_bytes(jpeg())
    whole = cv2.imdecode

    def prints(*arguments):
        os.write(2, b"[ WARN:0] of OpenCV\nof another thread\n")
        return whole(*arguments)

    monkeypatch.setattr(cv2, "imdecode", prints)
    decode(str(tmp_path / "picture"), cv2.IMREAD_COLOR, 255)
    assert capfd.readouterr().err == "[ WARN:0] of OpenCV\nof another thread\n"


# Too large


def test_what_opencv_does_not_take_is_called_too_large(tmp_path):
    content = bytearray(jpeg())
    place = content.find(b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", 65000, 65000)
    with pytest.raises(ValueError, match="picture is too large for memory, or for OpenCV; make a smaller one of it"):
        pixels(tmp_path, bytes(content))


@pytest.mark.slow
def test_so_is_what_does_not_fit_into_memory(tmp_path):
    content = bytearray(jpeg())
    place = content.find(b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", 30000, 30000)
    (tmp_path / "picture").write_bytes(bytes(content))
    code = "import sys; from caffe_losses.data import Transform; Transform(**eval(sys.argv[2])).decode(sys.argv[1])"
    (tmp_path / "small").write_bytes(jpeg())
    for name, options in (("picture", {}), ("small", {"new_height": 30000, "new_width": 30000})):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / name), repr(options)], capture_output=True, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1500 << 20,) * 2),
        )  # fmt: skip
        assert done.stderr.splitlines()[-1] == (
            f"ValueError: {tmp_path / name} is too large for memory, or for OpenCV; make a smaller one of it"
        )


# No files


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(str(tmp_path / "fifo"))
    for path, kind in ((tmp_path / "fifo", "FIFO"), (tmp_path, "folder"), ("/dev/zero", "device")):
        with pytest.raises(ValueError, match=f"{path} is a {kind}; expected a file"):
            Transform().decode(str(path))
        if kind != "folder":
            with pytest.raises(ValueError, match=f"is a {kind}; expected a file"):
                Transform(mean_file=str(path))


# Transparency

RGBA = np.random.RandomState(1).randint(0, 256, (6, 10, 4)).astype(np.uint8)


def on(background, image=RGBA, opaque=None):
    """BGR on a background."""
    opaque = image[:, :, 3:] / 255 if opaque is None else opaque
    return np.rint(image[:, :, 2::-1] * opaque + np.array(background) * (1 - opaque)).astype(np.uint8)


@pytest.mark.parametrize("form, options", [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})])
def test_what_is_transparent_is_put_on_white(tmp_path, form, options):
    np.testing.assert_allclose(pixels(tmp_path, saved(Image.fromarray(RGBA), form, **options)), on(255), atol=1)


def test_or_on_another_background(tmp_path):
    content = saved(Image.fromarray(RGBA), "PNG")
    np.testing.assert_allclose(pixels(tmp_path, content, background=7), on(7), atol=1)
    np.testing.assert_allclose(pixels(tmp_path, content, background=[1, 2, 200]), on([1, 2, 200]), atol=1)
    rgb = pixels(tmp_path, content, background=[200, 2, 1], color="RGB")
    np.testing.assert_allclose(rgb, on([1, 2, 200])[:, :, ::-1], atol=1)
    gray = pixels(tmp_path, content, background=7, color="GRAY")[:, :, 0]
    np.testing.assert_allclose(gray, on(7) @ [0.114, 0.587, 0.299], atol=2)


def test_what_is_transparent_as_a_whole_is_the_background(tmp_path):
    """And not black, or what was painted over."""
    for image in (np.zeros((4, 4, 4), np.uint8), np.dstack([RGBA[:, :, :3], np.zeros((6, 10))]).astype(np.uint8)):
        assert (pixels(tmp_path, saved(Image.fromarray(image), "PNG")) == 255).all()


def test_palettes_and_keys_and_gray_with_alpha(tmp_path):
    gray = RGBA[:, :, :1]
    three = np.repeat(gray, 3, axis=2)
    alpha = RGBA[:, :, 1:2] / 255
    content = saved(Image.fromarray(np.ascontiguousarray(RGBA[:, :, :2]), "LA"), "PNG")
    np.testing.assert_allclose(pixels(tmp_path, content), on(255, three, alpha), atol=1)
    key = int(gray[2, 3, 0])
    content = saved(Image.fromarray(gray[:, :, 0]), "PNG", transparency=key)
    np.testing.assert_array_equal(pixels(tmp_path, content), on(255, three, np.float32(gray != key)))
    key = tuple(map(int, RGBA[2, 3, :3]))
    content = saved(Image.fromarray(np.ascontiguousarray(RGBA[:, :, :3])), "PNG", transparency=key)
    np.testing.assert_array_equal(
        pixels(tmp_path, content), on(255, RGBA, np.float32((RGBA[:, :, :3] != key).any(axis=2, keepdims=True)))
    )
    palette = Image.fromarray(gray[:, :, 0] % 4, "P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    content = saved(palette, "PNG", transparency=b"\x00\x80\xff\xff")
    colors = np.uint8([[10, 20, 30], [40, 50, 60], [70, 80, 90], [100, 110, 120]])[gray[:, :, 0] % 4]
    opaque = np.array([0, 128, 255, 255])[gray[:, :, 0] % 4][:, :, None] / 255
    np.testing.assert_allclose(pixels(tmp_path, content), on(255, colors, opaque), atol=1)


def test_one_bit_gray_with_a_key(tmp_path):
    content = saved(Image.fromarray(RGBA[:, :, 0] > 127), "PNG", transparency=0)
    assert content[24] == 1
    assert (pixels(tmp_path, content) == 255).all()


def test_sixteen_bits_with_alpha(tmp_path):
    content = cv2.imencode(".png", RGBA[:, :, [2, 1, 0, 3]].astype(np.uint16) * 257)[1].tobytes()
    np.testing.assert_allclose(pixels(tmp_path, content), on(255), atol=1)


@pytest.mark.parametrize("form, options", [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_transparent_pictures_are_turned_as_others(tmp_path, form, options, orientation):
    """The opaque picture is turned by OpenCV."""
    exif = Image.Exif()
    exif[0x112] = orientation
    flat = np.dstack([on(255)[:, :, ::-1], np.full((6, 10), 255, np.uint8)])
    expected = pixels(tmp_path, saved(Image.fromarray(flat), form, exif=exif, **options))
    np.testing.assert_allclose(
        pixels(tmp_path, saved(Image.fromarray(RGBA), form, exif=exif, **options)), expected, atol=1
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "I;16", "CMYK", "RGBA"])
def test_opaque_pictures_are_as_opencv_has_them(tmp_path, mode):
    image = Image.fromarray(np.dstack([RGBA[:, :, :3], np.full((6, 10), 255, np.uint8)]))
    image = Image.fromarray(RGBA[:, :, 0].astype(np.uint16) * 256) if mode == "I;16" else image.convert(mode)
    content = saved(image, "JPEG" if mode == "CMYK" else "PNG")
    for color, flag in (("BGR", 1), ("GRAY", 0)):
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), flag).reshape(6, 10, -1)
        np.testing.assert_array_equal(pixels(tmp_path, content, color=color), expected)


@pytest.mark.parametrize("background, message", [
    (256, r"background must be a number in \[0, 255\], or a list of one a channel, or|got 256"),
    ([1, 2], "2 backgrounds for BGR; give 1 or 3"),
    ("white", "background must be a number"),
    ([0, -1, 0], "background must be a number"),
])  # fmt: skip
def test_backgrounds_that_are_none(background, message):
    with pytest.raises(ValueError, match=message):
        Transform(background=background)


def test_damage_is_one_line(tmp_path):
    content = jpeg()
    with pytest.raises(ValueError, match="is damaged") as refusal:
        pixels(tmp_path, content[:3000] + b"\xff\xd9")
    assert re.fullmatch(r"\S+/picture is damaged: Corrupt JPEG data: [\w ]+", str(refusal.value))
