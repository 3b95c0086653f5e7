"""The workers, and when they were last heard of."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.contract.system import GpuMemory
from service.store.session import now
from service.store.sql import upsert
from service.store.tables import WorkerRow
from service.store.values import NewWorker


class WorkerStore:
    """The workers of a database, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def register(self, worker: NewWorker) -> None:
        """It is here. Twice is fine."""
        moment = now(self._session)
        values = {
            "id": worker.id,
            "hostname": worker.hostname,
            "version": worker.version,
            "device": worker.device,
            "slots": worker.slots,
            "queues": list(worker.queues),
            "capabilities": dict(worker.capabilities),
            "tokens": sorted(worker.tokens),
            "draining": False,
            "started_at": moment,
            "seen_at": moment,
        }
        upsert(self._session, WorkerRow, [values])

    def heartbeat(self, worker_id: str, gpu_memory: Sequence[GpuMemory] | None = None) -> bool:
        """It is still here. False: its row was swept away; register again. `gpu_memory` replaces
        what it said before; None: as it was."""
        values: dict[str, Any] = {"seen_at": now(self._session)}
        if gpu_memory is not None:
            values["gpu_memory"] = [memory.model_dump() for memory in gpu_memory]
        seen = self._session.execute(
            update(WorkerRow)
            .where(WorkerRow.id == worker_id)
            .values(values)
            .returning(WorkerRow.id)
            .execution_options(synchronize_session=False)
        ).first()
        return seen is not None

    def set_draining(self, worker_id: str) -> None:
        """It takes nothing new."""
        self._session.execute(
            update(WorkerRow)
            .where(WorkerRow.id == worker_id)
            .values(draining=True)
            .execution_options(synchronize_session=False)
        )

    def alive(self, within_s: float) -> Sequence[WorkerRow]:
        """Those heard of within `within_s` seconds."""
        since = now(self._session) - timedelta(seconds=within_s)
        query = select(WorkerRow).where(WorkerRow.seen_at >= since).order_by(WorkerRow.id)
        return self._session.scalars(query).all()

    def list(self) -> Sequence[WorkerRow]:
        """All that were not forgotten yet."""
        return self._session.scalars(select(WorkerRow).order_by(WorkerRow.id)).all()

    def remove(self, worker_id: str) -> None:
        """It ended politely."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))

    def purge(self, before: datetime) -> None:
        """Forget those not heard of since."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.seen_at < before))
