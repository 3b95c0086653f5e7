"""What happens to jobs, as it happens: server-sent events that survive broken connections."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from service.client.errors import ApiError, Unreachable
from service.client.http import Http, is_passing
from service.client.retry import Tries
from service.contract.lifecycle import TERMINAL

_SILENCE_S: Final = 45.0  # three missed heartbeats: the connection is dead
_GLANCE_S: Final = 10.0  # under the 15 s of a heartbeat, so that silence lets us see a deadline


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    `type` is `state`, `phase`, `epoch`, `checkpoint`, `warning`, `exported` or `progress`; `data`
    depends on it. `id` is None for progress, which is not kept and not replayed.
    """

    type: str
    job: str
    data: dict[str, Any]
    id: int | None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows it."""
        return self.type == "state" and self.data.get("status") in TERMINAL


def job_events(
    http: Http, job_id: str, *, after: int = 0, deadline: float | None = None
) -> Iterator[Event]:
    """The job's kept events after `after`, then each as it comes, up to the terminal one.

    Raises `TimeoutError` at `deadline`, on the clock of `time.monotonic`.
    """
    for event in _follow(http, f"/v1/jobs/{job_id}/events", after, deadline):
        yield event
        if event.is_terminal:
            return


def all_events(http: Http) -> Iterator[Event]:
    """Changes of all jobs of the project from now on, without end."""
    return _follow(http, "/v1/events", 0, None)


def _follow(http: Http, path: str, after: int, deadline: float | None) -> Iterator[Event]:
    tries = Tries(http.retry)
    while True:
        headers = {"accept": "text/event-stream"}
        if after:
            headers["last-event-id"] = str(after)
        try:
            window_s = _window_s(deadline)
            with http.stream(path, headers=headers, read_timeout_s=window_s) as response:
                if response.status_code == 204:  # the terminal event has been seen
                    return
                for event in _parsed(_lines(response, deadline, tries)):
                    tries.progressed()
                    after = event.id or after
                    yield event
        except httpx2.ReadTimeout as error:
            if deadline is None and not tries.again():
                raise Unreachable(http.url, error) from error
            continue
        except httpx2.TransportError as error:
            if not tries.again():
                raise Unreachable(http.url, error) from error
            continue
        except ApiError as error:
            if not (is_passing(error) and tries.again()):
                raise
            continue
        if not tries.again():  # it closed early each time, without a word
            raise Unreachable(http.url, ConnectionError("the event stream keeps closing"))


def _window_s(deadline: float | None) -> float:
    """How long one read may take. Raises `TimeoutError` once the deadline has passed."""
    if deadline is None:
        return _SILENCE_S
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the job has not ended in the time given")
    return min(left_s, _GLANCE_S)


def _lines(response: httpx2.Response, deadline: float | None, tries: Tries) -> Iterator[str]:
    """The lines as they come. A comment too is a moment to look at the clock, which is why this
    module takes streams apart itself."""
    began = time.monotonic()
    for line in response.iter_lines():
        tries.heard_for(time.monotonic() - began)
        yield line
        _window_s(deadline)


def _parsed(lines: Iterator[str]) -> Iterator[Event]:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html, as far as it is used here:
    an event has a type, a number unless it is progress, and one line of data."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield _event_of(fields)
            fields = {}


def _event_of(fields: dict[str, str]) -> Event:
    body = json.loads(fields["data"])
    is_progress = fields["event"] == "progress"
    return Event(
        type=fields["event"],
        job=body["job"],
        data=body["progress" if is_progress else "data"],
        id=None if is_progress else int(fields["id"]),
    )
