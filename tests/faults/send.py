"""Sends cases through a real service, and says what became of them."""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal, get_args

import httpx2

from service.contract.job_errors import JobErrorCode
from tests.faults.case import Case

WAIT_S: Final = 60
_PATHS: Final = {"model": "/v1/models", "dataset": "/v1/datasets"}
_TYPED: Final = frozenset(get_args(JobErrorCode)) - {"internal"}

Outcome = Literal["refused", "rejected", "ready", "untyped", "failed", "stuck"]
"""`refused` at the door with a typed 4xx, `rejected` by the check with a typed code, or `ready`.
What must not be: an answer that is `untyped`, a service that `failed`, a check that is `stuck`."""


@dataclass(frozen=True)
class Verdict:
    """What became of a case, how long after its registration, and in which words."""

    case: Case
    outcome: Outcome
    seconds: float
    code: str
    message: str
    id: str = ""

    @property
    def good(self) -> bool:
        """As it should be: no, with a code; or yes, where the file may be good."""
        if self.outcome == "ready":
            return self.case.may_pass
        return self.outcome in ("refused", "rejected")

    def __str__(self) -> str:
        return (
            f"{self.case.name} → {self.outcome} {self.code} in {self.seconds:.2f} s: {self.message}"
        )


def send(http: httpx2.Client, case: Case) -> Verdict:
    """Upload it, register it, and wait for the check."""
    file = f"{secrets.token_hex(8)}.bin"
    uploaded = http.put(f"/v1/files/{file}", content=case.data, timeout=WAIT_S)
    assert uploaded.status_code in (200, 201), uploaded.text
    start = time.monotonic()
    answer = http.post(
        _PATHS[case.kind],
        json={**case.said, "file": file},
        headers={"Prefer": f"wait={WAIT_S}"},
        timeout=2 * WAIT_S,
    )
    seconds = time.monotonic() - start
    outcome, code, message, resource = _read(answer)
    return Verdict(case, outcome, seconds, code, message, resource)


def send_all(http: httpx2.Client, cases: Sequence[Case], at_once: int = 1) -> Iterator[Verdict]:
    """In order, some at once."""
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda case: send(http, case), cases)


def _read(answer: httpx2.Response) -> tuple[Outcome, str, str, str]:
    try:
        body = answer.json()
    except json.JSONDecodeError:
        return "untyped", str(answer.status_code), answer.text[:300], ""
    if answer.status_code >= 500:
        return "failed", str(body.get("code")), str(body.get("detail")), ""
    if answer.status_code >= 400:
        typed = answer.headers["content-type"] == "application/problem+json" and body.get("code")
        outcome: Outcome = "refused" if typed else "untyped"
        return outcome, str(body.get("code")), str(body.get("detail")), ""
    if body["status"] == "ready":
        return "ready", "", "", body["id"]
    if body["status"] == "checking":
        return "stuck", "", "", body["id"]
    error = body["error"]
    outcome = "rejected" if error["code"] in _TYPED else "failed"
    return outcome, error["code"], error["message"], body["id"]
