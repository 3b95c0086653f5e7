"""The outermost fields of an ONNX file: a protocol buffer has no magic, but it has a shape."""

from typing import Final

from service.peek.source import Broken, Source

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
# Fields of onnx.ModelProto and how each is written.
_FIELDS: Final = {
    1: _VARINT,  # ir_version
    2: _LENGTH,  # producer_name
    3: _LENGTH,  # producer_version
    4: _LENGTH,  # domain
    5: _VARINT,  # model_version
    6: _LENGTH,  # doc_string
    7: _LENGTH,  # graph
    8: _LENGTH,  # opset_import
    14: _LENGTH,  # metadata_props
    20: _LENGTH,  # training_info
    25: _LENGTH,  # functions
    26: _LENGTH,  # configuration
}
_GRAPH, _OPSETS = 7, 8
_MAX_FIELDS: Final = 10_000
_MAX_IR: Final = 127  # one byte; it is 13 in 2026


def looks_like_onnx(head: bytes) -> bool:
    """Whether it begins as ONNX files do: with the version, then a producer or the graph."""
    return len(head) >= 3 and head[0] == 0x08 and 1 <= head[1] <= _MAX_IR and _known(head[2])


def check(source: Source) -> None:
    """Raises Broken unless known fields fill the file, a graph and operator sets among them."""
    at, seen = 0, set()
    for _ in range(_MAX_FIELDS):
        if at == source.size:
            break
        at, number = _field(source, at)
        seen.add(number)
    else:
        raise Broken(f"it has more than {_MAX_FIELDS} parts")
    if not {_GRAPH, _OPSETS} <= seen:
        raise Broken("it has no graph, or no operator sets")


def _field(source: Source, at: int) -> tuple[int, int]:
    """(where it ends, its number)."""
    head = source.bytes_at(at, 20)
    tag, used = _varint(head, 0)
    number, kind = tag >> 3, tag & 7
    if _FIELDS.get(number) != kind:
        raise Broken(f"it has a part that ONNX does not know, at byte {at}")
    value, used = _varint(head, used)
    end = at + used + (value if kind == _LENGTH else 0)
    if end > source.size:
        raise Broken("it was cut")
    return end, number


def _known(tag: int) -> bool:
    return _FIELDS.get(tag >> 3) == tag & 7


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends)."""
    value = 0
    for index, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise Broken("it was cut")
