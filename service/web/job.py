"""The page of a job: what it does, what it made, and what can be done with it."""

from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api import events, models, records
from service.api import jobs as api
from service.api.deps import Reader, ServicesDep
from service.api.events import FeedDep
from service.auth import Caller
from service.contract.lifecycle import TERMINAL
from service.contract.models import ModelRead
from service.contract.wire import JobRead
from service.reports.reproduce import settings
from service.services import Services
from service.store.errors import NotFound
from service.web.job_facts import Moves, Relation, figures, relations, waits
from service.web.page import page
from service.web.snippets import snippets

router = APIRouter()

_EVENTS: Final = 100  # the stream tells those after them, or the page asks for more


@router.get("/ui/jobs/{job_id}", name="show_job")
def show_job(
    job_id: str, request: Request, caller: Reader, services: ServicesDep, feed: FeedDep
) -> Response:
    """One job, as it stands. A script of the page asks for it again when its state changes."""
    job = api.get_job(job_id, request, Response(), caller, services)
    told = events.list_job_events(job_id, request, caller, services, feed, limit=_EVENTS)
    found = [_named(one, request, caller, services) for one in relations(job)]
    artifacts = records.list_job_artifacts(job_id, caller, services).data
    formats = {one.name.removeprefix("report.") for one in artifacts if one.kind == "report"}
    return page(
        request,
        "job.html",
        caller,
        job=job,
        moves=Moves.of(job.status),
        is_over=job.status in TERMINAL,
        figures=figures(job.metrics),
        relations=found,
        waits=waits(job.waiting_for, found),
        settings=settings(job.spec),
        snippets=snippets(job.spec, str(request.base_url).rstrip("/")),
        told=told,
        model=_model(job, caller, services),
        checkpoints=records.list_job_checkpoints(job_id, caller, services).data,
        artifacts=artifacts,
        report_formats=formats,
        has_report="html" in formats,
        keep_days=services.settings.keep_checkpoints_days,
    )


def _model(job: JobRead, caller: Caller, services: Services) -> ModelRead | None:
    """What the job made, unless it was deleted since."""
    if job.model is None:
        return None
    try:
        return models.get_model(job.model, caller, services)
    except NotFound:
        return None


def _named(one: Relation, request: Request, caller: Caller, services: Services) -> Relation:
    """With the job's own name and status, where it is still there."""
    if one.kind != "job":
        return one
    try:
        job = api.get_job(one.id, request, Response(), caller, services)
    except NotFound:
        return one
    return replace(one, name=job.name, status=job.status)
