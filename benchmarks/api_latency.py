"""The API process under one client: latency of GET /v1/jobs/{id}, memory, and what it imports.

A real uvicorn process on SQLite, asked over HTTP on one connection.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.figures import Options, Report, percentile
from benchmarks.stack import api_process, mapped_files, rss_bytes

_REQUESTS = {"quick": 1_000, "full": 10_000}


def run(options: Options) -> Report:
    """One job, read again and again."""
    report = Report()
    spec = {"kind": "train", "model": {"architecture": "cnn_simple"}, "dataset": "digits"}
    with tempfile.TemporaryDirectory() as folder, api_process(Path(folder)) as api:
        job_id = api.client.post("/v1/jobs", json=spec).json()["id"]
        times = []
        for _ in range(_REQUESTS[options.budget]):
            start = time.perf_counter()
            answer = api.client.get(f"/v1/jobs/{job_id}")
            times.append(1e3 * (time.perf_counter() - start))
            assert answer.status_code == 200
        resident = rss_bytes(api.pid) / 1e6
        torch_there = mapped_files(api.pid, "torch")
    report.at_most("GET /v1/jobs/{id}, p99", percentile(times, 99), "ms", 15, "p99 ≤ 15 ms")
    report.told("GET /v1/jobs/{id}, p50", percentile(times, 50), "ms")
    report.at_most("memory after the requests", resident, "MB", 150, "≤ 150 MB")
    report.at_most("torch libraries mapped", float(torch_there), "files", 0, "never")
    report.told("requests", float(len(times)), "")
    return report
