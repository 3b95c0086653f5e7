"""What the service adds to a job: the time to an engine child running, and to the whole job.

POST to running is taken from 50 short jobs on an idle, warm worker. The whole job is compared with
the same engine calls made directly, in a process forked from the same preloaded server, in turns.
"""

import statistics
import time
from datetime import datetime

from httpx2 import Client

from benchmarks.direct import DirectEngine
from benchmarks.figures import Options, Report, percentile
from benchmarks.stack import running_stack
from service.client import Job

_SHORT_JOBS = 50
_PAIRS = {"quick": 3, "full": 7}
_EPOCHS = 4


def run(options: Options) -> Report:
    """Starts the embedded stack; needs both cores for itself."""
    report = Report()
    short = {
        "kind": "train",
        "model": {"architecture": "mlp", "options": {"hidden": [8]}},
        "dataset": "digits",
        "training": {"epochs": 1},
        "seed": options.seed,
    }
    work = {
        "kind": "train",
        "model": {"architecture": "cnn_teacher"},
        "dataset": "digits",
        "training": {"epochs": _EPOCHS},
        "seed": options.seed,
    }
    with running_stack() as (client, http):
        client.submit(short).wait(timeout=120)  # the worker is warm from here on
        waits = [
            _to_first_word_s(http, client.submit(short).wait(timeout=120))
            for _ in range(_SHORT_JOBS)
        ]
        report.at_most(
            "POST to engine child running, p95", percentile(waits, 95), "s", 0.3, "≤ 0.3 s"
        )
        report.told("POST to engine child running, p50", percentile(waits, 50), "s")
        pairs = []
        with DirectEngine() as direct:
            direct.train(work)  # warm
            for _ in range(_PAIRS[options.budget]):
                start = time.perf_counter()
                client.submit(work).wait(timeout=600)
                through = time.perf_counter() - start
                start = time.perf_counter()
                direct.train(work)
                pairs.append((through, time.perf_counter() - start))
    excess = statistics.median(through - 1.03 * alone for through, alone in pairs)
    report.at_most(
        "job through the service − 1.03 × the engine call", excess, "s", 1.0, "≤ 1.03× + 1 s"
    )
    report.told("job through the service, median", statistics.median(p[0] for p in pairs), "s")
    report.told("engine call alone, median", statistics.median(p[1] for p in pairs), "s")
    return report


def _to_first_word_s(client: Client, job: Job) -> float:
    """From POST to the first thing that the job's engine child said."""
    page = client.get(f"/v1/jobs/{job.id}/events").raise_for_status().json()["data"]
    spoke = next(event["created_at"] for event in page if event["type"] == "phase")
    return (datetime.fromisoformat(spoke) - job.data.created_at).total_seconds()
