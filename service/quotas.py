"""The rules of limits: what is refused because a project has enough."""

from sqlalchemy.orm import Session

from service.config import Settings
from service.errors import NoSpace, TooMany
from service.store.limits import Limits, LimitStore, alone, stored_bytes, waiting_jobs

_RETRY_S = 10


def defaults(settings: Settings) -> Limits:
    """Of a project that has no limits of its own."""
    return Limits(settings.max_queued_jobs, settings.max_running_jobs, settings.max_stored_bytes)


def limits_of(session: Session, project: str, settings: Settings) -> Limits:
    """What holds for a project."""
    return LimitStore(session).own(project).over(defaults(settings))


def check_queue(session: Session, project: str, settings: Settings) -> None:
    """Raises TooMany, or NoSpace, if the project may not queue one more job now. What a job that
    runs already makes is kept, however much it is."""
    limits = limits_of(session, project, settings)
    if limits.queued_jobs is not None:
        alone(session, "queue", project)
        used = waiting_jobs(session, project)
        if used >= limits.queued_jobs:
            raise TooMany(
                f"queued_jobs: {used} used, {limits.queued_jobs} allowed; wait until some have "
                "started, or cancel some",
                code="quota_exceeded",
                retry_after_s=_RETRY_S,
            )
    _check_room(session, project, limits)


def check_room(session: Session, project: str, settings: Settings) -> None:
    """Raises NoSpace if the project has as many bytes as it may. For what makes bytes that nobody
    knows yet: a model or a dataset that is written anew, a dataset that a source holds."""
    _check_room(session, project, limits_of(session, project, settings))


def _check_room(session: Session, project: str, limits: Limits) -> None:
    if limits.stored_bytes is not None:
        used = stored_bytes(session, project)
        if used >= limits.stored_bytes:
            raise _too_full(used, limits.stored_bytes)


def check_bytes(session: Session, project: str, settings: Settings, more: int) -> None:
    """Raises NoSpace if the project may not store so many bytes more."""
    allowed = limits_of(session, project, settings).stored_bytes
    if allowed is None:
        return
    alone(session, "bytes", project)
    used = stored_bytes(session, project)
    if used + more > allowed:
        raise _too_full(used, allowed, more)


def _too_full(used: int, allowed: int, more: int = 0) -> NoSpace:
    asked = f", {more} asked for" if more else ""
    return NoSpace(
        f"stored_bytes: {used} used, {allowed} allowed{asked}; delete files, models, datasets or "
        "jobs",
        code="quota_exceeded",
    )
