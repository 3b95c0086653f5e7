"""What a job left: metrics, logs, checkpoints, artifacts, reports."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from service.api.content import Content, of_blob, serve, serve_blob
from service.api.deps import Reader, ServicesDep, problems
from service.api.documents import MEDIA_TYPES, AskedFormat, DocumentFormat, serve_document
from service.api.openapi import BYTES
from service.api.schemas import artifact_read, checkpoint_read, page
from service.contract.lifecycle import TERMINAL
from service.contract.wire import (
    ArtifactRead,
    CheckpointRead,
    MetricPoint,
    MetricSeries,
    MetricsRead,
    Page,
)
from service.errors import Clash, Missing
from service.store.artifacts import ArtifactStore
from service.store.jobs import JobStore
from service.store.logs import LogStore
from service.store.metrics import MetricStore, Series
from service.store.tables import ArtifactRow

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.get(
    "/jobs/{job_id}/metrics",
    name="get_job_metrics",
    summary="Series of a job",
    responses=problems(404),
)
def get_job_metrics(
    job_id: str,
    caller: Reader,
    services: ServicesDep,
    name: Annotated[
        list[str] | None, Query(max_length=32, description="Series to read. None: all.")
    ] = None,
    max_points: Annotated[
        int, Query(ge=2, le=5000, description="Points of each; the best value is among them.")
    ] = 1000,
    after: Annotated[
        int | None,
        Query(
            ge=0,
            le=2**31 - 1,
            description="Only points with a step above it: what is new for who has the others.",
        ),
    ] = None,
) -> MetricsRead:
    """Thinned out here, so that a chart of a million points is a small answer."""
    with services.database.read() as session:
        JobStore(session).get(job_id, caller.project)
        store = MetricStore(session)
        names = store.names(job_id)
        wanted = names if name is None else [each for each in name if each in names]
        series = tuple(
            _series(each, store.series(job_id, each, max_points, after)) for each in wanted
        )
    return MetricsRead(data=series)


def _series(name: str, found: Series) -> MetricSeries:
    points = tuple(MetricPoint(step=p.step, value=p.value, at=p.at) for p in found.points)
    return MetricSeries(name=name, count=found.count, points=points)


@router.head("/jobs/{job_id}/logs", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/logs",
    name="get_job_logs",
    summary="What the engine printed",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        206: {},
        **problems(404, 416),
    },
)
def get_job_logs(job_id: str, request: Request, caller: Reader, services: ServicesDep) -> Response:
    """Plain text; `Range` reads on from where you were."""
    with services.database.read() as session:
        row = JobStore(session).get(job_id, caller.project)
        size = LogStore(session).size(job_id)

    def read(start: int, end: int) -> list[bytes]:
        with services.database.read() as session:
            return [LogStore(session).read(job_id, start, end)]

    content = Content(
        etag=f"{job_id}-{row.run}-{size}",
        size=size,
        media_type="text/plain; charset=utf-8",
        filename=None,
        read=read,
    )
    return serve(request, content)


@router.get(
    "/jobs/{job_id}/checkpoints",
    name="list_job_checkpoints",
    summary="Checkpoints of a job",
    responses=problems(404),
)
def list_job_checkpoints(
    job_id: str, caller: Reader, services: ServicesDep
) -> Page[CheckpointRead]:
    """Newest first."""
    with services.database.read() as session:
        JobStore(session).get(job_id, caller.project)
        rows = ArtifactStore(session).checkpoints(job_id)
    return page([checkpoint_read(row) for row in rows], len(rows), [row.id for row in rows])


@router.get(
    "/jobs/{job_id}/artifacts",
    name="list_job_artifacts",
    summary="Files of a job",
    responses=problems(404),
)
def list_job_artifacts(job_id: str, caller: Reader, services: ServicesDep) -> Page[ArtifactRead]:
    """Reports and figures, as they were stored with the result."""
    with services.database.read() as session:
        JobStore(session).get(job_id, caller.project)
        rows = ArtifactStore(session).list(job_id)
    return page([artifact_read(row) for row in rows], len(rows), [row.id for row in rows])


@router.head("/artifacts/{artifact_id}/content", include_in_schema=False)
@router.get(
    "/artifacts/{artifact_id}/content",
    name="get_artifact_content",
    summary="Download an artifact",
    tags=["artifacts"],
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": BYTES}},
        206: {},
        304: {},
        307: {},
        **problems(404, 410, 416),
    },
)
def get_artifact_content(
    artifact_id: str, request: Request, caller: Reader, services: ServicesDep
) -> Response:
    """The ETag is the SHA-256."""
    with services.database.read() as session:
        row = ArtifactStore(session).get(artifact_id, caller.project)
    return serve_blob(request, services.blobs, row.sha256, row.bytes, row.media_type, row.name)


@router.head("/jobs/{job_id}/report", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/report",
    name="get_job_report",
    summary="The report of a job",
    response_class=Response,
    responses={
        200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}},
        **problems(404, 406, 409),
    },
)
def get_job_report(
    job_id: str,
    request: Request,
    caller: Reader,
    services: ServicesDep,
    chosen: AskedFormat,
) -> Response:
    """The same values as JSON, HTML, Markdown, PNG or SVG."""
    with services.database.read() as session:
        job = JobStore(session).get(job_id, caller.project)
        if job.status not in TERMINAL:
            raise Clash(f"{job_id} is {job.status}: no report yet", code="not_finished")
        row = _report(session, job_id, chosen)
    content = of_blob(services.blobs, row.sha256, row.bytes, MEDIA_TYPES[chosen], None)
    return serve_document(request, content)


def _report(session: Session, job_id: str, chosen: DocumentFormat) -> ArtifactRow:
    row = ArtifactStore(session).named(job_id, f"report.{chosen}")
    if row is None:
        raise Missing(f"{job_id} has no report as {chosen}")
    return row
