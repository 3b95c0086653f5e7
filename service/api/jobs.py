"""/v1/jobs: submit, read, steer."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, RedirectResponse

from service import jobs as rules
from service import quotas
from service.api.deps import After, Limit, Reader, ServicesDep, Writer, problems
from service.api.prefer import settled, wait_seconds
from service.api.schemas import job_read, page
from service.contract.base import Time
from service.contract.lifecycle import TERMINAL, JobStatus
from service.contract.specs import JobKind, JobSpec
from service.contract.wire import JobRead, Page, Validated
from service.errors import Clash, Invalid, Missing
from service.services import Services
from service.store.idempotency import IdempotencyStore
from service.store.jobs import JobStore
from service.store.session import now
from service.store.tables import JobRow
from service.store.values import JobFilter

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Repeating a request with the same key gives the same job, for 24 hours.",
    ),
]


@router.post(
    "",
    name="submit_job",
    status_code=202,
    response_model=JobRead,
    summary="Submit a job",
    responses={
        200: {
            "description": "Finished within the wait, or only validated.",
            "model": JobRead | Validated,
        },
        **problems(400, 404, 409, 413, 415, 507),
    },
)
async def submit_job(
    spec: Annotated[JobSpec, Body()],
    request: Request,
    response: Response,
    caller: Writer,
    services: ServicesDep,
    validate_only: Annotated[bool, Query(description="Check the spec; queue nothing.")] = False,
    key: IdempotencyKey = None,
    prefer: Annotated[
        str | None, Header(max_length=64, description="`wait=N`: up to 60 s for the job's end.")
    ] = None,
) -> JobRead | Response:
    """Queues a job and answers at once. A field that names a model takes a job's id as well: the
    model that job will make. Chains are submitted at once and run in order."""
    if validate_only:
        await asyncio.to_thread(_validate, services, caller.project, spec)
        return JSONResponse(Validated(spec=spec).model_dump(mode="json"))
    read, created = await asyncio.to_thread(_submit_once, services, caller.project, spec, key)
    if created:
        services.nudge(spec.device, read.id)
    else:
        response.headers["Idempotency-Replayed"] = "true"
    if wait_s := wait_seconds(prefer):
        read = await settled(
            read,
            lambda: _read_again(services, read.id),
            lambda job: job.status in TERMINAL,
            wait_s,
            lambda: services.keyring.check(caller),
        )
        response.headers["Preference-Applied"] = f"wait={wait_s:g}"
    response.headers["Location"] = f"/v1/jobs/{read.id}"
    if wait_s and read.status in TERMINAL:
        response.status_code = 200
    else:
        response.headers["Retry-After"] = "1"
    return read


def _validate(services: Services, project: str, spec: JobSpec) -> None:
    with services.database.read() as session:
        rules.check(session, spec, project, services.settings.lease_s)


def _submit_once(
    services: Services, project: str, spec: JobSpec, key: str | None
) -> tuple[JobRead, bool]:
    """The job's answer, and whether this request made it."""
    with services.database.transaction() as session:
        digest = rules.fingerprint(spec.model_dump(mode="json"))
        store = IdempotencyStore(session)
        known = store.get(project, key) if key else None
        if known is not None:
            if known.fingerprint != digest:
                raise Invalid(
                    "this Idempotency-Key was used with another body", code="idempotency_mismatch"
                )
            return JobRead.model_validate(known.body), False
        quotas.check_queue(session, project, services.settings)
        row = rules.submit(session, spec, project, services.settings.lease_s)
        read = _read(services, session, row)
        if key and not store.put(
            project,
            key,
            fingerprint=digest,
            job_id=row.id,
            status=202,
            body=read.model_dump(mode="json"),
        ):
            raise Clash(
                "a request with this Idempotency-Key is in flight", code="idempotency_in_flight"
            )
        return read, True


def _read_again(services: Services, job_id: str) -> JobRead:
    with services.database.read() as session:
        return _read(services, session, JobStore(session).get(job_id))


def _read(services: Services, session: Session, row: JobRow) -> JobRead:
    waits = _waits(services, session, [row])
    return job_read(row, now(session), waits.get(row.id, ()))


def _waits(
    services: Services, session: Session, rows: Iterable[JobRow]
) -> Mapping[str, Sequence[str]]:
    settings = services.settings
    return JobStore(session).waiting_for(rows, settings.lease_s, settings.max_running_jobs)


@router.get("", name="list_jobs", summary="List jobs", responses=problems())
def list_jobs(
    caller: Reader,
    services: ServicesDep,
    limit: Limit = 20,
    after: After = None,
    status: JobStatus | None = None,
    kind: JobKind | None = None,
    label: Annotated[
        str | None,
        Query(max_length=192, pattern=r"^[^=\x00]+=[^\x00]*$", description="`key=value`."),
    ] = None,
    q: Annotated[
        str | None, Query(min_length=1, max_length=128, description="Part of a name or label.")
    ] = None,
    created_after: Annotated[Time | None, Query(description="RFC 3339.")] = None,
) -> Page[JobRead]:
    """Newest first. Results are left out: `metrics` has the key figures."""
    key, _, value = (label or "").partition("=")
    chosen = JobFilter(
        project=caller.project,
        status=status,
        kind=kind,
        label=(key, value) if label else None,
        q=q,
        created_after=created_after,
    )
    with services.database.read() as session:
        rows = JobStore(session).list(chosen, limit + 1, after)
        moment, waits = now(session), _waits(services, session, rows)
        items = [job_read(row, moment, waits.get(row.id, ()), with_result=False) for row in rows]
    return page(items, limit, [row.id for row in rows])


@router.get("/{job_id}", name="get_job", summary="Read a job", responses=problems(404))
def get_job(
    job_id: str, request: Request, response: Response, caller: Reader, services: ServicesDep
) -> JobRead:
    """With an ETag: ask again with `If-None-Match`, and a job that has not changed is a 304."""
    with services.database.read() as session:
        read = _read(services, session, JobStore(session).get(job_id, caller.project))
    etag = f'"{hashlib.sha256(read.model_dump_json().encode()).hexdigest()[:32]}"'
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    if etag in (request.headers.get("if-none-match") or ""):
        return Response(  # type: ignore[return-value]  # a bare response stands for itself
            status_code=304, headers={"ETag": etag, "Cache-Control": "private, no-cache"}
        )
    return read


@router.delete(
    "/{job_id}",
    name="delete_job",
    status_code=204,
    summary="Forget a job",
    responses=problems(404, 409),
)
def delete_job(job_id: str, caller: Writer, services: ServicesDep) -> None:
    """Only a job that is over. The model it made stays."""
    with services.database.transaction() as session:
        JobStore(session).delete(job_id, caller.project)


@router.post(
    "/{job_id}/cancel",
    name="cancel_job",
    status_code=202,
    summary="Cancel a job",
    responses={
        200: {"description": "It is cancelled already.", "model": JobRead},
        **problems(404, 409),
    },
)
def cancel_job(job_id: str, response: Response, caller: Writer, services: ServicesDep) -> JobRead:
    """A running job is `cancelling` until its worker hears of it, within about a second."""
    with services.database.transaction() as session:
        row = JobStore(session).request_cancel(job_id, caller.project)
        read = _read(services, session, row)
    if read.status == "cancelled":
        response.status_code = 200
    return read


@router.post(
    "/{job_id}/pause",
    name="pause_job",
    status_code=202,
    summary="Pause a job",
    responses=problems(404, 409),
)
def pause_job(job_id: str, caller: Writer, services: ServicesDep) -> JobRead:
    """A running job writes a checkpoint first."""
    with services.database.transaction() as session:
        return _read(services, session, JobStore(session).request_pause(job_id, caller.project))


@router.post(
    "/{job_id}/resume",
    name="resume_job",
    status_code=202,
    summary="Resume a job",
    responses=problems(404, 409),
)
def resume_job(job_id: str, caller: Writer, services: ServicesDep) -> JobRead:
    """Queued again; it goes on from its checkpoint."""
    with services.database.transaction() as session:
        row = JobStore(session).resume(job_id, caller.project)
        read = _read(services, session, row)
    services.nudge(row.device, job_id)
    return read


@router.post(
    "/{job_id}/retry",
    name="retry_job",
    status_code=202,
    summary="Retry a job",
    responses=problems(404, 409, 507),
)
def retry_job(
    job_id: str,
    response: Response,
    caller: Writer,
    services: ServicesDep,
    start: Annotated[
        Literal["checkpoint", "start"], Query(alias="from", description="Where to go on from.")
    ] = "checkpoint",
) -> JobRead:
    """A new job with the same spec, for one that failed or was cancelled."""
    with services.database.transaction() as session:
        alive_s = services.settings.lease_s
        quotas.check_queue(session, caller.project, services.settings)
        row = rules.retry(session, job_id, caller.project, start == "checkpoint", alive_s)
        read = _read(services, session, row)
    services.nudge(row.device, row.id)
    response.headers["Location"] = f"/v1/jobs/{row.id}"
    return read


@router.get(
    "/{job_id}/model",
    name="get_job_model",
    status_code=307,
    response_class=RedirectResponse,
    summary="The model that a job made",
    responses=problems(404, 409),
)
def get_job_model(job_id: str, caller: Reader, services: ServicesDep) -> Any:
    """Redirects to the model's content."""
    with services.database.read() as session:
        row = JobStore(session).get(job_id, caller.project)
    if row.status not in TERMINAL:
        raise Clash(f"{job_id} is {row.status}: there is no model yet", code="not_finished")
    if row.model_id is None:
        raise Missing(f"{job_id} made no model")
    return RedirectResponse(f"/v1/models/{row.model_id}/content", status_code=307)
