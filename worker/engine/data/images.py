"""One image from anybody: PNG or JPEG of any kind, to RGB of one size."""

from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile

from worker.engine.data.findings import Size

FORMATS: Final = ("PNG", "JPEG")
SUFFIXES: Final = (".png", ".jpg", ".jpeg")
MAX_PIXELS: Final = 25_000_000
_UPRIGHT: Final = {  # by EXIF orientation; from 5 on the sides are swapped
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP_MODES: Final = ("I;16", "I;16B", "I;16L", "I")


class Undecodable(Exception):
    """The bytes are not an image that is taken."""


@dataclass(frozen=True)
class Decoded:
    """Pixels uint8 [3, H, W], and the size that the image came in."""

    pixels: NDArray[np.uint8]
    came_as: Size


def decode(file: BinaryIO, size: Size) -> Decoded:
    """The image, upright, resized to `size` by bilinear interpolation over all pixels it covers.

    Transparency is dropped rather than blended, as torchvision's ImageFolder does; of 16 bits the
    upper eight are kept. Raises Undecodable.
    """
    try:
        image = _opened(file)
        came_as = _upright_size(image)
        if isinstance(image, JpegImageFile):
            # The decoder shrinks large images by 2, 4 or 8 as it goes; twice the size is kept,
            # so that our own resizing decides what the image looks like.
            image.draft("RGB", (2 * max(size), 2 * max(size)))
        image.load()  # a PNG may say which way is up behind its pixels
        turn = _UPRIGHT.get(_orientation(image))
        upright = _rgb(image if turn is None else image.transpose(turn))
        height, width = size
        if upright.size != (width, height):
            upright = upright.resize((width, height), Image.Resampling.BILINEAR)
        return Decoded(np.ascontiguousarray(np.asarray(upright).transpose(2, 0, 1)), came_as)
    except Exception as error:
        raise _undecodable(error) from error


def size_of(file: BinaryIO) -> Size:
    """Height and width of the upright image, from its header. Raises Undecodable."""
    try:
        return _upright_size(_opened(file))
    except Exception as error:
        raise _undecodable(error) from error


def _undecodable(error: Exception) -> Exception:
    # Decoders raise whatever they stumble over in hostile bytes; only our memory is our affair.
    return error if isinstance(error, MemoryError) else Undecodable(str(error))


def _opened(file: BinaryIO) -> Image.Image:
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise Undecodable(f"more than {MAX_PIXELS} pixels")
    return image


def _upright_size(image: Image.Image) -> Size:
    turned = isinstance(image, JpegImageFile) and _orientation(image) >= 5
    return (image.width, image.height) if turned else (image.height, image.width)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # cameras and editors write broken EXIF around sound pixels
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_MODES:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # a palette may have many transparent colours
    return image.convert("RGB")
