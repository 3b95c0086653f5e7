from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from worker.channel import MAX_LINE_BYTES, Channel, ChannelError


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


@pytest.fixture
def ends(sockets: tuple[socket.socket, socket.socket]) -> tuple[Channel, Channel]:
    return Channel(sockets[0], send_timeout_s=0.05), Channel(sockets[1])


def test_messages_arrive_in_order_and_then_the_end(ends: tuple[Channel, Channel]) -> None:
    worker, child = ends
    child.send({"step": 1})
    child.send({"text": "two\nlines, zwölf"})
    child.close()
    assert worker.receive(1) == {"step": 1}
    assert worker.receive(1) == {"text": "two\nlines, zwölf"}
    assert worker.receive(1) is None
    assert worker.receive(1) is None


def test_receive_gives_up_after_its_timeout(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(TimeoutError):
        ends[0].receive(0.01)


def test_poll_returns_a_waiting_message_and_else_nothing(ends: tuple[Channel, Channel]) -> None:
    worker, child = ends
    assert child.poll() is None
    worker.send({"a": 1})
    worker.send({"b": 2})
    assert child.poll() == {"a": 1}
    assert child.poll() == {"b": 2}
    assert child.poll() is None


def test_poll_says_that_the_other_end_has_closed(ends: tuple[Channel, Channel]) -> None:
    worker, child = ends
    worker.send({"last": True})
    worker.close()
    assert child.poll() == {"last": True}
    with pytest.raises(ChannelError, match="closed"):
        child.poll()


def test_poll_of_half_a_line_waits_for_the_rest(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    child = Channel(sockets[1])
    sockets[0].sendall(b'{"step":')
    assert child.poll() is None
    sockets[0].sendall(b"7}\n")
    assert child.poll() == {"step": 7}


def test_an_idle_poll_costs_less_than_five_microseconds(ends: tuple[Channel, Channel]) -> None:
    child = ends[1]

    def cost_s() -> float:
        start = time.perf_counter()
        for _ in range(2_000):
            child.poll()
        return (time.perf_counter() - start) / 2_000

    assert min(cost_s() for _ in range(10)) < 5e-6


@pytest.mark.parametrize(
    "line",
    [b"not json\n", b"[1]\n", b'{"loss":NaN}\n', b"\xff\xfe\n", b"[" * 200_000 + b"\n", b"\n"],
    ids=["words", "array", "nan", "bytes", "deep", "empty"],
)
def test_a_broken_line_is_a_channel_error(
    sockets: tuple[socket.socket, socket.socket], line: bytes
) -> None:
    writer = threading.Thread(target=sockets[1].sendall, args=[line])
    writer.start()
    with pytest.raises(ChannelError):
        Channel(sockets[0]).receive(5)
    writer.join()


def test_a_line_without_end_is_refused_at_the_bound(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    worker = Channel(sockets[0])
    writer = threading.Thread(target=sockets[1].sendall, args=[b"x" * (MAX_LINE_BYTES + 1)])
    writer.start()
    with pytest.raises(ChannelError, match="longer"):
        worker.receive(5)
    writer.join()


def test_an_end_in_the_middle_of_a_line_is_a_channel_error(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    sockets[1].sendall(b'{"half":')
    sockets[1].close()
    with pytest.raises(ChannelError, match="middle"):
        Channel(sockets[0]).receive(1)


def test_a_message_too_long_or_not_a_number_is_the_senders_mistake(
    ends: tuple[Channel, Channel],
) -> None:
    with pytest.raises(ValueError, match="bytes"):
        ends[1].send({"text": "x" * MAX_LINE_BYTES})
    with pytest.raises(ValueError):
        ends[1].send({"loss": float("nan")})


def test_sending_to_a_reader_that_never_reads_fails_in_time(
    ends: tuple[Channel, Channel],
) -> None:
    worker, _ = ends

    def send_for_ever() -> None:
        while True:
            worker.send({"text": "x" * 10_000})

    with pytest.raises(ChannelError, match="read nothing"):
        send_for_ever()


def test_sending_to_a_closed_end_is_a_channel_error(ends: tuple[Channel, Channel]) -> None:
    worker, child = ends
    worker.close()
    with pytest.raises(ChannelError, match="gone"):
        child.send({"step": 1})


def test_lines_of_many_threads_do_not_mix(ends: tuple[Channel, Channel]) -> None:
    worker, child = ends

    def send_all(thread: int) -> None:
        for number in range(50):
            child.send({"thread": thread, "number": number, "pad": "x" * 2_000})

    threads = [threading.Thread(target=send_all, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    seen: dict[int, list[int]] = {n: [] for n in range(4)}
    for _ in range(200):
        message = worker.receive(5)
        assert message is not None
        seen[message["thread"]].append(message["number"])
    for thread in threads:
        thread.join()
    assert all(numbers == list(range(50)) for numbers in seen.values())
