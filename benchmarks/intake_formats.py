"""Malformed files, hostile payloads, bombs and giants through the whole service: nothing gives way.

Quick is the first 2,100 of the malformed files, full is all of them; the second half comes while a
training job runs.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx2

from benchmarks.figures import Options, Report, percentile
from benchmarks.stack import running_stack
from modelpress import Client
from tests.faults.bombs import bombs
from tests.faults.case import Case
from tests.faults.corpus import corpus
from tests.faults.large_file import LargeFile
from tests.faults.marks import Marks
from tests.faults.payloads import payloads
from tests.faults.send import Verdict, send, send_all
from tests.faults.watch import MEBIBYTE, Watch, api_process, watched

_FILES: Final = {"quick": 2_100, "full": None}
_AT_ONCE: Final = 2
_QUIET_S: Final = 15.0
_LIMIT_S: Final = 2.0
_GROWTH: Final = 64.0
_JOB: Final = {
    "kind": "train",
    "model": {"architecture": "mlp"},
    "dataset": "digits",
    "training": {"epochs": 10_000},
}


def run(options: Options) -> Report:
    """Each of the four in turn, against one service."""
    report = Report()
    with running_stack() as (client, http):
        before = _pids(client, http)
        cases = corpus(options.seed)[: _FILES[options.budget]]
        half = len(cases) // 2
        _malformed(report, "", http, cases[:half])
        job = client.submit(_JOB)
        while job.refresh().status == "queued":
            time.sleep(0.05)
        _malformed(report, " while a job runs", http, cases[half:])
        job.cancel()
        report.at_least("malformed files", len(cases), "files", 2_000, "≥ 2,000")
        _hostile(report, http)
        _bombs(report, http)
        _giant(report, http)
        ended = before - _pids(client, http)
        report.at_most("processes of the service that ended", len(ended), "", 0, "0")
    return report


def _pids(client: Client, http: httpx2.Client) -> set[object]:
    """The API, and the workers as the API sees them."""
    return {api_process(http).pid, *(worker.id for worker in client.workers())}


def _malformed(report: Report, when: str, http: httpx2.Client, cases: Sequence[Case]) -> None:
    verdicts = list(send_all(http, cases, _AT_ONCE))
    counts = Counter(verdict.outcome for verdict in verdicts)
    for outcome in ("refused", "rejected", "ready"):
        report.told(f"{outcome}{when}", counts[outcome], "files")
    broken = counts["failed"] + counts["untyped"] + counts["stuck"]
    report.at_most(f"5xx, answers without a code{when}", broken, "files", 0, "0")
    taken = sum(v.outcome == "ready" and not v.good for v in verdicts)
    report.at_most(f"taken though they lie{when}", taken, "files", 0, "0")
    died = sum("the check ended with" in verdict.message for verdict in verdicts)
    report.told(f"checks whose process died{when}", died, "files")
    times = [verdict.seconds for verdict in verdicts]
    report.at_most(f"slowest answer{when}", max(times), "s", _LIMIT_S, "≤ 2 s")
    report.told(f"answers, p50{when}", percentile(times, 50), "s")
    report.told(f"answers, p99{when}", percentile(times, 99), "s")
    _show([v for v in verdicts if not v.good or v.seconds > _LIMIT_S])


def _hostile(report: Report, http: httpx2.Client) -> None:
    with tempfile.TemporaryDirectory(prefix="mp-marks-") as folder:
        marks = Marks(Path(folder))
        verdicts = list(send_all(http, list(payloads(marks)), _AT_ONCE))
        report.at_least("hostile payloads", len(verdicts), "files", 40, "≥ 40")
        report.at_most("payloads that ran", len(marks.found()), "files", 0, "0")
    taken = [verdict for verdict in verdicts if not verdict.good]
    report.at_most("payloads taken for a model or data", len(taken), "files", 0, "0")
    _show(taken)


def _bombs(report: Report, http: httpx2.Client) -> None:
    cases = list(bombs())
    seen, quiet = Watch(), Watch()
    verdicts = []
    for case in cases:  # side by side, so that what else the machine does hits both
        with watched(http) as calm:
            time.sleep(_QUIET_S / len(cases))
        with watched(http) as watch:
            verdicts.append(send(http, case))
        quiet.answers_s += calm.answers_s
        seen.answers_s += watch.answers_s
        seen.grown_bytes = max(seen.grown_bytes, watch.grown_bytes)
    report.at_least("bombs", len(cases), "files", 12, "≥ 12")
    bad = [verdict for verdict in verdicts if not verdict.good]
    report.at_most("bombs without a typed answer", len(bad), "files", 0, "0")
    grown = seen.grown_bytes / MEBIBYTE
    report.at_most("API memory under bombs", grown, "MiB", _GROWTH, "≤ +64 MiB")
    calm_s, then_s = percentile(quiet.answers_s, 99), percentile(seen.answers_s, 99)
    report.told("other requests, p99, quiet", 1e3 * calm_s, "ms")
    report.told("other requests, p99, under bombs", 1e3 * then_s, "ms")
    report.at_most("other requests, p99, bombs ÷ quiet", then_s / calm_s, "×", 2.0, "≤ 2×")
    _show(bad)


def _giant(report: Report, http: httpx2.Client) -> None:
    file, path = LargeFile(2048), "/v1/files/giant.bin"
    headers = {"Content-Length": str(file.size)}
    with watched(http) as seen:
        start = time.perf_counter()
        http.put(path, content=iter(file), headers=headers, timeout=600).raise_for_status()
        report.told("2 GiB up", time.perf_counter() - start, "s")
        start = time.perf_counter()
        same = True
        with http.stream("GET", path, timeout=600) as answer:
            for block, chunk in zip(file, answer.iter_bytes(MEBIBYTE), strict=True):
                same = same and block == chunk
        report.told("2 GiB down", time.perf_counter() - start, "s")
        identical = 0
        for begin, end in file.ranges(100, longest=MEBIBYTE):
            part = http.get(path, headers={"Range": f"bytes={begin}-{end - 1}"})
            identical += part.content == file.read(begin, end)
    http.delete(path).raise_for_status()
    report.told("2 GiB come back as they went", same, "")
    report.at_least("random ranges, identical", identical, "of 100", 100, "100 of 100")
    grown = seen.grown_bytes / MEBIBYTE
    report.at_most("API memory, 2 GiB up and down", grown, "MiB", _GROWTH, "≤ +64 MiB")


def _show(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        sys.stdout.write(f"{str(verdict)[:300]}\n")
