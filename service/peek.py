"""The first look at an upload: headers only, by code that parses no content and loads no library.

What it lets pass is still only a claim; a worker reads the content in a child of its own.
"""

import json
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator
from io import RawIOBase
from math import prod
from typing import Any, Final

from service.errors import Invalid, Unsupported

SAFETENSORS_HEADER_MAX: Final = 16 << 20
_MAX_TENSORS: Final = 20_000
_MAX_RANK: Final = 8
_MAX_MEMBERS: Final = 2_000_000
_DTYPE_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip

ReadRange = Callable[[int, int], Iterable[bytes]]


def check_weights(size: int, read: ReadRange) -> None:
    """Raises Unsupported or Invalid unless it looks like a safetensors file of `size` bytes."""
    head = _bytes(read, 0, min(size, 16))
    _refuse_other_formats(head)
    if len(head) < 8:
        raise _bad("it is shorter than a safetensors header")
    (length,) = struct.unpack("<Q", head[:8])
    if not 2 <= length <= min(SAFETENSORS_HEADER_MAX, size - 8):
        raise _bad("its header is longer than the file, or than is taken")
    header = _parse_header(_bytes(read, 8, 8 + length))
    _check_tensors(header, size - 8 - length)


def check_archive(size: int, read: ReadRange) -> None:
    """Raises Unsupported or Invalid unless it looks like a zip (or npz) with a sane directory."""
    head = _bytes(read, 0, min(size, 4))
    if not head.startswith(b"PK"):
        raise Unsupported(
            "a dataset is a .npz, or a zip of an ImageFolder", code="unsupported_dataset_file"
        )
    try:
        with zipfile.ZipFile(_Ranged(size, read)) as archive:
            count = len(archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise Invalid.at("#/file", f"not a whole zip archive: {error}", "invalid_dataset") from None
    if not 0 < count <= _MAX_MEMBERS:
        raise Invalid.at("#/file", f"the archive has {count} members", "invalid_dataset")


def _refuse_other_formats(head: bytes) -> None:
    if head.startswith(b"PK"):
        raise Unsupported(
            "this is a zip, such as torch.save or TorchScript make; send safetensors: "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')",
            code="unsupported_weights",
        )
    if head[:1] == b"\x80":
        raise Unsupported(
            "this is a pickle, which can run code; send safetensors: "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')",
            code="unsupported_weights",
        )


def _parse_header(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(raw, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _bad(f"its header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise _bad("its header is not an object")
    return header


def _check_tensors(header: dict[str, Any], data_bytes: int) -> None:
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if not 0 < len(tensors) <= _MAX_TENSORS:
        raise _bad(f"it has {len(tensors)} tensors")
    spans = sorted(_span(name, entry) for name, entry in tensors.items())
    at = 0
    for begin, end in spans:
        if begin != at:
            raise _bad("its tensors overlap or leave gaps")
        at = end
    if at != data_bytes:
        raise _bad("its tensors do not fill the file")


def _span(name: str, entry: Any) -> tuple[int, int]:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]}:
            numbers = [*shape, begin, end]
        case _:
            raise _bad(f"the entry of {name[:80]!r} is malformed")
    sane = all(type(n) is int and 0 <= n < 1 << 48 for n in numbers)
    if dtype not in _DTYPE_BITS or not sane or len(shape) > _MAX_RANK:
        raise _bad(f"the entry of {name[:80]!r} is malformed")
    if end - begin != prod(shape) * _DTYPE_BITS[dtype] // 8:
        raise _bad(f"{name[:80]!r} has another size than its shape says")
    return begin, end


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


def _bad(reason: str) -> Invalid:
    return Invalid.at("#/file", f"not a whole safetensors file: {reason}", "invalid_model")


def _bytes(read: ReadRange, start: int, end: int) -> bytes:
    return b"".join(read(start, end))


class _Ranged(RawIOBase):
    """Stored bytes as a file that can seek, for zipfile, which reads the directory only."""

    def __init__(self, size: int, read: ReadRange) -> None:
        self._size = size
        self._read = read
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._size)[whence]
        if base + offset < 0:
            raise ValueError("before the start")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        data = b"".join(self._chunks(end))
        self._at = end
        return data

    def _chunks(self, end: int) -> Iterator[bytes]:
        yield from self._read(self._at, end)
