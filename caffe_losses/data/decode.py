"""From a picture file to its pixels, by OpenCV. Files that are damaged are refused, which OpenCV alone does not do.

Decoders tell of damage on stderr: libjpeg fills what is missing with grey, prints a line and goes on.
"""

import os
import re
import struct
import threading
from contextlib import contextmanager

import numpy as np

from .. import files

DAMAGE = re.compile(
    rb"Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|Invalid SOS param|libpng error|\[ *ERROR"
)
TOO_LARGE = re.compile(r"CV_IO_MAX_IMAGE|\(-4:|[Ii]nsufficient memory|[Ff]ailed to allocate")
JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
TIFF = b"II*\0", b"MM\0*"
MARKER = re.compile(rb"\xff([\x01-\xfe])")
SCAN_END = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # in a scan, 0xff has a 0 or a restart marker behind it
EXIF = re.compile(rb"(?:eXIf|EXIF.{4})(?:Exif\0\0)?(II\*\0|MM\0\*)", re.DOTALL)
TURNS = {  # what undoes an EXIF orientation
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


def decode(path, flag, background):
    """A picture as OpenCV decodes it, in 8 bits; what is transparent shows the background.

    flag        of cv2.imdecode: IMREAD_COLOR or IMREAD_GRAYSCALE
    background  a number in [0, 255], or one for each channel of the result

    ValueError for a file that is no picture, not all of one, damaged, or too large for the memory. OSError for a file
    that cannot be read.
    """
    import cv2

    try:
        content = files.read(path)
        if content.startswith(JPEG):
            return decoded(path, whole_jpeg(path, content), flag)
        opaque = opacity(path, content)
        if opaque is None:
            return decoded(path, content, flag)
        image = decoded(path, content, flag | cv2.IMREAD_IGNORE_ORIENTATION)
        multiplied = content.startswith(TIFF) and opaque.dtype == np.uint8  # by libtiff
        return turned(flattened(image, opaque, background, multiplied), content)
    except MemoryError:
        raise too_large(path) from None


def decoded(path, content, flag):
    import cv2

    with stderr_lines() as lines:
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flag) if content else None
        except cv2.error as error:
            lines.append(str(error).encode())
            image = None
    damage = [line.decode(errors="replace") for line in lines if DAMAGE.search(line)]
    if image is None and any(TOO_LARGE.search(line.decode(errors="replace")) for line in lines):
        raise too_large(path)
    if image is None:
        raise not_whole(path)
    if damage:
        raise ValueError(f"{path} is damaged: {damage[0].strip()[-120:]}")
    return image


def not_whole(path):
    return ValueError(f"{path} is no image that can be decoded, or not all of one")


def too_large(path):
    return ValueError(f"{path} is too large for memory, or for OpenCV; make a smaller one of it")


# What decoders print

TURN = threading.Lock()


@contextmanager
def stderr_lines():
    """The list of what is written to stderr while the block runs; what is of no decoder's damage, goes on to stderr.

    Decoders of OpenCV have no other way to tell of damage. One block at a time, as stderr is the whole process's.
    """
    lines = []
    with TURN, files.memory() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(stderr, 2)
            file.seek(0)
            printed = file.read().splitlines(True)
            lines += printed
            others = b"".join(line for line in printed if not DAMAGE.search(line))
            if others:
                os.write(stderr, others)
            os.close(stderr)


# JPEG


def whole_jpeg(path, content):
    """The JPEG without what stands behind it, such as the film of a motion photo. ValueError for a part of one.

    A stretch of zeros in a scan, as a bad disk or an unfinished download leaves it, is refused, too: libjpeg finds
    only some of them. Zeros are the code of the first symbol of each Huffman table. If that is no end of block, zeros
    say that a whole block has the same smallest coefficient everywhere, which no picture has.
    """
    position, first_symbols = 2, {}
    while True:
        marker = MARKER.search(content, position)
        if not marker:
            raise not_whole(path)
        kind, position = marker.group(1)[0], marker.end()
        if kind == 0xD9:
            return content[:position]
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:
            continue  # of those alone, no length follows
        segment = content[position + 2 : position + int.from_bytes(content[position : position + 2], "big")]
        position += len(segment) + 2
        if kind == 0xC4:
            first_symbols.update(tables_in(segment))
        elif kind == 0xDA:
            end = SCAN_END.search(content, position)
            if not end:
                raise not_whole(path)
            zeros = content.find(bytes(32), position, end.start())
            if zeros >= 0 and any(first_symbols.get(table, 0) & 15 for table in tables_of(segment)):
                raise ValueError(f"{path} is damaged: zeros from byte {zeros} on, in the middle of the picture")
            position = end.start()


def tables_in(segment):
    """(class and number, first symbol) of each Huffman table in a segment that defines some."""
    while len(segment) > 17:
        yield segment[0], segment[17]
        segment = segment[17 + sum(segment[1:17]) :]


def tables_of(segment):
    """The class and number of each Huffman table for AC coefficients that a scan uses."""
    if len(segment) < 6 or segment[-2] == 0:  # the last coefficient is the first: DC alone
        return []
    return [0x10 | pair & 15 for pair in segment[2 : 1 + 2 * segment[0] : 2]]


# Transparency


def opacity(path, content):
    """How opaque each pixel is, as it is in the file, of shape (height, width, 1). None if all are opaque."""
    import cv2

    if content.startswith(PNG) and content[25:26] not in b"\4\6" and b"tRNS" not in content[: content.find(b"IDAT")]:
        return None
    image = decoded(path, content, cv2.IMREAD_UNCHANGED)
    if image.ndim == 3 and image.shape[2] == 4:
        opaque = image[:, :, 3:]
    elif image.ndim == 2 and content.startswith(PNG) and content[25] == 0:
        opaque = gray_key(content, image)
    else:
        return None
    return None if (opaque >= most(opaque)).all() else opaque


def most(opaque):
    return np.iinfo(opaque.dtype).max if np.issubdtype(opaque.dtype, np.integer) else 1


def gray_key(content, image):
    """The opacity of a gray PNG that has a transparent gray: OpenCV leaves that one out."""
    place = content.find(b"tRNS", 0, content.find(b"IDAT"))
    key, depth = struct.unpack(">H", content[place + 4 : place + 6])[0], content[24]
    return np.float32(image != key * (255 // (2**depth - 1) if depth < 8 else 1))[:, :, None]


def flattened(image, opaque, background, multiplied):
    """The image on a background.

    multiplied  whether the colors are multiplied by the opacity already
    """
    share = opaque / np.float32(most(opaque))
    colors = image.reshape(*image.shape[:2], -1) * (1 if multiplied else share)
    mixed = np.rint(colors + np.float32(background) * (1 - share))
    return np.minimum(mixed, 255).astype(np.uint8).reshape(image.shape)


def turned(image, content):
    """The image as its EXIF orientation says; of a PNG or a WebP. OpenCV cannot turn the opacity."""
    match = EXIF.search(content) if content[:4] in (PNG[:4], b"RIFF") else None
    return TURNS.get(orientation(content[match.start(1) :]), np.asarray)(image) if match else image


def orientation(tiff):
    """The value of the tag 0x112 in the first directory of EXIF data; None if it has none."""
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (place,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, place)
        tags = [struct.unpack_from(order + "HHIH", tiff, place + 2 + 12 * k) for k in range(count)]
    except struct.error:
        return None
    return next((value for tag, _, _, value in tags if tag == 0x112), None)
