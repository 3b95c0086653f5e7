"""Bombs and giants: the API's memory stays flat, and it goes on answering others."""

import hashlib
from typing import Any

import httpx2
import pytest

from service.embedded import Stack
from tests.faults.bombs import bombs, endless
from tests.faults.case import Case
from tests.faults.large_file import LargeFile
from tests.faults.send import Verdict, send, send_all
from tests.faults.watch import MEBIBYTE, watched
from tests.waiting import wait_until


@pytest.mark.long
def test_no_bomb_takes_the_apis_memory(stack: Stack, http: httpx2.Client) -> None:
    cases = list(bombs())
    assert len(cases) >= 12
    with watched(http) as seen:
        verdicts = list(send_all(http, cases))
    stack.check()
    assert [str(verdict) for verdict in verdicts if not verdict.good] == []
    assert seen.grown_bytes <= 64 * MEBIBYTE


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", list(endless()), ids=lambda case: case.name)
def test_a_check_that_would_never_end_is_ended(http: httpx2.Client, case: Case) -> None:
    verdict = send(http, case)
    wait_until(lambda: _status(http, verdict)["status"] != "checking", 120, "the end of the check")
    error = _status(http, verdict)["error"]
    assert error["code"] == "invalid_model"
    assert "took too long" in error["message"]


def _status(http: httpx2.Client, verdict: Verdict) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/v1/models/{verdict.id}").json()
    return found


@pytest.mark.parametrize(
    "mebibytes", [64, pytest.param(2048, marks=pytest.mark.long)], ids=["64 MiB", "2 GiB"]
)
def test_a_large_file_goes_up_and_comes_down_in_flat_memory(
    http: httpx2.Client, mebibytes: int
) -> None:
    file = LargeFile(mebibytes)
    path = f"/v1/files/large-{mebibytes}.bin"
    with watched(http) as seen:
        sent = http.put(
            path, content=iter(file), headers={"Content-Length": str(file.size)}, timeout=600
        )
        assert sent.status_code == 201, sent.text
        digest = hashlib.sha256()
        with http.stream("GET", path, timeout=600) as answer:
            for chunk in answer.iter_bytes():
                digest.update(chunk)
        assert digest.hexdigest() == sent.json()["sha256"]
        for start, end in file.ranges(100, longest=1 << 20):
            part = http.get(path, headers={"Range": f"bytes={start}-{end - 1}"})
            assert part.status_code == 206
            assert part.content == file.read(start, end)
    assert http.delete(path).status_code == 204
    assert seen.grown_bytes <= 64 * MEBIBYTE
