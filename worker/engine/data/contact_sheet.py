"""A picture of some examples of each class, for people to see what the data are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worker.engine.data.rows import Part

CLASSES: Final = 16
EXAMPLES: Final = 8

_SMALLEST, _LARGEST = 48, 96  # pixels a side of an example
_GAP, _MARGIN = 6, 16
_WIDEST_CAPTION: Final = 160
_FONT_SIZE, _SMALL_SIZE = 15, 12
_PAPER, _INK, _FAINT, _LINE = "#ffffff", "#1f2328", "#59636e", "#d1d9e0"


def draw_contact_sheet(
    part: Part, classes: int, labels: tuple[str, ...] | None, path: Path
) -> None:
    """Write a PNG: a row each for the first 16 classes, of up to 8 examples, evenly spaced."""
    shown = min(classes, CLASSES)
    counts = [int((part.y == label).sum()) for label in range(shown)]
    captions = [
        (_shortened(_name(label, labels)), f"{count:,} image{'' if count == 1 else 's'}")
        for label, count in enumerate(counts)
    ]
    width, height = _cell(part.rows.shape)
    left = _MARGIN + _width(captions) + 2 * _GAP
    rest = classes - shown
    sheet = Image.new(
        "RGB",
        (
            left + EXAMPLES * (width + _GAP) - _GAP + _MARGIN,
            2 * _MARGIN + shown * (height + _GAP) - _GAP + (_SMALL_SIZE + 2 * _GAP if rest else 0),
        ),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for label, caption in enumerate(captions):
        top = _MARGIN + label * (height + _GAP)
        _write(draw, top + height // 2, caption)
        for column, pixels in enumerate(_examples(part, label)):
            corner = (left + column * (width + _GAP), top)
            sheet.paste(_fitted(pixels, (width, height)), corner)
            _frame(draw, corner, (width, height))
    if rest:
        words = f"and {rest:,} more class{'' if rest == 1 else 'es'}"
        at = (_MARGIN, sheet.height - _MARGIN - _SMALL_SIZE)
        draw.text(at, words, _FAINT, _font(_SMALL_SIZE), anchor="lt")
    sheet.save(path, "PNG")


def _examples(part: Part, label: int) -> Sequence[NDArray[Any]]:
    positions = part.order[part.y == label]
    spread = np.linspace(0, len(positions) - 1, min(EXAMPLES, len(positions))).round()
    chosen = positions[spread.astype(np.int64)]
    return [part.rows.read(int(at), int(at) + 1)[0].copy() for at in chosen]


def _cell(shape: tuple[int, ...]) -> tuple[int, int]:
    """(width, height) of an example: whole multiples where it is enlarged, so that pixels stay
    pixels."""
    _, height, width = shape
    longer = max(height, width)
    if longer <= _LARGEST:
        factor: float = max(1, -(-_SMALLEST // longer))
    else:
        factor = _LARGEST / longer
    return max(1, round(width * factor)), max(1, round(height * factor))


def _fitted(pixels: NDArray[Any], size: tuple[int, int]) -> Image.Image:
    grown = size[0] >= pixels.shape[2]
    resampling = Image.Resampling.NEAREST if grown else Image.Resampling.LANCZOS
    return _as_image(pixels).resize(size, resampling)


def _as_image(pixels: NDArray[Any]) -> Image.Image:
    """[C, H, W]: three channels and more show the first three, fewer the first."""
    if len(pixels) < 3:
        return Image.fromarray(np.ascontiguousarray(pixels[0]))
    return Image.fromarray(np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))


def _frame(draw: ImageDraw.ImageDraw, corner: tuple[int, int], size: tuple[int, int]) -> None:
    """A line around an example: some are as white as the paper."""
    x, y = corner
    draw.rectangle((x - 1, y - 1, x + size[0], y + size[1]), outline=_LINE)


def _width(captions: Sequence[tuple[str, str]]) -> int:
    names, counts = zip(*captions, strict=True)
    font, small = _font(_FONT_SIZE), _font(_SMALL_SIZE)
    return round(max(*map(font.getlength, names), *map(small.getlength, counts)))


def _write(draw: ImageDraw.ImageDraw, middle: int, caption: tuple[str, str]) -> None:
    name, count = caption
    draw.text((_MARGIN, middle - 1), name, _INK, _font(_FONT_SIZE), anchor="ld")
    draw.text((_MARGIN, middle + 3), count, _FAINT, _font(_SMALL_SIZE), anchor="lt")


def _name(label: int, labels: tuple[str, ...] | None) -> str:
    """A name in letters that the built-in font does not have would be a row of boxes."""
    if labels is None or not _is_drawable(labels[label]):
        return f"class {label}"
    return labels[label]


def _is_drawable(text: str) -> bool:
    font = _font(_FONT_SIZE)
    missing = bytes(font.getmask("\U0010ffff"))
    return all(bytes(font.getmask(letter)) != missing for letter in text)


def _shortened(text: str) -> str:
    font = _font(_FONT_SIZE)
    if font.getlength(text) <= _WIDEST_CAPTION:
        return text
    while text and font.getlength(text + "…") > _WIDEST_CAPTION:
        text = text[:-1]
    return text.rstrip() + "…"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
