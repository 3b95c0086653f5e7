"""Short jobs with all that people do to them, from a thread that never gives up."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx2

from benchmarks.faults.cluster import Cluster
from service.contract.lifecycle import TERMINAL

_OUTSTANDING: Final = 40
_RETRY_S: Final = 0.1
_PAUSED: Final = 4  # at a time; the oldest goes on when there are more
_VERBS: Final = ("cancel", "pause", "resume", "retry")


def short(epochs: int = 1, **fields: Any) -> dict[str, Any]:
    """A training of a small network; an epoch of it takes some 15 ms."""
    return {
        "kind": "train",
        "model": {"architecture": "mlp", "options": {"hidden": [8]}},
        "dataset": "digits",
        "training": {"epochs": epochs},
        **fields,
    }


LONG_EPOCHS: Final = 10_000
"""Epochs of a job that lasts until somebody ends it."""


def submit(http: httpx2.Client, spec: Mapping[str, Any], key: str) -> str:
    """The id of the job. Repeats until there is an answer; the key keeps it one job."""
    job_id = offer(http, spec, key)
    assert job_id is not None, "the job refers to nothing"
    return job_id


def offer(http: httpx2.Client, spec: Mapping[str, Any], key: str) -> str | None:
    """As `submit`; None if the job that it refers to has ended without a model meanwhile."""
    while True:
        try:
            answer = http.post("/v1/jobs", json=dict(spec), headers={"Idempotency-Key": key})
        except httpx2.TransportError:
            answer = None
        if answer is not None and answer.status_code in (200, 202):
            return str(answer.json()["id"])
        if (
            answer is not None
            and answer.status_code == 422
            and answer.json().get("code") == "unusable_reference"
        ):
            return None
        later = answer is not None and answer.status_code in (409, 429)
        if answer is not None and answer.status_code < 500 and not later:
            raise AssertionError(f"{answer.status_code} for a good job: {answer.text}")
        time.sleep(_RETRY_S)


def ask(http: httpx2.Client, job_id: str, verb: str) -> int:
    """The status of the answer; 0 where none came. Refusals are as good as grants here."""
    try:
        return http.post(f"/v1/jobs/{job_id}/{verb}").status_code
    except httpx2.TransportError:
        return 0


@dataclass
class Load:
    """Submits jobs and asks things of them, as a function of the seed, until `stop` is set."""

    cluster: Cluster
    seed: int
    accepted: list[str] = field(default_factory=list)
    error: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    _paused: deque[str] = field(default_factory=deque)

    def __enter__(self) -> "Load":
        self._thread = threading.Thread(target=self._run, name="load")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self.cluster.client() as http:
                for number, (spec, verb) in enumerate(self._plan()):
                    while not self._has_room(http) and not self.stop.is_set():
                        self.stop.wait(0.2)
                    if self.stop.is_set():
                        return
                    job_id = offer(http, spec, f"{self.seed}-{number}")
                    if job_id is not None:
                        self.accepted.append(job_id)
                    if verb is not None:
                        self._meddle(http, verb, number)
        except BaseException as error:
            self.error = error

    def _plan(self) -> Iterator[tuple[dict[str, Any], str | None]]:
        random = Random(f"load-{self.seed}")
        while True:
            epochs = random.choice((1, 1, 1, 1, 20, 40))
            spec = short(epochs, seed=random.randrange(1000), priority=random.randrange(10))
            if random.random() < 0.7:  # they cost a tenth, and live the same life
                spec["dry_run"] = True
            elif random.random() < 0.2 and self.accepted:
                spec["model"] = random.choice(self.accepted[-10:])  # waits for it, or fails with it
            yield spec, random.choice(_VERBS) if random.random() < 0.2 else None

    def _has_room(self, http: httpx2.Client) -> bool:
        try:
            jobs: dict[str, int] = http.get("/v1/queue").json()["jobs"]
        except (httpx2.TransportError, KeyError, ValueError):
            return False
        return sum(n for status, n in jobs.items() if status not in TERMINAL) < _OUTSTANDING

    def _meddle(self, http: httpx2.Client, verb: str, number: int) -> None:
        job_id = Random(f"meddle-{self.seed}-{number}").choice(self.accepted[-8:])
        if verb != "retry":
            ask(http, job_id, verb)
            if verb == "pause":
                self._paused.append(job_id)
                self._resume_oldest(http)
            return
        try:
            headers = {"Idempotency-Key": f"{self.seed}-{number}-retry"}
            answer = http.post(f"/v1/jobs/{job_id}/retry", headers=headers)
        except httpx2.TransportError:
            return
        if answer.status_code == 202:
            self.accepted.append(answer.json()["id"])

    def _resume_oldest(self, http: httpx2.Client) -> None:
        """Else what is paused would take all the room in time."""
        while len(self._paused) > _PAUSED and not self.stop.is_set():
            if 0 < ask(http, self._paused[0], "resume") < 500:
                self._paused.popleft()
            else:
                self.stop.wait(_RETRY_S)


def settle(cluster: Cluster, job_ids: list[str], within_s: float) -> list[str]:
    """Resume what is paused, wait until everything is over; the jobs that are not in time."""
    deadline = time.monotonic() + within_s
    living = list(dict.fromkeys(job_ids))
    while living and time.monotonic() < deadline:
        living = [job_id for job_id in living if not _is_over(cluster, job_id)]
        time.sleep(0.2)
    return living


def _is_over(cluster: Cluster, job_id: str) -> bool:
    job = cluster.get(f"/v1/jobs/{job_id}")
    if job["status"] == "paused":
        ask(cluster.http, job_id, "resume")
    return job["status"] in TERMINAL
