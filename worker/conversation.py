"""Listens to an engine child and writes down what it says, until it ends or must."""

import logging
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from service.blobs import BlobStore
from service.contract.ids import new_id
from service.contract.job_errors import JobError
from service.store.errors import DatabaseUnavailable
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.values import (
    ClaimedJob,
    JobProgress,
    NewArtifact,
    NewEvent,
    Point,
)
from worker.channel import ChannelError, Message
from worker.drain import Drain
from worker.engine_child import EngineChild, ExitStatus
from worker.leases import Lease
from worker.phases import Phases

log = logging.getLogger(__name__)

_LISTEN_S: Final = 0.1
_FLUSH_S: Final = 0.5
_LOG_CHUNK_BYTES: Final = 1 << 18
_WAITING: Final = "waiting for the device"
_CHECKPOINT: Final = "application/vnd.modelpress.checkpoint"

StopReason = Literal["cancel", "pause", "drain", "lost"]


@dataclass(frozen=True)
class Ended:
    """How a conversation ended. `stop` is why we ended it, if we did."""

    said: Literal["done", "stopped", "error"] | None
    error: JobError | None
    status: ExitStatus
    stop: StopReason | None
    asked_to_stop: bool


@dataclass
class Conversation:
    """One child's life as the worker sees it."""

    job: ClaimedJob
    lease: Lease
    child: EngineChild
    folder: Path
    database: Database
    blobs: BlobStore
    draining: Drain
    phases: Phases
    _progress: JobProgress = field(default=JobProgress(0, 0, "starting"))
    _points: list[Point] = field(default_factory=list)
    _events: list[NewEvent] = field(default_factory=list)
    _checkpoints: list[NewArtifact] = field(default_factory=list)
    _dirty: bool = False
    _log_offset: int = 0
    _said: Literal["done", "stopped", "error"] | None = None
    _error: JobError | None = None
    _stop: StopReason | None = None
    _stop_deadline: float | None = None
    _flushed_at: float = 0.0
    _waited_s: float = 0.0
    _phase: str = "starting"

    def follow(self) -> Ended:
        """Relay until the child has ended. Cancelled and lost children are killed; a pause or a
        drain asks for a checkpoint first and kills after the grace."""
        for refusal in self.child.isolation.refused:
            log.info("job %s: not isolated by %s: %s", self.job.id, refusal.step, refusal.reason)
        while self._listen():
            self._obey()
            self._flush()
        status = self.child.wait(None)
        assert status is not None
        self._waited_s += self.child.start_clock()
        self._flush_all()
        asked = self._stop_deadline is not None
        return Ended(self._said, self._error, status, self._stop, asked)

    def _listen(self) -> bool:
        """Hear what was said within a moment. False: the child has nothing more to say."""
        until = time.monotonic() + _LISTEN_S
        try:
            while (left := until - time.monotonic()) > 0:
                message = self.child.channel.receive(left)
                if message is None:
                    return False
                self._hear(message)
        except TimeoutError:
            pass
        except ChannelError as error:
            log.warning("job %s: %s", self.job.id, error)
            self.child.kill()
            return False
        return True

    def _obey(self) -> None:
        if self._stop in ("cancel", "lost"):
            return
        if self.lease.lost.is_set() or self.lease.cancel.is_set():
            self._stop = "lost" if self.lease.lost.is_set() else "cancel"
            self.child.kill()
        elif self._stop_deadline is not None:
            if time.monotonic() > self._stop_deadline:
                self.child.kill()
        elif self.lease.pause.is_set() or self.draining.is_set():
            self._stop = "pause" if self.lease.pause.is_set() else "drain"
            self._stop_deadline = time.monotonic() + self.draining.grace_s
            try:
                self.child.channel.send({"type": "stop"})
            except ChannelError:
                return  # it has ended, or will be killed at the deadline

    def _hear(self, message: Message) -> None:
        match message:
            case {"type": "phase", "phase": str(phase)}:
                self._phase = phase[:64]
                self.phases.begin(self._phase)
                self._progress = JobProgress(0, 0, self._phase)
                self._events.append(NewEvent("phase", {"phase": phase[:64]}))
            case {"type": "step", "step": int(step), "total": int(total), "metrics": dict(metrics)}:
                self._progress = JobProgress(step, total, self._phase)
                self._points += [Point(str(n), step, float(v)) for n, v in metrics.items()]
            case {"type": "waiting"}:
                self.child.stop_clock()
                self._progress = replace(self._progress, phase=_WAITING)
            case {"type": "going_on"}:
                self._waited_s += self.child.start_clock()
                self._progress = replace(self._progress, phase=self._phase)
            case {"type": "epoch", "record": dict(record)}:
                self._hear_epoch(record)
            case {"type": "checkpoint", "path": str(path), "step": int(step)}:
                self._keep_checkpoint(path, step)
            case {"type": "warning", "message": str(text)}:
                self._events.append(NewEvent("warning", {"message": text[:2000]}))
            case {"type": "error", "code": str(code), "message": str(text)}:
                self._said = "error"
                hint = message.get("hint")
                self._error = JobError.of(code, text, hint)  # type: ignore[arg-type]  # it validates
            case {"type": "done" | "stopped" as said}:
                self._said = said
            case _:
                log.warning("job %s: its child said something unknown", self.job.id)
        self._dirty = True

    def _hear_epoch(self, record: dict[str, Any]) -> None:
        self._events.append(NewEvent("epoch", record))
        step = self._progress.step
        for name in ("train_accuracy", "validation_accuracy", "validation_loss", "learning_rate"):
            self._points.append(Point(name, step, float(record[name])))
        self._points += [
            Point(f"loss_{name}", step, float(value)) for name, value in record["losses"].items()
        ]

    def _keep_checkpoint(self, path: str, step: int) -> None:
        """Store it at once: the child keeps only two, and this machine may be gone tomorrow."""
        source = (self.folder / path).resolve()
        if not source.is_relative_to(self.folder.resolve()):
            log.warning("job %s: a checkpoint outside its folder", self.job.id)
            return
        with self.blobs.staging_file() as staged:
            try:
                shutil.copyfile(source, staged)
            except FileNotFoundError:  # storing is slower than the child, which has told of newer
                log.warning("job %s: the checkpoint of step %d is gone", self.job.id, step)
                return
            blob = self.blobs.put_file(staged)
        artifact = NewArtifact(
            name=f"checkpoint-{step}",
            kind="checkpoint",
            media_type=_CHECKPOINT,
            sha256=blob.sha256,
            bytes=blob.bytes,
            step=step,
        )
        self._checkpoints.append(artifact)
        self._dirty = True
        self._flush(last=True)

    def _flush_all(self) -> None:
        """Checkpoints are there before the outcome is: a database that is away is waited for, as
        the outcome waits for it."""
        self._flush(last=True)
        while self._checkpoints and not self.lease.lost.is_set():
            if self.draining.is_over():
                return
            time.sleep(_FLUSH_S)
            self._flush(last=True)

    def _flush(self, *, last: bool = False) -> None:
        """Write what has gathered, a few times a second. Kept for later if the database is away."""
        if not last and time.monotonic() - self._flushed_at < _FLUSH_S:
            return
        self._flushed_at = time.monotonic()
        text = self._log_tail()
        if not self._dirty and not text:
            return
        try:
            with self.database.transaction() as session:
                ours = JobStore(session).record(
                    self.job.id,
                    self.job.run,
                    progress=self._progress,
                    points=tuple(self._points),
                    events=tuple(self._events),
                    log=text,
                    waited_s=self._waited_s,
                )
                # after what happened before it
                ours = ours and all(
                    JobStore(session).add_checkpoint(self.job.id, self.job.run, checkpoint)
                    for checkpoint in self._checkpoints
                )
        except DatabaseUnavailable as error:
            log.warning("job %s: progress waits for the database (%s)", self.job.id, error)
            # A commit whose answer was lost has used their ids.
            self._checkpoints = [replace(one, id=new_id("art")) for one in self._checkpoints]
            return
        if not ours:
            self.lease.lost.set()
        self._log_offset += len(text)
        self._waited_s = 0.0
        self._points.clear()
        self._events.clear()
        self._checkpoints.clear()
        self._dirty = False

    def _log_tail(self) -> bytes:
        try:
            with (self.folder / "log").open("rb") as file:
                file.seek(self._log_offset)
                return file.read(_LOG_CHUNK_BYTES)
        except FileNotFoundError:
            return b""
