"""/v1/usage and /v1/projects: what projects have and may have."""

from typing import Annotated

from fastapi import APIRouter, Path

from service import quotas
from service.api.deps import Admin, Reader, ServicesDep, problems
from service.contract.limits import (
    ProjectLimits,
    ProjectLimitsRead,
    ProjectName,
    Quota,
    UsageRead,
)
from service.services import Services
from service.store.limits import (
    Limits,
    LimitStore,
    running_jobs,
    stored_bytes,
    waiting_jobs,
)

router = APIRouter(prefix="/v1", tags=["limits"])

Project = Annotated[ProjectName, Path(description="Name of the project.")]


@router.get("/usage", name="get_usage", summary="What the project has", responses=problems())
def get_usage(caller: Reader, services: ServicesDep) -> UsageRead:
    """Of the key's project, beside what it may have."""
    project = caller.project
    with services.database.read() as session:
        allowed = quotas.limits_of(session, project, services.settings)
        return UsageRead(
            project=project,
            queued_jobs=Quota(used=waiting_jobs(session, project), allowed=allowed.queued_jobs),
            running_jobs=Quota(used=running_jobs(session, project), allowed=allowed.running_jobs),
            stored_bytes=Quota(used=stored_bytes(session, project), allowed=allowed.stored_bytes),
        )


@router.get(
    "/projects/{project}/limits",
    name="get_limits",
    summary="Limits of a project",
    responses=problems(),
)
def get_limits(project: Project, caller: Admin, services: ServicesDep) -> ProjectLimitsRead:
    """Its own, and those that hold."""
    return _read(services, project)


@router.put(
    "/projects/{project}/limits",
    name="set_limits",
    summary="Set the limits of a project",
    responses=problems(400, 413, 415),
)
def set_limits(
    project: Project, asked: ProjectLimits, caller: Admin, services: ServicesDep
) -> ProjectLimitsRead:
    """In the place of those it had; a field that is left out is as the settings say. What the
    project has already stays, also above the limit."""
    with services.database.transaction() as session:
        LimitStore(session).set(project, Limits(**asked.model_dump()))
    return _read(services, project)


def _read(services: Services, project: str) -> ProjectLimitsRead:
    with services.database.read() as session:
        own = LimitStore(session).own(project)
    effective = own.over(quotas.defaults(services.settings))
    return ProjectLimitsRead(project=project, own=_shown(own), effective=_shown(effective))


def _shown(limits: Limits) -> ProjectLimits:
    return ProjectLimits(
        queued_jobs=limits.queued_jobs,
        running_jobs=limits.running_jobs,
        stored_bytes=limits.stored_bytes,
    )
