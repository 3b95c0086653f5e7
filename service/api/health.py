"""/livez, /readyz, /metrics: for the machines that look after this one. No key is needed, and
nothing of any project is told."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from service.api.deps import ServicesDep
from service.api.measures import MEDIA_TYPE, Measures
from service.blobs import BlobError
from service.contract.base import Contract
from service.contract.system import Health, Ready
from service.store.errors import DatabaseUnavailable

router = APIRouter(tags=["health"])


class Live(Contract):
    """The process answers."""

    status: Literal["alive"] = Field("alive", description="Always `alive`.")


@router.get("/livez", name="livez", summary="Is the process alive?")
async def livez() -> Live:
    """Touches nothing else: a process is not ended because a database is away."""
    return Live()


@router.get(
    "/readyz",
    name="readyz",
    summary="Can requests be served?",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "Database or blobs do not answer."}},
)
def readyz(services: ServicesDep) -> Response:
    """200 also without a broker: jobs are accepted and the sweep finds them."""
    database = _health(services.database.check)
    blobs = _health(services.blobs.check)
    broker: Health = "up" if services.broker_reachable() else "down"
    status: Literal["ready", "degraded", "unavailable"] = "ready"
    if "down" in (database, blobs):
        status = "unavailable"
    elif broker == "down":
        status = "degraded"
    ready = Ready(status=status, database=database, blobs=blobs, broker=broker)
    return JSONResponse(ready.model_dump(), status_code=503 if status == "unavailable" else 200)


@router.get(
    "/metrics",
    name="metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, services: ServicesDep) -> Response:
    """Jobs, queue, workers, requests, webhooks; docs/how-to/observe.md has the list. 200 also
    without a database, then with `modelpress_database_up 0` and what this process itself knows."""
    measures: Measures = request.app.state.measures
    text = measures.exposition(
        services.database, services.settings.lease_s, broker_up=services.broker_reachable()
    )
    return Response(text, media_type=MEDIA_TYPE)


def _health(check: Callable[[], None]) -> Health:
    try:
        check()
    except (DatabaseUnavailable, BlobError):
        return "down"
    return "up"
