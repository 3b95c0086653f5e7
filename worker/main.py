"""The worker process: `python -m worker.main`. It never imports torch; its children do."""

import logging
import tempfile
import threading
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from celery.signals import worker_shutting_down

from service.blobs import BlobStore
from service.config import Settings
from service.contract.base import MOST_GPUS
from service.contract.benchmark import Runtime
from service.contract.catalog import requirement_of
from service.contract.ids import new_id
from service.contract.specs import JobKind
from service.contract.system import WorkerCapabilities
from service.logs import configure
from service.queue import DEFAULT_QUEUE, GPU_QUEUE, JobQueue
from service.relay import Relay
from service.store.session import Database
from service.store.values import ClaimingWorker, NewWorker
from service.sweep import Sweep
from service.tracing import Tracer, tracer_of_process
from service.wiring import open_blob_store
from worker.drain import Drain
from worker.engine_host import EngineHost
from worker.gpu_memory import GpuMemoryWatch
from worker.intake import Intake, sizes_of_slots
from worker.leases import Heartbeat
from worker.leftovers import Leftovers
from worker.runner import Runner
from worker.slots import Slots
from worker.tasks import celery_worker, worker_app

log = logging.getLogger(__name__)

_READY_S = 120.0


def describe_engine(host: EngineHost, settings: Settings) -> WorkerCapabilities:
    """Ask a child what the engine can do here. Raises EngineHostError."""
    with (
        tempfile.TemporaryDirectory(prefix="describe-", dir=settings.scratch_dir) as name,
        host.spawn(
            Path(name),
            "job",
            log_path=Path(name, "log"),
            entry="worker.child:describe",
            ready_timeout_s=_READY_S,
        ) as child,
    ):
        message = child.channel.receive(_READY_S)
        if message is None:
            raise RuntimeError(Path(name, "log").read_text() or "the engine said nothing")
    refused = {refusal.step: refusal.reason for refusal in child.isolation.refused}
    if refused:
        log.warning("engine children are not isolated by everything: %s", refused)
    for module, error in host.missing.items():
        log.error("the engine cannot import %s: %s", module, error)
    seen = message["capabilities"]
    for package, error in seen["left_out"].items():
        log.error("the architectures of %s are left out: %s", package, error)
    if settings.device == "cuda" and seen["device"] != "cuda":
        raise SystemExit("MODELPRESS_DEVICE is cuda, but torch sees no CUDA device here")
    return WorkerCapabilities(
        device="cpu" if settings.device == "cpu" else seen["device"],
        device_name=seen["device_name"],
        gpus=0 if settings.device == "cpu" else seen["gpus"],
        memory_bytes=seen["memory_bytes"],
        cpu_features=seen["cpu_features"],
        has_int8_products=seen["has_int8_products"],
        compute_capability=None if settings.device == "cpu" else seen["compute_capability"],
        torch=seen["torch"],
        libraries=seen["libraries"],
        kinds=get_args(JobKind),
        architectures=seen["architectures"],
        losses=seen["losses"],
        pruning=seen["pruning"],
        runtimes=seen["runtimes"],
        exporters=seen["exporters"],
        datasets=seen["datasets"],
        not_isolated_by={str(step): reason for step, reason in refused.items()},
    )


def capability_tokens(seen: WorkerCapabilities) -> frozenset[str]:
    """What jobs may require, one token each. Without GPUs any number of processes will do."""
    most = seen.gpus if seen.device == "cuda" else MOST_GPUS
    return frozenset(
        [f"gpus:{count}" for count in range(2, most + 1)]
        + [f"kind:{kind}" for kind in seen.kinds]
        + [requirement_of(name) for name in seen.architectures]
        + [f"loss:{name}" for name in seen.losses]
        # Also those that it lacks: they are skipped with a reason, and not waited for.
        + [f"runtime:{name}" for name in get_args(Runtime)]
        + [f"dataset:{name}" for name in seen.datasets]
    )


def main() -> int:
    """Run until SIGTERM or SIGINT, then drain."""
    settings = Settings()
    configure(settings)
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    blobs = open_blob_store(settings)
    relay = Relay(JobQueue(settings.broker))
    tracer = tracer_of_process("modelpress-worker")
    with closing(tracer), EngineHost(settings.scratch_dir) as host:
        seen = describe_engine(host, settings)
        _serve(settings, database, blobs, relay, host, seen, tracer)
    database.close()
    return 0


def _serve(
    settings: Settings,
    database: Database,
    blobs: BlobStore,
    relay: Relay,
    host: EngineHost,
    seen: WorkerCapabilities,
    tracer: Tracer,
) -> None:
    worker_id = new_id("wrk")
    tokens = capability_tokens(seen)
    queues = (DEFAULT_QUEUE, GPU_QUEUE) if seen.device == "cuda" else (DEFAULT_QUEUE,)
    gpu_memory = GpuMemoryWatch()
    heartbeat = Heartbeat(
        database,
        NewWorker(
            id=worker_id,
            hostname=settings.worker_name,
            version=version("modelpress"),
            device=seen.device,
            slots=settings.job_slots,
            queues=queues,
            capabilities=seen.model_dump(mode="json"),
            tokens=tokens,
        ),
        interval_s=settings.heartbeat_s,
        lease_s=settings.lease_s,
        gpu_memory=lambda: gpu_memory.latest,
    )
    draining = Drain(settings.drain_s)
    runner = Runner(
        settings=settings,
        database=database,
        blobs=blobs,
        host=host,
        heartbeat=heartbeat,
        worker=ClaimingWorker(worker_id, seen.device, tokens, settings.job_slots),
        nudge=relay.nudge,
        draining=draining,
        tracer=tracer,
    )
    slots = Slots(settings.job_slots, runner.run_one)
    sweep = Sweep(database, blobs, relay.nudge, settings)
    leftovers = Leftovers(database, settings.scratch_dir)
    intake = Intake(settings, database, blobs, host, worker_id, runner.nudge_row)
    checking = [
        threading.Thread(target=intake.run, args=(draining, largest), name="intake", daemon=True)
        for largest in sizes_of_slots(settings.intake_slots)
    ]

    def drain(*_: object, **__: object) -> None:
        draining.set()
        heartbeat.drain()

    worker_shutting_down.connect(drain)
    celery = celery_worker(
        worker_app(settings.broker, slots.nudge),
        slots=settings.job_slots,
        queues=queues,
        name=f"{worker_id}@{settings.worker_name}",
    )
    heartbeat.start()
    if seen.device == "cuda":
        gpu_memory.start()
    relay.start()
    sweep.start()
    leftovers.start()
    for thread in checking:
        thread.start()
    log.info("worker %s on %s serves %s", worker_id, seen.device_name, ", ".join(queues))
    try:
        celery.start()  # until a signal; returns when every slot is empty
    finally:
        drain()
        gpu_memory.close()
        sweep.close()
        leftovers.close()
        relay.close()
        heartbeat.close()


if __name__ == "__main__":
    raise SystemExit(main())
