"""Where a webhook's URL points. One strict reading, so that no two parsers disagree on the host."""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from service.addresses import Address, Network, is_global, may_reach

_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:[/?][!$-;=?-Z_a-z~]*)?)",
    re.ASCII | re.IGNORECASE,
)
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LAST_LABEL: Final = re.compile(r"[a-z][a-z0-9-]*")
_PORTS: Final = {"http": 80, "https": 443}
_FIRST_FREE_PORT: Final = 1024
_MOST_ADDRESSES: Final = 8

Resolve = Callable[[str, int], Sequence[str]]


class NotAllowed(ValueError):
    """A message may not go there."""


class NotFound(ValueError):
    """The host has no address."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    scheme: str
    host: str
    """A name in lower case, or an address without brackets."""
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def read_url(url: str, networks: Sequence[Network]) -> Target:
    """What is known to be wrong without asking for the host's addresses raises NotAllowed."""
    found = _URL.fullmatch(url)
    if found is None:
        raise NotAllowed(
            "must be https://host[:port][/path] in ASCII: no user, password or fragment, "
            "names of other alphabets as xn--…"
        )
    scheme = found["scheme"].lower()
    port = int(found["port"] or _PORTS[scheme])
    if not (port in _PORTS.values() or _FIRST_FREE_PORT <= port <= 65_535):
        raise NotAllowed(f"port must be 80, 443 or from {_FIRST_FREE_PORT} to 65535")
    if scheme == "http" and not networks:
        raise NotAllowed("must begin with https://")
    target = Target(scheme, _host(found["host"].lower()), port, _path(found["path"]))
    literal = _literal(target.host)
    if literal is not None:
        _check(target, literal, networks)
    return target


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            raise NotAllowed("that is no IPv6 address") from None
    labels = text.split(".")
    # As browsers have it: a host whose last label is a number is an address, however written.
    if not _LAST_LABEL.fullmatch(labels[-1]):
        return _quad(text)
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise NotAllowed("that is no host name")
    return text


def _quad(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise NotAllowed(
            "a host is a name without a dot at its end, or an address as 192.0.2.1 or [2001:db8::1]"
        ) from None


def _path(text: str) -> str:
    return text if text.startswith("/") else f"/{text}"


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def addresses_of(target: Target, networks: Sequence[Network], resolve: Resolve) -> list[Address]:
    """The addresses to connect to, asked for once. Raises NotFound, or NotAllowed where even one of
    them is out of bounds: a name that has such an address is up to no good."""
    literal = _literal(target.host)
    found = [literal] if literal is not None else _resolved(target, resolve)
    for address in found:
        _check(target, address, networks)
    return found[:_MOST_ADDRESSES]


def _resolved(target: Target, resolve: Resolve) -> list[Address]:
    try:
        texts = resolve(target.host, target.port)
    except (OSError, UnicodeError):
        texts = ()
    if not texts:
        raise NotFound(f"{target.host} has no address")
    return [ip_address(text.partition("%")[0]) for text in dict.fromkeys(texts)]


def _check(target: Target, address: Address, networks: Sequence[Network]) -> None:
    """The message does not say which address: callers could read a private zone by it."""
    if not may_reach(address, networks):
        raise NotAllowed(f"{target.host} is no address that messages may go to")
    if target.scheme == "http" and is_global(address):
        raise NotAllowed("must begin with https:// outside of the operator's own networks")


def system_resolve(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]
