"""What the engine tells while it works, sent to the worker over the channel."""

from collections.abc import Mapping
from pathlib import Path

from service.contract.training import EpochRecord as EpochRead
from worker.channel import Channel
from worker.device_lock import DeviceLock
from worker.engine.observer import EpochRecord


class ChannelObserver:
    """Tells the worker what the engine tells, and the engine when to stop."""

    def __init__(self, channel: Channel, folder: Path, lock: DeviceLock | None = None) -> None:
        """With `lock`, which it shares, the work stands still while another job times."""
        self._channel = channel
        self._folder = folder
        self._lock = lock
        self._stop = False

    def on_phase(self, phase: str) -> None:
        self._channel.send({"type": "phase", "phase": phase})

    def on_step(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self._channel.send({"type": "step", "step": step, "total": total, "metrics": dict(metrics)})

    def on_epoch(self, record: EpochRecord) -> None:
        self._channel.send({"type": "epoch", "record": epoch_read(record).model_dump()})

    def on_checkpoint(self, path: Path, step: int) -> None:
        relative = path.resolve().relative_to(self._folder.resolve())
        self._channel.send({"type": "checkpoint", "path": relative.as_posix(), "step": step})

    def on_warning(self, message: str) -> None:
        """Something a careful reader should know."""
        self._channel.send({"type": "warning", "message": message})

    def on_wait(self, waits: bool) -> None:
        """For the machine, which another job has to itself: the job's clock stands still."""
        self._channel.send({"type": "waiting" if waits else "going_on"})

    def should_stop(self) -> bool:
        if self._lock is not None and not self.is_asked_to_stop():
            self._lock.give_way(self.is_asked_to_stop)
        return self.is_asked_to_stop()

    def is_asked_to_stop(self) -> bool:
        """The same, without giving way to anybody."""
        if not self._stop:
            message = self._channel.poll()
            self._stop = message is not None and message.get("type") == "stop"
        return self._stop


def epoch_read(record: EpochRecord) -> EpochRead:
    """The engine's record in the contract's words."""
    return EpochRead(
        epoch=record.epoch,
        losses=dict(record.losses),
        train_accuracy=record.train_accuracy,
        validation_accuracy=record.validation_accuracy,
        validation_loss=record.validation_loss,
        learning_rate=record.learning_rate,
        images_per_s=record.images_per_s,
    )
