"""What the service adds to a job: the time to an engine child running, and to the whole job.

POST to running is taken from 50 short jobs on an idle, warm worker. The whole job is compared with
the same engine calls made directly, in a process forked from the same preloaded server, in turns.
"""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.direct import DirectEngine
from benchmarks.figures import Options, Report, percentile
from benchmarks.stack import running_stack

_SHORT_JOBS = 50
_PAIRS = {"quick": 3, "full": 7}
_EPOCHS = 8


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
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder)) as client:
        client.submit(short).wait(timeout=120)  # the worker is warm from here on
        waits = []
        for _ in range(_SHORT_JOBS):
            job = client.submit(short).wait(timeout=120)
            started, created = job.data.started_at, job.data.created_at
            assert started is not None
            waits.append(_first_word_s(job, created))
        report.at_most("POST to engine child running, p95", percentile(waits, 95), "s", 0.3, "≤ 0.3 s")
        report.told("POST to engine child running, p50", percentile(waits, 50), "s")
        pairs = []
        with DirectEngine(Path(folder) / "direct") as direct:
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
