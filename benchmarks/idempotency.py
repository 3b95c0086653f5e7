"""One Idempotency-Key, many requests at once: as many jobs as keys, on SQLite and a real server.

Each round sends the same POST on 50 connections at once. Answers are the job, or 409 while the
first is under way; whoever is told 409 asks again, and gets the job.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx2

from benchmarks.figures import Options, Report
from benchmarks.stack import api_process
from tests.postgres_server import postgres_server

_ROUNDS: Final = {"quick": 10, "full": 100}
_AT_ONCE: Final = 50
_SPEC: Final = {"kind": "train", "model": {"architecture": "cnn_simple"}, "dataset": "digits"}


def run(options: Options) -> Report:
    """Count the jobs that were made, and the different ones that were told."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        _on(report, "sqlite", Path(folder), None, options)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as data:
        Path(data).chmod(0o711)  # Postgres runs as nobody where we are root
        with postgres_server(Path(data)) as url:
            _on(report, "postgres", Path(folder), url, options)
    return report


def _on(
    report: Report, database: str, folder: Path, database_url: str | None, options: Options
) -> None:
    rounds = _ROUNDS[options.budget]
    with api_process(folder, database_url) as api:
        started = time.perf_counter()
        told = [_round(api.client, f"{options.seed}-{number}") for number in range(rounds)]
        seconds = time.perf_counter() - started
        made = _count(api.client)
    several = sum(len(ids) > 1 for ids in told)
    report.at_most(f"{database}: rounds that told of several jobs", several, "", 0, "0")
    report.at_most(f"{database}: jobs beyond one a key", float(made - rounds), "", 0, "0")
    report.told(f"{database}: jobs", float(made), "")
    report.told(f"{database}: requests a second", rounds * _AT_ONCE / seconds, "1/s")


def _round(client: httpx2.Client, key: str) -> set[str]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        sent = [pool.submit(_submit, client, key) for _ in range(_AT_ONCE)]
        return {each.result() for each in sent}


def _submit(client: httpx2.Client, key: str) -> str:
    while True:
        headers = {"idempotency-key": key}
        answer = client.post("/v1/jobs", json=_SPEC, headers=headers, timeout=60)
        if answer.status_code == 202:
            job: str = answer.json()["id"]
            return job
        assert answer.json()["code"] == "idempotency_in_flight", answer.text


def _count(client: httpx2.Client) -> int:
    count, after = 0, None
    while True:
        params = {"limit": 100} if after is None else {"limit": 100, "after": after}
        page = client.get("/v1/jobs", params=params).json()
        count, after = count + len(page["data"]), page["last_id"]
        if not page["has_more"]:
            return count
