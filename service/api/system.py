"""What works here, what it can do, and how much waits."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from fastapi import APIRouter

from service.api.deps import Reader, ServicesDep, problems
from service.api.schemas import worker_read
from service.contract.layers import LAYERS_OF
from service.contract.system import (
    CapabilitiesRead,
    Hardware,
    QueueRead,
    WorkerCapabilities,
    WorkerRead,
)
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
        rows = WorkerStore(session).alive(services.settings.lease_s)
        seen = [WorkerCapabilities.model_validate(row.capabilities) for row in rows]
    return merged(seen)


def merged(workers: list[WorkerCapabilities]) -> CapabilitiesRead:
    """What one worker or another can do."""
    options = _by_name(worker.architectures for worker in workers)
    return CapabilitiesRead(
        version=version("modelpress"),
        kinds=_all(worker.kinds for worker in workers),
        architectures=options,
        losses=_all(worker.losses for worker in workers),
        pruning=_by_name(worker.pruning for worker in workers),
        layers={name: layers for name, layers in LAYERS_OF.items() if name in options},
        runtimes=_all(worker.runtimes for worker in workers),
        datasets=_all(worker.datasets for worker in workers),
        devices=_all([worker.device_name] for worker in workers),
        hardware=tuple(dict.fromkeys(hardware_of(worker) for worker in workers)),
        libraries=_by_name(
            {name: (number,) for name, number in worker.libraries.items()} for worker in workers
        ),
        workers=len(workers),
    )


def hardware_of(worker: WorkerCapabilities) -> Hardware:
    """What a worker computes on."""
    return Hardware(
        device=worker.device,
        device_name=worker.device_name,
        cpu_features=worker.cpu_features,
        has_int8_products=worker.has_int8_products,
        compute_capability=worker.compute_capability,
    )


def _by_name(parts: Iterable[Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    whole: dict[str, set[str]] = {}
    for part in parts:
        for name, taken in part.items():
            whole.setdefault(name, set()).update(taken)
    return {name: tuple(sorted(taken)) for name, taken in sorted(whole.items())}


def _all(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for some in names for name in some}))


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
