"""No URL makes the service connect to an address of its own house."""

import ipaddress
import random
import socket
from collections.abc import Sequence

import pytest

from service.addresses import Address, is_global, may_reach, parse_networks
from service.webhooks.sending import Sender
from service.webhooks.target import NotAllowed, read_url, system_resolve
from tests.webhooks import hostile
from tests.webhooks.receiver import receiving

LOOPBACK = parse_networks("127.0.0.0/8, ::1/128")
EVERYTHING = parse_networks("0.0.0.0/0, ::/0")


def resolve(host: str, port: int) -> Sequence[str]:
    """The names of the tests; numbers as the system reads them, hexadecimal and octal too."""
    return hostile.NAMES.get(host) or system_resolve(host, port)


def no_names(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"asked for {host}")


def test_no_hostile_url_makes_a_connection() -> None:
    dialled: list[str] = []

    def dial(address: str, port: int, timeout_s: float) -> socket.socket:
        dialled.append(address)
        return socket.create_connection((address, port), timeout_s)

    with receiving() as receiver:
        sender = Sender(resolve=resolve, dial=dial)
        urls = hostile.urls(receiver.port)
        answers = [sender.send(url, {}, b"{}") for url in urls]
        assert receiver.connections == 0
    assert dialled == []
    assert len(urls) >= 60
    assert all(answer.error for answer in answers)


def test_the_server_of_these_tests_would_have_noticed() -> None:
    with receiving() as receiver:
        sender = Sender(LOOPBACK, resolve=resolve)
        for host in ("127.0.0.1", "loopback.test", "mapped.test", "[::ffff:127.0.0.1]"):
            answer = sender.send(f"http://{host}:{receiver.port}/hook", {}, b"{}")
            assert answer.arrived, (host, answer)
        assert receiver.connections == 4


@pytest.mark.parametrize("url", hostile.SPELLINGS)
def test_what_shows_in_the_url_is_refused_before_it_is_kept(url: str) -> None:
    with pytest.raises(NotAllowed):
        read_url(url.replace("{port}", "8443"), ())


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254", "168.63.129.16",
     "100.100.100.200", "192.0.0.192", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "fd20:ce::254",
     "64:ff9b::a9fe:a9fe"],
)  # fmt: skip
def test_metadata_and_link_local_stay_shut_whatever_the_operator_opened(address: str) -> None:
    assert not may_reach(ipaddress.ip_address(address), EVERYTHING)


def test_an_opened_network_is_reached_and_its_neighbours_are_not() -> None:
    opened = parse_networks("10.1.0.0/16")
    assert may_reach(ipaddress.ip_address("10.1.2.3"), opened)
    assert may_reach(ipaddress.ip_address("::ffff:10.1.2.3"), opened)
    assert not may_reach(ipaddress.ip_address("10.2.0.1"), opened)


def test_no_address_is_global_that_the_standard_library_says_is_not() -> None:
    draw = random.Random(0)
    corners = [4, 10, 100, 127, 169, 172, 192, 198, 203, 224, 240, 255]
    four = [draw.choice(corners) << 24 | draw.getrandbits(24) for _ in range(20_000)]
    six = [draw.getrandbits(128) for _ in range(5_000)]
    six += [0x2001 << 112 | draw.getrandbits(112) for _ in range(5_000)]
    addresses: list[Address] = [ipaddress.IPv4Address(number) for number in four]
    addresses += [ipaddress.IPv6Address(number) for number in six]
    wrong = [a for a in addresses if is_global(a) and (not a.is_global or a.is_multicast)]
    assert wrong == []
    assert sum(map(is_global, addresses)) > 5_000


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"])
def test_addresses_of_the_internet_are_global(address: str) -> None:
    assert is_global(ipaddress.ip_address(address))


def test_the_name_is_asked_for_once_and_the_checked_address_is_the_one_dialled() -> None:
    answers = iter([["127.0.0.1"], ["10.9.9.9"]])  # a name whose address changes at once
    with receiving() as receiver:
        sender = Sender(LOOPBACK, resolve=lambda host, port: next(answers))
        url = f"http://rebinding.test:{receiver.port}/hook?a=1"
        assert sender.send(url, {}, b"{}").arrived
        assert [one.path for one in receiver.received] == ["/hook?a=1"]
        assert receiver.received[0].headers["host"] == f"rebinding.test:{receiver.port}"
    assert next(answers) == ["10.9.9.9"]


def test_a_redirect_is_not_followed() -> None:
    with receiving() as inner, receiving() as outer:
        outer.status = 307
        outer.answer_headers = {"location": f"http://127.0.0.1:{inner.port}/"}
        answer = Sender(LOOPBACK).send(f"http://127.0.0.1:{outer.port}/", {}, b"{}")
        assert (answer.status, answer.error) == (307, "answered 307; redirects are not followed")
        assert (outer.connections, inner.connections) == (1, 0)


def test_plain_http_is_for_the_operators_own_networks() -> None:
    with pytest.raises(NotAllowed, match="https"):
        read_url("http://hooks.example.com/", ())
    sender = Sender(LOOPBACK, resolve=lambda host, port: ["93.184.216.34"], dial=no_dial)
    error = sender.send("http://hooks.example.com/", {}, b"{}").error
    assert error is not None
    assert "https" in error


def test_the_error_does_not_tell_what_a_name_resolves_to() -> None:
    sender = Sender(resolve=lambda host, port: ["10.20.30.40"], dial=no_dial)
    error = sender.send("https://secret.internal/", {}, b"{}").error
    assert error == "secret.internal is no address that messages may go to"


def test_an_address_in_the_url_is_not_asked_for() -> None:
    with receiving() as receiver:
        sender = Sender(LOOPBACK, resolve=no_names)
        assert sender.send(f"http://127.0.0.1:{receiver.port}/", {}, b"{}").arrived


def no_dial(address: str, port: int, timeout_s: float) -> socket.socket:
    raise AssertionError(f"dialled {address}")
