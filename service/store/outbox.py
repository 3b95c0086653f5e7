"""What others are told of the end of a job, written in its transaction: none is lost, and none
tells of what did not happen."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, literal, select
from sqlalchemy.orm import Session

from service.contract.ids import new_id
from service.contract.lifecycle import TERMINAL
from service.store.tables import ChoreRow, DeliveryRow, ExportRow, JobRow, WebhookRow
from service.store.types import UtcDateTime, dump_json

MLFLOW: Final = "mlflow"


def job_ended(session: Session, job: JobRow, now: datetime) -> None:
    """A message for each webhook of the project that wants to know, and a note for MLflow."""
    assert job.status in TERMINAL
    _note_for_mlflow(session, job.id, now)
    event = f"job.{job.status}"
    # Held, as one that was deleted meanwhile would take the end of the job with it.
    hooks = session.execute(
        select(WebhookRow.id, WebhookRow.events)
        .where(WebhookRow.project == job.project, WebhookRow.disabled_at.is_(None))
        .order_by(WebhookRow.id)
        .with_for_update(read=True, key_share=True)
    ).all()
    wanting = [hook_id for hook_id, events in hooks if event in events]
    if wanting:
        body = message(event, now, shown(job))
        for hook_id in wanting:
            put(session, hook_id, event, body, now, job_id=job.id)


def _note_for_mlflow(session: Session, job_id: str, now: datetime) -> None:
    """One statement, so that a job ends no later where no process said that it has a sink."""
    noted = select(
        literal(job_id),
        literal("pending"),
        literal(0),
        literal(now, UtcDateTime()),
        literal(now, UtcDateTime()),
    ).where(select(ChoreRow).where(ChoreRow.name == MLFLOW, ChoreRow.due_at > now).exists())
    columns = ["job_id", "status", "tries", "next_try_at", "created_at"]
    session.execute(insert(ExportRow).from_select(columns, noted))


def message(event: str, at: datetime, data: dict[str, Any]) -> str:
    """The body of a message: `service.contract.webhooks.WebhookMessage`."""
    return dump_json({"type": event, "timestamp": _time(at), "data": data})


def put(
    session: Session,
    webhook_id: str,
    event: str,
    body: str,
    now: datetime,
    job_id: str | None = None,
) -> str:
    """A message, due at once. Returns its id."""
    message_id = new_id("msg")
    session.execute(
        insert(DeliveryRow).values(
            id=message_id,
            webhook_id=webhook_id,
            event=event,
            job_id=job_id,
            body=body,
            status="pending",
            tries=0,
            next_try_at=now,
            created_at=now,
        )
    )
    return message_id


def shown(job: JobRow) -> dict[str, Any]:
    """A job that is over as `service.contract.wire.JobRead` has it, without its result. Plain
    values, not checked again: nothing here may stand between a job and its end."""
    return {
        "id": job.id,
        "object": "job",
        "kind": job.kind,
        "status": job.status,
        "name": job.name,
        "labels": job.labels,
        "project": job.project,
        "spec": job.spec,
        "progress": _progress(job),
        "waiting_for": [],
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "error": job.error,
        "result": None,
        "metrics": job.metrics,
        "model": job.model_id,
        "retry_of": job.retry_of,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "queue_seconds": round(job.queue_seconds, 3),
        "run_seconds": round(job.run_seconds, 3),
        "worker": job.worker_id,
    }


def _progress(job: JobRow) -> dict[str, Any] | None:
    if job.progress_phase is None:
        return None
    step, total = job.progress_step, job.progress_total
    fraction = min(1.0, step / total) if total else 0.0
    return {
        "step": step,
        "total": total,
        "fraction": 1.0 if job.status == "succeeded" else fraction,
        "phase": job.progress_phase,
        "eta_s": None,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
