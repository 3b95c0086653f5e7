"""Webhooks: who is told when a job ends, and what became of each message."""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field, StringConstraints

from service.contract.base import Contract, JobId, ResourceName, Time
from service.contract.wire import JobRead

JobOver = Literal["job.succeeded", "job.failed", "job.cancelled"]
"""An event that a webhook can be asked for."""
WebhookEvent = Literal["job.succeeded", "job.failed", "job.cancelled", "webhook.test"]
DeliveryStatus = Literal["pending", "succeeded", "failed"]

ALL_EVENTS: Final[tuple[JobOver, ...]] = get_args(JobOver)
MOST_WEBHOOKS: Final = 16
"""That a project may have."""
OVERLAP_S: Final = 86_400
LONGEST_OVERLAP_S: Final = 7 * 86_400

# What the service reads is stricter yet: `service.webhooks.target`.
_URL_PATTERN: Final = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
    r"([/?][!$-;=?-Z_a-z~]*)?$"
)
WebhookUrl = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048),
    Field(json_schema_extra={"pattern": _URL_PATTERN}),
]


class WebhookCreate(Contract):
    """Asks for a webhook."""

    url: WebhookUrl = Field(
        description="Where to POST: `https://`, a host in ASCII, without user, password or "
        "fragment. `http://` only where the operator opened networks of their own.",
        examples=["https://hooks.example.com/modelpress"],
    )
    events: tuple[JobOver, ...] = Field(
        ALL_EVENTS, min_length=1, max_length=8, description="What to tell of."
    )
    name: ResourceName = Field("webhook", description="What it is for.")


class WebhookRead(Contract):
    """A webhook, without its secret."""

    id: str = Field(description="The webhook.", examples=["whk_01JD8Z6Q5T3V9X7B2C4D6F8G0H"])
    object: Literal["webhook"] = Field("webhook", description="Always `webhook`.")
    name: str = Field(description="What it is for.")
    url: str = Field(description="Where messages go.")
    events: tuple[JobOver, ...] = Field(description="What it tells of.")
    status: Literal["active", "disabled"] = Field(
        description="`disabled` after days without a success, or an answer 410."
    )
    created_at: Time = Field(description="When it was made.")
    succeeded_at: Time | None = Field(description="When a message last arrived.")
    failing_since: Time | None = Field(
        description="When the first message since then did not arrive."
    )
    old_secret_until: Time | None = Field(
        description="Until when messages are signed with the secret before this one too."
    )


class WebhookCreated(WebhookRead):
    """A webhook with its secret, shown this once."""

    secret: str = Field(
        description="Checks signatures, by the Standard Webhooks specification.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class DeliveryRead(Contract):
    """A message to a webhook, and how far it is."""

    id: str = Field(
        description="The message: `webhook-id` of every try.",
        examples=["msg_01JD8Z6Q5T3V9X7B2C4D6F8G0H"],
    )
    object: Literal["delivery"] = Field("delivery", description="Always `delivery`.")
    webhook: str = Field(description="Whom it is for.")
    event: WebhookEvent = Field(description="What it tells of.")
    job: JobId | None = Field(description="The job that ended. Null in a test.")
    status: DeliveryStatus = Field(
        description="`pending` while tries are left; `succeeded` once it was answered by 2xx."
    )
    tries: int = Field(ge=0, description="How often it was sent, a try under way included.")
    response_status: int | None = Field(description="Status of the last answer, if there was one.")
    error: str | None = Field(description="Why the last try failed.")
    created_at: Time = Field(description="When it was written down.")
    tried_at: Time | None = Field(description="When it was last sent.")
    next_try_at: Time | None = Field(description="When it will be sent, if it is pending.")
    finished_at: Time | None = Field(description="When it arrived or was given up.")


class WebhookTested(Contract):
    """The data of a `webhook.test`."""

    object: Literal["webhook"] = Field("webhook", description="Always `webhook`.")
    id: str = Field(description="The webhook.")


class WebhookMessage(Contract):
    """The body of a message."""

    type: WebhookEvent = Field(description="What happened.")
    timestamp: Time = Field(description="When it happened; the header has the time of the try.")
    data: JobRead | WebhookTested = Field(
        description="The job as `GET /v1/jobs/{id}` shows it, but `result`, which is null."
    )
