"""Which addresses a message to a webhook may go to.

Global ones by IANA's registries of special-purpose addresses, and those inside the networks that
the operator opened. An IPv6 address that stands for an IPv4 one is judged as that.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# https://www.iana.org/assignments/iana-ipv4-special-registry; multicast; the old 6to4 relays
_NOT_GLOBAL_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
_GLOBAL_6: Final = IPv6Network("2000::/3")  # all that is given out as global unicast
# https://www.iana.org/assignments/iana-ipv6-special-registry, inside of it
_NOT_GLOBAL_6: Final = tuple(
    map(
        IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
# Whatever the operator opened: link-local, multicast, nobody's, and where clouds keep credentials.
_NEVER: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
            "::/128", "fe80::/10", "ff00::/8",
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure
            "192.0.0.192/32",  # Oracle
            "fd00:ec2::/32",  # Amazon
            "fd20:ce::254/128",  # Google
        ),
    )
)  # fmt: skip


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks written as CIDRs with commas between. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def may_reach(address: Address, networks: Sequence[Network]) -> bool:
    """Whether a message may go there."""
    address = meant_by(address)
    if _within(address, _NEVER):
        return False
    return is_global(address) or _within(address, networks)


def is_global(address: Address) -> bool:
    """Whether it belongs to somebody on the internet."""
    address = meant_by(address)
    if isinstance(address, IPv4Address):
        return not _within(address, _NOT_GLOBAL_4)
    return address in _GLOBAL_6 and not _within(address, _NOT_GLOBAL_6)


def meant_by(address: Address) -> Address:
    """Where a packet goes in the end."""
    if isinstance(address, IPv6Address) and _within(address, (_NAT64, _MAPPED)):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == net.version and address in net for net in networks)
