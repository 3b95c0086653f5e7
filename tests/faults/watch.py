"""A running service, watched from outside: memory of its API, and how soon it answers others."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx2
import psutil

MEBIBYTE: Final = 1 << 20
_PAUSE_S: Final = 0.01


def api_process(http: httpx2.Client) -> psutil.Process:
    """The API that answers there, among the processes that this one started."""
    (api,) = [
        child
        for child in psutil.Process().children()
        if {"service.cli.main", "api", str(http.base_url.port)} <= set(child.cmdline())
    ]
    return api


@dataclass
class Watch:
    """The most memory beyond what there was at the start, and the time of every answer."""

    grown_bytes: int = 0
    answers_s: list[float] = field(default_factory=list)


@contextmanager
def watched(http: httpx2.Client) -> Iterator[Watch]:
    """Look at the API's memory, and ask it for something small, all the time."""
    seen, api, done = Watch(), api_process(http), threading.Event()
    start_bytes = api.memory_info().rss
    looks: list[Callable[[], None]] = [
        lambda: _look(seen, api, start_bytes),
        lambda: _ask(seen, http),
    ]
    threads = [threading.Thread(target=_again, args=(look, done)) for look in looks]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _again(look: Callable[[], None], done: threading.Event) -> None:
    while not done.wait(_PAUSE_S):
        look()


def _look(seen: Watch, api: psutil.Process, start_bytes: int) -> None:
    seen.grown_bytes = max(seen.grown_bytes, api.memory_info().rss - start_bytes)


def _ask(seen: Watch, http: httpx2.Client) -> None:
    start = time.perf_counter()
    answer = http.get("/v1/jobs", params={"limit": 1}, timeout=60)
    seen.answers_s.append(time.perf_counter() - start)
    assert answer.status_code == 200, answer.text
