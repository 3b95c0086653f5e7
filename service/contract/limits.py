"""What a project may have at once, and what it has."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from service.contract.base import Contract

ProjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
# Whole in any JSON: beyond 2⁵³ - 1 readers may round (RFC 8259, section 6).
Most = Annotated[int | None, Field(ge=0, le=2**53 - 1)]


class ProjectLimits(Contract):
    """Limits of one project. Null: as the settings of the service say, which may be no limit."""

    queued_jobs: Most = Field(None, description="Jobs that wait, queued or paused.")
    running_jobs: Most = Field(None, description="Jobs that run at once; 0 lets none start.")
    stored_bytes: Most = Field(
        None, description="Bytes of files, models, datasets, artifacts and announced uploads."
    )


class ProjectLimitsRead(Contract):
    """Limits of a project, its own and those that hold."""

    object: Literal["project_limits"] = Field(
        "project_limits", description="Always `project_limits`."
    )
    project: str = Field(description="Whose they are.")
    own: ProjectLimits = Field(description="What was set for it.")
    effective: ProjectLimits = Field(description="What holds; null: no limit.")


class Quota(Contract):
    """One limit and how far it is used."""

    used: int = Field(ge=0, description="What there is.")
    allowed: int | None = Field(description="The most there may be; null: no limit.")


class UsageRead(Contract):
    """What a project has, and what it may have."""

    object: Literal["usage"] = Field("usage", description="Always `usage`.")
    project: str = Field(description="Whose it is.")
    queued_jobs: Quota = Field(description="Jobs that wait, queued or paused.")
    running_jobs: Quota = Field(description="Jobs that run.")
    stored_bytes: Quota = Field(
        description="Bytes of files, models, datasets, artifacts and announced uploads; the same "
        "bytes twice count once."
    )
