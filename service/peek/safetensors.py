"""The header of safetensors, an entry at a time: no document is built of it.

A header is JSON of a fixed shape, `{"name": {"dtype", "shape", "data_offsets"}, …}` and texts under
`__metadata__`; parsed as a whole, a few megabytes of brackets would become hundreds in memory.
"""

import json
import re
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

from service.peek.source import Broken, Source, unpack

HEADER_MAX: Final = 4 << 20  # 20,000 tensors take less
_MAX_TENSORS: Final = 20_000
_MAX_RANK: Final = 8
_DTYPE_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip

# Possessive, so that nothing is tried twice: time is linear in the header's length.
_STRING: Final = rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"'
_SPACE: Final = rb"[ \t\r\n]*+"
_KEY: Final = re.compile(_SPACE + rb"(" + _STRING + rb")" + _SPACE + rb":" + _SPACE)
_ENTRY: Final = re.compile(rb"\{[^{}]{0,400}+\}")
_TEXTS: Final = re.compile(
    rb"\{(?:%(s)s%(t)s%(s)s:%(s)s%(t)s(?:%(s)s,%(s)s%(t)s%(s)s:%(s)s%(t)s)*+)?+%(s)s\}"
    % {b"s": _SPACE, b"t": _STRING}
)
_NEXT: Final = re.compile(_SPACE + rb"([,}])")
_METADATA: Final = b'"__metadata__"'


@dataclass
class _Found:
    """Spans of bytes; names by their hashes only."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    names: set[int] = field(default_factory=set)


def check(source: Source) -> None:
    """Raises Broken unless it is a whole safetensors file."""
    head = source.bytes_at(0, 8)
    if len(head) < 8:
        raise Broken("it is shorter than a safetensors header")
    (length,) = unpack("<Q", head)
    if not 2 <= length <= min(HEADER_MAX, source.size - 8):
        raise Broken("its header is longer than the file, or than is taken")
    found = _entries(source.bytes_at(8, length))
    at = 0
    for begin, end in sorted(found.spans):
        if begin != at:
            raise Broken("its tensors overlap or leave gaps")
        at = end
    if at != source.size - 8 - length:
        raise Broken("its tensors do not fill the file")


def _entries(header: bytes) -> _Found:
    if header[:1] != b"{":
        raise Broken("its header is not an object")
    found = _Found()
    at = 1
    while True:
        key = _KEY.match(header, at)
        if key is None:
            raise Broken(f"its header is not JSON at byte {at}")
        at = _entry(header, key, found)
        after = _NEXT.match(header, at)
        if after is None:
            raise Broken(f"its header is not JSON at byte {at}")
        at = after.end()
        if after[1] == b"}":
            break
    if header[at:].strip(b" \t\r\n\x00"):
        raise Broken("something follows its header")
    if not found.spans:
        raise Broken("it has no tensors")
    return found


def _entry(header: bytes, key: re.Match[bytes], found: _Found) -> int:
    """Where it ends."""
    if key[1] == _METADATA:
        texts = _TEXTS.match(header, key.end())
        if texts is None or hash(_METADATA) in found.names:
            raise Broken("its metadata is not of texts, or there twice")
        found.names.add(hash(_METADATA))
        return texts.end()
    name = _parsed(key[1])
    entry = _ENTRY.match(header, key.end())
    if entry is None or not isinstance(name, str):
        raise Broken(f"the entry of {str(name)[:80]!r} is malformed")
    if hash(name) in found.names:
        raise Broken(f"{name[:80]!r} is there twice")
    if len(found.spans) >= _MAX_TENSORS:
        raise Broken(f"it has more than {_MAX_TENSORS} tensors")
    found.names.add(hash(name))
    found.spans.append(_span(name, _parsed(entry[0])))
    return entry.end()


def _parsed(raw: bytes) -> Any:
    try:
        return _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise Broken(f"its header is not JSON: {error}") from None


def _span(name: str, entry: Any) -> tuple[int, int]:
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]}:
            numbers = [*shape, begin, end]
        case _:
            raise Broken(f"the entry of {name[:80]!r} is malformed")
    sane = all(type(n) is int and 0 <= n < 1 << 48 for n in numbers)
    if dtype not in _DTYPE_BITS or not sane or len(shape) > _MAX_RANK:
        raise Broken(f"the entry of {name[:80]!r} is malformed")
    if end - begin != prod(shape) * _DTYPE_BITS[dtype] // 8:
        raise Broken(f"{name[:80]!r} has another size than its shape says")
    return begin, end


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name appears twice")
    return found


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_without_duplicates)
