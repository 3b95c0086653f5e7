"""What must hold when the dust has settled, read over HTTP and straight from the tables."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import undefer

from benchmarks.faults.cluster import Cluster
from service.contract.lifecycle import MOVES, TERMINAL
from service.store.tables import ArtifactRow, AttemptRow, EventRow, JobRow, ModelRow


@dataclass
class Verdict:
    """What was found. `breaches` are sentences, each with the job's id and its events."""

    jobs: int = 0
    artifacts: int = 0
    lost: int = 0
    twice: int = 0
    breaches: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Life:
    row: JobRow
    events: list[EventRow]
    attempts: list[AttemptRow]
    artifacts: list[ArtifactRow]
    models: list[ModelRow]

    @property
    def states(self) -> list[str]:
        return [str(e.data["status"]) for e in self.events if e.type == "state"]


def judge(cluster: Cluster, accepted: list[str]) -> Verdict:
    """Every invariant of every job that was accepted, or that is there without having been."""
    verdict = Verdict(jobs=len(set(accepted)))
    lives = _read(cluster)
    for job_id in set(accepted) - lives.keys():
        verdict.lost += 1
        verdict.breaches.append(f"{job_id} was accepted and is not there")
    for job_id in lives.keys() - set(accepted):
        # A retry whose answer was lost is accepted all the same; anything else is one too many.
        if lives[job_id].row.retry_of is None:
            verdict.twice += 1
            verdict.breaches.append(f"{job_id} is there and nobody was told so")
    for job_id, life in lives.items():
        wrong = list(_wrong(life))
        verdict.lost += life.row.status not in TERMINAL
        verdict.twice += sum(status in TERMINAL for status in life.states) > 1
        verdict.artifacts += len(life.artifacts)
        wrong += _wrong_bytes(cluster, job_id, life)
        if wrong:
            verdict.breaches.append(f"{job_id}: {'; '.join(wrong)}; {_told(life)}")
    strangers = [process.pid for process in cluster.strangers()]
    if strangers:
        verdict.breaches.append(f"processes that nobody owns: {strangers}")
    return verdict


def _wrong(life: _Life) -> Iterator[str]:
    row, states = life.row, life.states
    if row.status not in TERMINAL:
        yield f"is {row.status}"
    if [event.seq for event in life.events] != list(range(1, row.event_seq + 1)):
        yield f"events are numbered {[event.seq for event in life.events]}"
    if not states or states[0] != "queued" or states[-1] != row.status:
        yield f"is {row.status} after {states}"
    for before, after in pairwise(states):
        if after not in MOVES[before]:  # type: ignore[index]  # a name that is none fails too
            yield f"went from {before} to {after}"
    if sum(status in TERMINAL for status in states) > 1:
        yield "ended more than once"
    if not 0 <= row.attempt <= row.max_attempts:
        yield f"took {row.attempt} attempts of {row.max_attempts}"
    if states.count("running") != row.run or len(life.attempts) != row.run:
        yield f"run is {row.run} after {states.count('running')} starts"
    won = [attempt.run for attempt in life.attempts if attempt.outcome == "succeeded"]
    if won != ([row.run] if row.status == "succeeded" else []):
        yield f"succeeded in runs {won} of {row.run}"
    made = [artifact for artifact in life.artifacts if artifact.kind != "checkpoint"]
    if row.status == "succeeded":
        if row.result is None or not made:
            yield "succeeded without a result"
        if [model.id for model in life.models] != ([row.model_id] if row.model_id else []):
            yield f"made models {[model.id for model in life.models]}"
    elif made or life.models or row.result is not None:
        yield "left results though it did not succeed"


def _wrong_bytes(cluster: Cluster, job_id: str, life: _Life) -> Iterator[str]:
    if not life.artifacts:
        return
    for artifact in cluster.get(f"/v1/jobs/{job_id}/artifacts")["data"]:
        answer = cluster.http.get(f"/v1/artifacts/{artifact['id']}/content")
        if hashlib.sha256(answer.content).hexdigest() != artifact["sha256"]:
            yield f"{artifact['name']} is not what its digest says (HTTP {answer.status_code})"


def _told(life: _Life) -> str:
    told = [f"{e.seq} {e.type} {e.data}" for e in life.events if e.type != "epoch"]
    runs = [(a.run, a.attempt, a.worker_id[-4:], a.outcome) for a in life.attempts]
    return f"events {told}; runs {runs}"


def _read(cluster: Cluster) -> dict[str, _Life]:
    def by_job(rows: Any) -> dict[str, list[Any]]:
        found = defaultdict(list)
        for row in rows:
            found[row.job_id].append(row)
        return found

    with cluster.database.read() as session:
        events = by_job(session.scalars(select(EventRow).order_by(EventRow.seq)))
        attempts = by_job(session.scalars(select(AttemptRow).order_by(AttemptRow.run)))
        artifacts = by_job(session.scalars(select(ArtifactRow)))
        models = by_job(session.scalars(select(ModelRow)))
        return {
            row.id: _Life(row, events[row.id], attempts[row.id], artifacts[row.id], models[row.id])
            for row in session.scalars(select(JobRow).options(undefer(JobRow.result)))
        }
