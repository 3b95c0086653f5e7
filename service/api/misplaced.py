"""Keys where they have no place: names, labels, paths and headers are stored, shown and logged."""

from collections.abc import Iterable
from typing import Final

from service.errors import BadRequest, ServiceError
from service.key_text import KEY_SHAPED, is_well_formed

_THEIR_PLACE: Final = frozenset({b"authorization", b"cookie"})


def refuse_in_address(path: str, query: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises BadRequest for a key in a path, a query, or a header that is not made for one."""
    if _holds_key(path.encode("utf-8", "replace")) or _holds_key(query):
        raise _misplaced("the address")
    for name, value in headers:
        if name not in _THEIR_PLACE and _holds_key(value):
            raise _misplaced(f"the header {name.decode('latin-1')}")


def refuse_in_body(body: bytes) -> None:
    """Raises BadRequest for a key in a JSON body."""
    if _holds_key(body):
        raise _misplaced("the body")


def _holds_key(data: bytes) -> bool:
    # the checksum tells a key from a word that looks like one
    return any(is_well_formed(found.decode()) for found in KEY_SHAPED.findall(data))


def _misplaced(where: str) -> ServiceError:
    return BadRequest(
        f"a key stands in {where}, where it would be stored or logged: send it as "
        "`Authorization: Bearer …` only, and rotate this one",
        code="misplaced_key",
    )
