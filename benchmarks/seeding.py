"""A store as a busy team leaves it after a week, written in seconds: for benchmarks of reading.

`python -m benchmarks.seeding URL PROJECT` fills a database by hand, to look at its pages.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any, Final, get_args

from sqlalchemy import insert, text
from sqlalchemy.orm import DeclarativeBase, Session

from service.contract.ids import first_id
from service.contract.job_errors import JobError
from service.contract.lifecycle import LEASED, STATUSES, TERMINAL, JobStatus
from service.contract.specs import SPECS, JobKind
from service.jobs import references_of, requirements_of
from service.store import stretches
from service.store.migrate import upgrade
from service.store.session import Database
from service.store.tables import EventRow, JobLabelRow, JobRow, MetricPointRow, ReferenceRow

JOBS: Final = 10_000
POINTS: Final = 1_000_000
SERIES: Final = "loss"

_APART: Final = timedelta(minutes=1)  # 10,000 jobs are a week
_LEASE: Final = timedelta(days=1)  # no sweep takes what nobody runs
_BATCH: Final = 2_000
_STRETCH: Final = 100_000  # points a statement, which on Postgres must end in 30 s
_TEAMS: Final = ("audio", "maps", "search", "vision")
_SHARES: Final[dict[JobStatus, int]] = {
    "queued": 5, "running": 2, "cancelling": 1, "pausing": 1, "paused": 1,
    "succeeded": 75, "failed": 10, "cancelled": 5,
}  # fmt: skip


@dataclass(frozen=True)
class Seeded:
    """What there is now. `newest` trains, and its series `loss` has all the points."""

    newest: str
    jobs: int
    points: int


def seed(
    database: Database, project: str, *, jobs: int = JOBS, points: int = POINTS, number: int = 0
) -> Seeded:
    """Jobs of every kind in every state, a minute apart up to now, with names, labels and events,
    and one with a long series. The same `number` gives the same jobs but for their times.

    Needs a database with every table, and no jobs of the last week in it.
    """
    now = datetime.now(UTC)
    made = list(_jobs(project, jobs, now, random.Random(number)))
    with database.transaction() as session:
        _insert(session, JobRow, (row for row, _ in made))
        _insert(session, JobLabelRow, (label for row, _ in made for label in _labels(row)))
        _insert(session, ReferenceRow, (one for row, _ in made for one in _references(row)))
        _insert(session, EventRow, (event for _, told in made for event in told))
        newest: str = made[-1][0]["id"]
        add_series(session, newest, points, now)
    with database.engine.connect() as connection:  # as the databases do by themselves in time
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    return Seeded(newest, jobs, points)


def add_series(session: Session, job_id: str, points: int, at: datetime) -> None:
    """A loss that falls and trembles, at the steps from 1 on; made inside the database."""
    # multiplied by primes, the numbers tremble as if by chance, on both databases alike
    made = text(
        "WITH RECURSIVE c(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM c WHERE n < :last) "
        "SELECT :job, :name, n, 2.5 / (1 + n / 40000.0) + (n % 1009 * 7919 % 1009) / 5045.0, :at "
        "FROM c"
    ).columns(*MetricPointRow.__table__.columns)
    names = [column.name for column in MetricPointRow.__table__.columns]
    for first in range(1, points + 1, _STRETCH):
        last = min(first + _STRETCH - 1, points)
        some = made.bindparams(job=job_id, name=SERIES, first=first, last=last, at=at)
        session.execute(insert(MetricPointRow).from_select(names, some))
        stretches.renew(session, job_id, [(SERIES, first), (SERIES, last)])


Made = tuple[dict[str, Any], list[dict[str, Any]]]


def _jobs(project: str, count: int, now: datetime, chance: random.Random) -> Iterator[Made]:
    """Oldest first, each with its events; the newest trains."""
    kinds: Sequence[JobKind] = get_args(JobKind)
    each = list(product(kinds, STATUSES))
    trained: str | None = None
    for number in range(count):
        made_at = now - _APART * (count - number)
        kind = chance.choice(kinds)
        (status,) = chance.choices(list(_SHARES), list(_SHARES.values()))
        if number < len(each):
            kind, status = each[number]
        if trained is None or number == count - 1:  # the first is what others compress
            kind, status = "train", "succeeded" if trained is None else "running"
        row = _job(project, number, kind, status, made_at, trained or "", chance)
        if (kind, status) == ("train", "succeeded"):
            trained = row["id"]
        told = list(_events(row))
        yield row | {"event_seq": len(told)}, told


def _job(
    project: str,
    number: int,
    kind: JobKind,
    status: JobStatus,
    made_at: datetime,
    trained: str,
    chance: random.Random,
) -> dict[str, Any]:
    team = chance.choice(_TEAMS)
    name, labels = f"{team} {kind} {number:05}", {"team": team, "sweep": f"s{number // 100}"}
    spec = SPECS.validate_python(_spec(kind, trained) | {"name": name, "labels": labels})
    words = [name, *(f"{key}={value}" for key, value in labels.items())]
    waited, ran = chance.uniform(0.1, 20.0), chance.uniform(2.0, 40.0)
    began = None if status == "queued" else made_at + timedelta(seconds=waited)
    ended = None if began is None else began + timedelta(seconds=ran)
    is_over, is_held = status in TERMINAL, status in LEASED
    accuracy = chance.uniform(0.8, 0.99)
    error = (
        JobError.of("engine_crashed", "the engine exited with 3") if status == "failed" else None
    )
    return {
        "id": first_id("job", made_at),
        "project": project,
        "kind": kind,
        "status": status,
        "name": name,
        "labels": labels,
        "search": " ".join(words).casefold(),
        "spec": spec.model_dump(mode="json"),
        "device": "auto",
        "requires": list(requirements_of(spec)),
        "priority": spec.priority,
        "exclusive": False,
        "run": int(began is not None),
        "attempt": int(began is not None),
        "max_attempts": 3,
        "timeout_s": None,
        "lease_until": made_at + _APART * JOBS + _LEASE if is_held else None,
        "worker_id": f"wrk_{number % 4:026}" if began is not None else None,
        "next_run_at": made_at,
        "progress_step": 0 if began is None else 1000 if is_over else 400,
        "progress_total": 0 if began is None else 1000,
        "progress_phase": None if began is None else "training",
        "error": None if error is None else error.model_dump(mode="json"),
        "metrics": {"test_accuracy": round(accuracy, 4)} if status == "succeeded" else {},
        "log_bytes": 0,
        "created_at": made_at,
        "queued_at": made_at,
        "started_at": began,
        "run_started_at": began if is_held else None,
        "finished_at": ended if is_over else None,
        "queue_seconds": 0.0 if began is None else waited,
        "run_seconds": ran if is_over or status == "paused" else 0.0,
    }


def _spec(kind: JobKind, trained: str) -> dict[str, Any]:
    match kind:
        case "train":
            made: dict[str, Any] = {"model": {"architecture": "cnn_simple"}, "dataset": "digits"}
        case "distill":
            student = {"architecture": "cnn_student"}
            made = {"teacher": trained, "student": student, "dataset": "digits"}
        case "prune" | "quantize":
            made = {"model": trained, "dataset": "digits"}
        case "benchmark":
            made = {"models": [trained], "dataset": "digits"}
        case "export":
            made = {"model": trained}
    return {"kind": kind, **made}


def _labels(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key, value in row["labels"].items():
        yield {"project": row["project"], "key": key, "value": value, "job_id": row["id"]}


def _references(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for on_id in {one.id for one in references_of(SPECS.validate_python(row["spec"]))}:
        yield {"job_id": row["id"], "on_id": on_id}


def _events(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    told: list[tuple[str, dict[str, Any], datetime]] = [
        ("state", {"status": "queued"}, row["created_at"])
    ]
    if row["started_at"] is not None:
        began, ended = row["started_at"], row["finished_at"] or row["started_at"]
        told += [
            ("state", {"status": "running"}, began),
            ("phase", {"phase": "training"}, began),
            ("epoch", {"epoch": 1, "validation_accuracy": 0.8}, ended),
        ]
        if row["status"] != "running":
            told.append(("state", {"status": row["status"]}, ended))
    for seq, (kind, data, at) in enumerate(told, 1):
        shared = {"job_id": row["id"], "project": row["project"], "created_at": at}
        yield shared | {"seq": seq, "type": kind, "data": data}


def _insert(session: Session, table: type[DeclarativeBase], rows: Iterator[dict[str, Any]]) -> None:
    while batch := list(islice(rows, _BATCH)):
        session.execute(insert(table), batch)


def main() -> None:
    """Fill the database that the arguments name."""
    url, project = sys.argv[1:]
    upgrade(url)
    database = Database(url)
    sys.stdout.write(f"{seed(database, project)}\n")
    database.close()


if __name__ == "__main__":
    main()
