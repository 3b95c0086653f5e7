"""Both ends of a parquet file; what lies between is for a worker."""

from typing import Final

from service.peek.source import Broken, Source, unpack

MAGIC: Final = b"PAR1"
_FOOTER_MAX: Final = 64 << 20
_FRAME: Final = 12  # a magic at each end and the footer's length


def check(source: Source) -> None:
    """Raises Broken unless it begins and ends as parquet does."""
    tail = source.bytes_at(max(4, source.size - 8), 8)
    if not tail.endswith(MAGIC) or len(tail) < 8:
        raise Broken("its end is not there")
    (length,) = unpack("<I", tail)
    if not 0 < length <= min(_FOOTER_MAX, source.size - _FRAME):
        raise Broken("its footer is longer than the file, or than is taken")
