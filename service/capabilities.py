"""What the workers alive can do, together."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from sqlalchemy.orm import Session

from service.contract.layers import LAYERS_OF
from service.contract.system import CapabilitiesRead, Hardware, WorkerCapabilities
from service.store.workers import WorkerStore


def capabilities(session: Session, alive_s: float) -> CapabilitiesRead:
    """What one or another of them can do that were heard of within `alive_s` seconds; empty while
    there are none."""
    rows = WorkerStore(session).alive(alive_s)
    workers = [WorkerCapabilities.model_validate(row.capabilities) for row in rows]
    options = _by_name(worker.architectures for worker in workers)
    return CapabilitiesRead(
        version=version("modelpress"),
        kinds=_all(worker.kinds for worker in workers),
        architectures=options,
        losses=_all(worker.losses for worker in workers),
        pruning=_by_name(worker.pruning for worker in workers),
        layers={name: layers for name, layers in LAYERS_OF.items() if name in options},
        runtimes=_all(worker.runtimes for worker in workers),
        exporters=_all(worker.exporters for worker in workers),
        datasets=_all(worker.datasets for worker in workers),
        devices=_all([worker.device_name] for worker in workers),
        hardware=tuple(dict.fromkeys(_hardware(worker) for worker in workers)),
        libraries=_by_name(
            {name: (number,) for name, number in worker.libraries.items()} for worker in workers
        ),
        workers=len(workers),
    )


def _hardware(worker: WorkerCapabilities) -> Hardware:
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
