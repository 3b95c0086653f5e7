"""The list of jobs, and where one begins."""

from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.api import jobs as api
from service.api import system
from service.api.deps import After, Reader, ServicesDep
from service.contract.lifecycle import STATUSES, JobStatus
from service.contract.specs import JobKind
from service.contract.wire import JobRead
from service.reports.key_figures import shown_figure
from service.web.job_facts import Moves, figure_label
from service.web.page import page

router = APIRouter()

_LIMIT: Final = 50
_TOLD: Final = ("test_accuracy", "accuracy_retention", "speedup", "size_ratio")
"""The figures of a result that a list has room for, two of them."""
_KINDS: Final = ("train", "distill", "prune", "quantize", "benchmark", "export")


@router.get("/ui", name="show_jobs")
def show_jobs(
    request: Request,
    caller: Reader,
    services: ServicesDep,
    after: After = None,
    status: JobStatus | None = None,
    kind: JobKind | Literal[""] | None = None,
    label: Annotated[str | None, Query(max_length=192, pattern=r"^([^=]+=.*)?$")] = None,
    q: Annotated[str | None, Query(max_length=128)] = None,
) -> Response:
    """The newest jobs of the project that match; the first steps where there is none at all."""
    found = api.list_jobs(
        caller,
        services,
        limit=_LIMIT,
        after=after,
        status=status,
        kind=kind or None,
        label=label or None,
        q=q or None,
    )
    chosen = {"status": status, "kind": kind, "label": label, "q": q}
    asked = {name: value for name, value in chosen.items() if value}
    queue = system.get_queue(caller, services)
    return page(
        request,
        "jobs.html",
        caller,
        jobs=found,
        names={job.id: job.name for job in found.data if job.name},
        queue=queue,
        total=sum(queue.jobs.values()),
        statuses=STATUSES,
        kinds=_KINDS,
        asked=asked,
        path=_path,
        after=after,
        moves=Moves.of,
        key_figures=key_figures,
        url=str(request.base_url).rstrip("/"),
    )


def key_figures(job: JobRead) -> str:
    """The two figures that say most of a result."""
    told = [name for name in _TOLD if name in job.metrics][:2]
    return " · ".join(
        f"{figure_label(name)} {shown_figure(name, job.metrics[name])}" for name in told
    )


def _path(asked: dict[str, str], **changed: str | None) -> str:
    """The list's address with some of its filters changed; None takes one away."""
    values = {name: value for name, value in (asked | changed).items() if value}
    return "/ui" + (f"?{urlencode(values)}" if values else "")
