"""What runs in an engine child: read the order, do it, speak over the channel.

The child has no credentials, no database and no network; see `worker.isolation`.
"""

import errno
import re
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from service.contract.job_errors import JobErrorCode
from worker.channel import Channel
from worker.channel_observer import ChannelObserver
from worker.device_lock import DeviceLock
from worker.engine.errors import EngineError, RankLost, Stopped
from worker.engine.observer import NullObserver
from worker.order import ORDER, PRODUCT, CheckOrder, JobOrder, read_order
from worker.ranks import LOST, Notebook, Place, together

_DEVICE_WORDS: Final = re.compile(
    r"\b(CUDA|cuDNN|cuBLAS|HIP|NCCL) (driver )?error\b", re.IGNORECASE
)


def main(channel: Channel, folder: Path, kind: str) -> int:
    """The entry of every job and intake child. Exits 0 also for a failure that it could name."""
    if kind == "intake":
        return _speak(channel, folder, lambda: _check(folder))
    order = read_order(folder)
    if order.spec.gpus == 1:
        return _speak(channel, folder, lambda: _run(order, channel, folder))
    return together(
        order.spec.gpus,
        folder,
        channel,
        lambda ours, own, place: _speak(ours, own, lambda: _take_part(order, ours, own, place)),
    )


def describe(channel: Channel, folder: Path, kind: str) -> int:
    """The entry of the child that a worker starts to learn what its engine can do."""
    from worker.engine.capabilities import capabilities

    channel.send({"type": "capabilities", "capabilities": capabilities()})
    return 0


def _run(order: JobOrder, channel: Channel, folder: Path) -> str:
    from worker.handlers import handle  # the handlers import the engine, and so torch

    with _sharing(channel, folder) as (observer, lock):
        return handle(order, folder, observer, lock=lock).model_dump_json()


@contextmanager
def _sharing(channel: Channel, folder: Path) -> Iterator[tuple[ChannelObserver, DeviceLock]]:
    """The machine, shared with the jobs whose folders lie beside this one's; whatever the kind."""
    with DeviceLock(folder.resolve().parent, ChannelObserver(channel, folder).on_wait) as lock:
        observer = ChannelObserver(channel, folder, lock)
        lock.share(observer.is_asked_to_stop)
        yield observer, lock


def _take_part(order: JobOrder, ours: Channel | Notebook, folder: Path, place: Place) -> str:
    """One of several processes: all of them do the job, the first one tells and keeps it."""
    from worker.engine.group import joined
    from worker.handlers import handle, take_part

    with joined(place.rank, place.size, place.meeting) as group:
        if isinstance(ours, Channel):
            with _sharing(ours, folder) as (observer, lock):
                return handle(order, folder, observer, group, lock).model_dump_json()
        take_part(order, folder, NullObserver(), group)
        return ""


def _check(folder: Path) -> str:
    from worker.handlers.intake import check

    order = CheckOrder.model_validate_json((folder / ORDER).read_bytes())
    return check(order.check, folder).model_dump_json()


def _speak(channel: Channel | Notebook, folder: Path, work: Callable[[], str]) -> int:
    try:
        (folder / PRODUCT).write_text(work(), encoding="utf-8")
        channel.send({"type": "done"})
    except Stopped:
        channel.send({"type": "stopped"})
    except RankLost:
        traceback.print_exc()
        return LOST
    except EngineError as error:
        channel.send(
            {"type": "error", "code": error.code, "message": str(error), "hint": error.hint}
        )
    except MemoryError as error:
        channel.send(
            {"type": "error", "code": "out_of_memory", "message": f"memory ran out: {error}"}
        )
    except Exception as error:
        traceback.print_exc()  # into the job's log
        code = _code_of(error, folder)
        channel.send(
            {"type": "error", "code": code, "message": f"{type(error).__name__}: {error}"[:2000]}
        )
    return 0


def _code_of(error: Exception, folder: Path) -> JobErrorCode:
    if _disk_is_full(error, folder):
        return "disk_full"
    # torch's own type for it is newer than the torch that we take, so it is told by its words.
    failed = isinstance(error, RuntimeError) and _DEVICE_WORDS.search(str(error)) is not None
    return "device_error" if failed else "internal"


def _disk_is_full(error: Exception, folder: Path) -> bool:
    """torch and safetensors say it in errors of their own, so the disk itself is asked too."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, (OSError, RuntimeError)) and shutil.disk_usage(folder).free < 1 << 20
