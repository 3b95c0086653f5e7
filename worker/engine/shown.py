"""Names that strangers chose, as messages can hold them."""

from collections.abc import Sequence
from typing import Final

_MOST_CHARACTERS: Final = 80


def shown(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are; each as by `shown_name`."""
    return listed([shown_name(name) for name in names[:most]], len(names))


def shown_name(name: str) -> str:
    """Cut if it is long, spelt out if it is odd."""
    head = name[: _MOST_CHARACTERS + 1]
    plain = head if head.isprintable() else ascii(head)[1:-1]
    return plain if len(plain) <= _MOST_CHARACTERS else f"{plain[: _MOST_CHARACTERS - 3]}..."


def listed(parts: Sequence[str], count: int) -> str:
    """Parts that are fit to be shown, out of `count`."""
    rest = count - len(parts)
    return ", ".join(parts) + (f" and {rest} more" if rest > 0 else "")
