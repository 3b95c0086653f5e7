"""Keys: `mp_`, 32 random characters, and a checksum that tells a mistyped key from a wrong one."""

import re
import secrets
import zlib
from typing import Final

_PREFIX: Final = "mp_"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM: Final = 32  # 190 bits
_CHECK: Final = 6

KEY_SHAPED: Final = re.compile(rb"mp_[0-9A-Za-z]{%d}" % (_RANDOM + _CHECK))
_SHAPED_TEXT: Final = re.compile(KEY_SHAPED.pattern.decode())


def generate_key() -> str:
    """A fresh secret. Only its SHA-256 is ever stored."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return f"{_PREFIX}{body}{_checksum(body)}"


def without_keys(text: str) -> str:
    """`text` with what looks like a key cut down to its beginning, for logs and errors."""
    return _SHAPED_TEXT.sub(lambda found: f"{hint_of(found[0])}…", text)


def is_well_formed(key: str) -> bool:
    """Whether it can be a key at all: no look-up is needed to refuse one that cannot."""
    body, check = key[len(_PREFIX) : -_CHECK], key[-_CHECK:]
    return key.startswith(_PREFIX) and len(body) == _RANDOM and check == _checksum(body)


def hint_of(key: str) -> str:
    """Its beginning, by which its owner knows it; what follows has 166 bits."""
    return key[: len(_PREFIX) + 4]


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECK):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
