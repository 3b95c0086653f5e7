"""The list of jobs."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api import jobs as api
from service.api.deps import Reader, ServicesDep
from service.web.page import page

router = APIRouter()


@router.get("/ui", name="show_jobs")
def show_jobs(request: Request, caller: Reader, services: ServicesDep) -> Response:
    """The newest jobs of the project."""
    found = api.list_jobs(caller, services, limit=50)
    return page(request, "jobs.html", caller, jobs=found)
