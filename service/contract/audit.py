"""The audit log, as it is shown."""

from typing import Literal

from pydantic import Field

from service.contract.base import Contract, Time

Outcome = Literal["done", "unchanged", "failed", "refused"]


class AuditRead(Contract):
    """Who did what, with which outcome."""

    id: str = Field(description="The entry.", examples=["aud_01JD8Z6Q5T3V9X7B2C4D6F8G0H"])
    object: Literal["audit_entry"] = Field("audit_entry", description="Always `audit_entry`.")
    at: Time = Field(description="When.")
    project: str | None = Field(
        description="The key's project. None: no key that was ever made, or on the machine itself."
    )
    key: str | None = Field(
        description="Whose key, also one that has ended. None: as with `project`."
    )
    action: str = Field(
        description="The operation, as the OpenAPI document names it.", examples=["cancel_job"]
    )
    target: str | None = Field(
        description="What it was done to, or what it made: an id, or the name of a file."
    )
    outcome: Outcome = Field(
        description="`done`: written together with the change. `unchanged`: allowed, and there was "
        "nothing to write. `failed`: allowed, and answered with an error. `refused`: not allowed."
    )
    status: int | None = Field(
        description="The HTTP status. None with `done`, which is written before the answer."
    )
    code: str | None = Field(description="The problem's code, if it was one.")
    times: int = Field(
        ge=1,
        description="So many requests within a second that differ in their request id only; that "
        "of the last is shown. Always 1 with `done`.",
    )
    request_id: str | None = Field(description="The request.")
    address: str | None = Field(description="Where it came from, as the server sees it.")
