"""What works here, what it can do, and how much waits."""

from fastapi import APIRouter

from service.api.deps import Reader, ServicesDep, problems
from service.api.schemas import worker_read
from service.capabilities import capabilities
from service.contract.system import CapabilitiesRead, QueueRead, WorkerRead
from service.contract.wire import Page
from service.store.jobs import JobStore
from service.store.session import now
from service.store.workers import WorkerStore

router = APIRouter(prefix="/v1", tags=["system"])


@router.get(
    "/capabilities",
    name="get_capabilities",
    summary="What the workers can do",
    responses=problems(),
)
def get_capabilities(caller: Reader, services: ServicesDep) -> CapabilitiesRead:
    """From the workers alive; empty while there are none."""
    with services.database.read() as session:
        return capabilities(session, services.settings.lease_s)


@router.get("/workers", name="list_workers", summary="List workers", responses=problems())
def list_workers(caller: Reader, services: ServicesDep) -> Page[WorkerRead]:
    """All of them at once. Of what they run, only this project's jobs are shown."""
    with services.database.read() as session:
        jobs = JobStore(session)
        moment, alive_s = now(session), services.settings.lease_s
        shown = tuple(
            worker_read(row, jobs.held_by(row.id, caller.project), moment, alive_s)
            for row in WorkerStore(session).list()
        )
    return Page[WorkerRead](data=shown, has_more=False, last_id=shown[-1].id if shown else None)


@router.get("/queue", name="get_queue", summary="How much waits", responses=problems())
def get_queue(caller: Reader, services: ServicesDep) -> QueueRead:
    """Jobs of this project, and the workers that all projects share."""
    with services.database.read() as session:
        alive = WorkerStore(session).alive(services.settings.lease_s)
        taking = [row for row in alive if not row.draining]
        return QueueRead(
            jobs=JobStore(session).counts(caller.project),
            oldest_queued_s=JobStore(session).oldest_queued_s(caller.project),
            workers=len(taking),
            slots=sum(row.slots for row in taking),
        )
