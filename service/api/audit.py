"""/v1/audit: who did what, in every project."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.api.deps import Admin, After, Limit, ServicesDep, problems
from service.api.schemas import page
from service.contract.audit import AuditRead, Outcome
from service.contract.base import Time
from service.contract.wire import Page
from service.store.audit import AuditFilter, AuditStore
from service.store.tables import AuditRow

router = APIRouter(prefix="/v1/audit", tags=["audit"])

Moment = Annotated[Time | None, Query(description="RFC 3339.")]


@router.get("", name="list_audit", summary="Who did what", responses=problems())
def list_audit(
    caller: Admin,
    services: ServicesDep,
    limit: Limit = 20,
    after: After = None,
    project: Annotated[str | None, Query(max_length=63, description="Of the key.")] = None,
    key: Annotated[str | None, Query(max_length=30, description="Whose: `key_…`.")] = None,
    action: Annotated[
        str | None, Query(max_length=64, description="An operation, such as `cancel_job`.")
    ] = None,
    target: Annotated[
        str | None, Query(max_length=255, description="What it was done to, or what it made.")
    ] = None,
    outcome: Outcome | None = None,
    created_after: Moment = None,
    created_before: Moment = None,
) -> Page[AuditRead]:
    """Newest first: every write, and every request that was refused for its key. A write stands
    here if and only if it was committed."""
    services.trail.flush()
    chosen = AuditFilter(project, key, action, target, outcome, created_after, created_before)
    with services.database.read() as session:
        rows = AuditStore(session).list(chosen, limit + 1, after)
    return page([_read(row) for row in rows], limit, [row.id for row in rows])


def _read(row: AuditRow) -> AuditRead:
    return AuditRead.model_validate(
        {
            "id": row.id,
            "at": row.at,
            "project": row.project,
            "key": row.key_id,
            "action": row.action,
            "target": row.target,
            "outcome": row.outcome,
            "status": row.status,
            "code": row.code,
            "times": row.times,
            "request_id": row.request_id,
            "address": row.address,
        }
    )
