"""GET /v1/jobs with 1,000,000 jobs in the table against 1,000: first and hundredth page.

Full HTTP requests against the application over ASGI, alternating between the two databases.
"""

import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from benchmarks.figures import Options, Report
from benchmarks.stack import App, application
from service.store.session import Database

_SMALL, _LARGE = 1_000, 1_000_000
_PAGE = 10  # the hundredth page of 1,000 jobs must exist
_ROUNDS = {"quick": 60, "full": 300}


def run(options: Options) -> Report:
    """Two databases, one of them a thousand times larger; median of paired ratios."""
    report = Report()
    with (
        tempfile.TemporaryDirectory() as small,
        tempfile.TemporaryDirectory() as large,
        application(Path(small)) as few,
        application(Path(large)) as many,
    ):
        _fill(few, _SMALL)
        _fill(many, _LARGE)
        for page, name in ((1, "first"), (100, "hundredth")):
            ratio, few_ms, many_ms = _compare(few, many, page, _ROUNDS[options.budget])
            report.at_most(f"{name} page, 1,000,000 ÷ 1,000", ratio, "×", 1.5, "≤ 1.5×")
            report.told(f"{name} page with 1,000", few_ms, "ms")
            report.told(f"{name} page with 1,000,000", many_ms, "ms")
    return report


def _compare(few: App, many: App, page: int, rounds: int) -> tuple[float, ...]:
    cursors = {app: _cursor(app, page) for app in (few, many)}
    times: dict[App, list[float]] = {few: [], many: []}
    for turn in range(rounds + 5):
        for app in (few, many):
            start = time.perf_counter()
            answer = app.client.get("/v1/jobs", params={"limit": _PAGE, **cursors[app]})
            elapsed = time.perf_counter() - start
            assert len(answer.raise_for_status().json()["data"]) == _PAGE
            if turn >= 5:
                times[app].append(elapsed)
    ratios = [b / a for a, b in zip(times[few], times[many], strict=True)]
    return (
        statistics.median(ratios),
        1e3 * statistics.median(times[few]),
        1e3 * statistics.median(times[many]),
    )


def _cursor(app: App, page: int) -> dict[str, str]:
    """Where `page` begins, found as a client would: by walking."""
    cursor: dict[str, str] = {}
    for _ in range(page - 1):
        answer = app.client.get("/v1/jobs", params={"limit": _PAGE, **cursor}).json()
        cursor = {"after": answer["last_id"]}
    return cursor


def _fill(app: App, count: int) -> None:
    """One job through the service, copied inside the database."""
    spec = {"kind": "train", "model": {"architecture": "cnn_simple"}, "dataset": "digits"}
    job_id = app.client.post("/v1/jobs", json=spec).json()["id"]
    database = Database(app.database_url)
    with database.transaction() as session:
        columns = [row[1] for row in session.execute(text("PRAGMA table_info(jobs)"))]
        # Ids that sort before the one that was made, in the same 26-character alphabet.
        chosen = [
            "'job_00' || printf('%024d', n)" if column == "id" else column for column in columns
        ]
        session.execute(
            text(
                f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :count) "
                f"INSERT INTO jobs ({', '.join(columns)}) "
                f"SELECT {', '.join(chosen)} FROM c, (SELECT * FROM jobs WHERE id = :id)"
            ),
            {"count": count - 1, "id": job_id},
        )
    database.close()
