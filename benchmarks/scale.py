"""Reading 10,000 jobs and a series of 1,000,000 points, on SQLite and on Postgres: p50 and p95.

Whole HTTP requests against the application over ASGI, in turns, each of its kind a few times.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.figures import Options, Report, percentile
from benchmarks.seeding import JOBS, POINTS, SERIES, seed
from benchmarks.stack import App, application
from service.store.session import Database
from tests.postgres_server import postgres_server

_ROUNDS: Final = {"quick": 40, "full": 200}
_WARM: Final = 3  # the first requests compile statements and templates
_LIMIT_MS: Final = 50.0


@dataclass(frozen=True)
class Question:
    """A page to read, and how it is called in the figures."""

    name: str
    path: str
    params: Mapping[str, str | int]


def run(options: Options) -> Report:
    """Both databases, one after the other."""
    report = Report()
    for backend in ("sqlite", "postgres"):
        with _seeded(backend, options.seed) as (app, newest):
            _report(report, backend, app, newest, _ROUNDS[options.budget])
    return report


def _report(report: Report, backend: str, app: App, newest: str, rounds: int) -> None:
    questions = _questions(app, newest)
    times: dict[str, list[float]] = {question.name: [] for question in questions}
    for turn in range(rounds + _WARM):
        for question in questions:
            start = time.perf_counter()
            answer = app.client.get(question.path, params=question.params)
            elapsed = time.perf_counter() - start
            assert answer.status_code == 200, (question, answer.text)
            if turn >= _WARM:
                times[question.name].append(1e3 * elapsed)
    for name, taken in times.items():
        title = f"{backend}: {name}"
        report.at_most(f"{title}, p50", percentile(taken, 50), "ms", _LIMIT_MS, "≤ 50 ms")
        report.told(f"{title}, p95", percentile(taken, 95), "ms")


def _questions(app: App, newest: str) -> list[Question]:
    cursor = app.client.get("/v1/jobs", params={"limit": 100}).json()["last_id"]
    jobs, metrics = "/v1/jobs", f"/v1/jobs/{newest}/metrics"
    series: dict[str, str | int] = {"name": SERIES, "max_points": 400}
    over = app.client.get(jobs, params={"status": "succeeded", "limit": 1}).json()["data"][0]
    return [
        Question("50 jobs", jobs, {"limit": 50}),
        Question("50 jobs that succeeded", jobs, {"limit": 50, "status": "succeeded"}),
        Question("50 queued jobs", jobs, {"limit": 50, "status": "queued"}),
        Question("50 jobs of a kind", jobs, {"limit": 50, "kind": "prune"}),
        Question("50 jobs with a label", jobs, {"limit": 50, "label": "team=vision"}),
        Question("50 jobs with a word", jobs, {"limit": 50, "q": "audio distill"}),
        Question("jobs with a word that none has", jobs, {"limit": 50, "q": "nowhere"}),
        Question("50 jobs, third page", jobs, {"limit": 50, "after": cursor}),
        Question("400 of 1,000,000 points", metrics, series),
        Question("400 of the last 500,000 points", metrics, series | {"after": POINTS // 2}),
        Question("the last 100 points", metrics, series | {"after": POINTS - 100}),
        Question("the queue", "/v1/queue", {}),
        Question("the list's page", "/ui", {}),
        Question("the page of a job that runs", f"/ui/jobs/{newest}", {}),
        Question("the page of a job that is over", f"/ui/jobs/{over['id']}", {}),
        Question("Prometheus' figures", "/metrics", {}),
    ]


@contextmanager
def _seeded(backend: str, number: int) -> Iterator[tuple[App, str]]:
    with ExitStack() as exits:
        # Postgres runs as `nobody`, who must be able to come here.
        folder = Path(tempfile.mkdtemp(prefix="modelpress-scale-"))
        exits.callback(shutil.rmtree, folder)
        url = None
        if backend == "postgres":
            data = folder / "postgres"
            data.mkdir()
            folder.chmod(0o711)
            url = exits.enter_context(postgres_server(data))
        app = exits.enter_context(application(folder, url))
        database = Database(app.database_url)
        made = seed(database, "default", jobs=JOBS, points=POINTS, number=number)
        database.close()
        yield app, made.newest
