"""One POST to the addresses that were checked, with an end to how long it may take."""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpcore2

from service.addresses import Address, Network
from service.store.deliveries import Answer
from service.webhooks.lookups import Lookups
from service.webhooks.target import (
    NotAllowed,
    NotFound,
    Resolve,
    Target,
    addresses_of,
    read_url,
    system_resolve,
)

SEND_S: Final = 15.0
"""For name, connection, request and answer together."""
_CONNECT_S: Final = 5.0
_ANSWER_BYTES: Final = 64 << 10

Dial = Callable[[str, int, float], socket.socket]


class _TooLate(httpcore2.TimeoutException):
    """The time of the whole try is up."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a try ends, by `time.monotonic`. Time-outs of single reads add up to any length."""

    at: float

    def left(self, most: float | None = None) -> float:
        """Seconds, `most` at most. Raises when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise _TooLate("no time left")
        return left if most is None else min(left, most)


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step ends by the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._sock.settimeout(self._deadline.left(timeout))
        return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._sock.settimeout(self._deadline.left(timeout))
        try:
            self._sock.sendall(buffer)
        except TimeoutError:
            raise
        except OSError as error:  # it may have answered before it hung up: that is read then
            raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        self._sock.settimeout(self._deadline.left(timeout))
        try:
            sock = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except BaseException:
            self.close()
            raise
        return _Stream(sock, self._deadline)


class _Pinned(httpcore2.NetworkBackend):
    """Connects to the addresses that were checked, whatever the name says by now."""

    def __init__(self, addresses: Sequence[Address], deadline: Deadline, dial: Dial) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._dial = dial

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failure: OSError | None = None
        for address in self._addresses:
            try:
                sock = self._dial(str(address), port, self._deadline.left(timeout))
            except OSError as error:
                failure = error
            else:
                return _Stream(sock, self._deadline)
        assert failure is not None, "there is at least one address"
        raise failure


def system_dial(address: str, port: int, timeout_s: float) -> socket.socket:
    """A TCP connection to an address. Raises OSError."""
    return socket.create_connection((address, port), timeout_s)


class Sender:
    """Sends messages to where they may go. Follows no redirect, uses no proxy."""

    def __init__(
        self,
        networks: Sequence[Network] = (),
        *,
        resolve: Resolve = system_resolve,
        dial: Dial = system_dial,
        tls: ssl.SSLContext | None = None,
        send_s: float = SEND_S,
    ) -> None:
        self._networks = tuple(networks)
        self._lookups = Lookups(resolve)
        self._dial = dial
        self._tls = tls or ssl.create_default_context()
        self._send_s = send_s

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What the receiver said, or why there is no answer. Raises nothing that a receiver could
        bring about."""
        deadline = Deadline(time.monotonic() + self._send_s)
        try:
            target = read_url(url, self._networks)
            addresses = addresses_of(
                target,
                self._networks,
                lambda host, port: self._lookups.ask(host, port, deadline.left()),
            )
            status = self._post(target, _Pinned(addresses, deadline, self._dial), headers, body)
        except (NotAllowed, NotFound) as error:
            return Answer(None, str(error))
        except (TimeoutError, httpcore2.TimeoutException):
            return Answer(None, "no answer in time")
        except ssl.SSLError as error:
            return Answer(None, f"TLS: {_tls_words(error)}")
        except OSError as error:
            return Answer(None, f"no connection: {error.strerror or 'it broke'}")
        except (httpcore2.ProtocolError, httpcore2.NetworkError):
            return Answer(None, "it hung up, or what it said is no HTTP")
        return Answer(status, _refusal(status))

    def _post(
        self, target: Target, network: _Pinned, headers: Mapping[str, str], body: bytes
    ) -> int:
        url = httpcore2.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        sent = {
            "host": target.authority,
            "content-length": str(len(body)),
            "connection": "close",
            **headers,
        }
        with (
            httpcore2.ConnectionPool(ssl_context=self._tls, network_backend=network) as pool,
            pool.stream(
                "POST",
                url,
                headers=list(sent.items()),
                content=body,
                extensions={"timeout": {"connect": _CONNECT_S}},
            ) as response,
        ):
            _read_some(response)
            return response.status


def _read_some(response: httpcore2.Response) -> None:
    """What a receiver says is not kept; a little is read, as some mind being cut off."""
    seen = 0
    for chunk in response.iter_stream():
        seen += len(chunk)
        if seen > _ANSWER_BYTES:
            return


def _refusal(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed"
    return f"answered {status}"


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    return str(error.reason or "the handshake failed")
