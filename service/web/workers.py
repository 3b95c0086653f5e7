"""Workers and the queue before them."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api import system
from service.api.deps import Reader, ServicesDep
from service.web.page import page

router = APIRouter()


@router.get("/ui/workers", name="show_workers")
def show_workers(request: Request, caller: Reader, services: ServicesDep) -> Response:
    """What computes here, what it is at, and how much waits."""
    workers = system.list_workers(caller, services).data
    return page(
        request,
        "workers.html",
        caller,
        workers=sorted(workers, key=lambda worker: (not worker.alive, worker.hostname, worker.id)),
        queue=system.get_queue(caller, services),
    )
