"""/v1/webhooks: who is told when a job ends."""

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from service.api.deps import After, Limit, Reader, ServicesDep, Writer, problems
from service.api.prefer import settled, wait_seconds
from service.api.schemas import page
from service.contract.webhooks import (
    LONGEST_OVERLAP_S,
    OVERLAP_S,
    DeliveryRead,
    DeliveryStatus,
    WebhookCreate,
    WebhookCreated,
    WebhookRead,
)
from service.contract.wire import Page
from service.errors import Clash, Invalid
from service.services import Services
from service.store.deliveries import DeliveryStore
from service.store.tables import DeliveryRow, WebhookRow
from service.store.webhooks import WebhookStore
from service.webhooks.signing import new_secret
from service.webhooks.target import NotAllowed, read_url

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post(
    "", name="create_webhook", status_code=201, summary="Make a webhook", responses=problems(409)
)
def create_webhook(
    asked: WebhookCreate, response: Response, caller: Writer, services: ServicesDep
) -> WebhookCreated:
    """The secret is in this answer and nowhere else. Nothing is sent yet: see `/test`."""
    try:
        read_url(asked.url, services.settings.own_networks)
    except NotAllowed as error:
        raise Invalid.at("#/url", str(error), "webhook_url_not_allowed") from None
    secret = new_secret()
    with services.database.transaction() as session:
        row = WebhookStore(session).add(
            caller.project, name=asked.name, url=asked.url, events=asked.events, secret=secret
        )
    response.headers["Location"] = f"/v1/webhooks/{row.id}"
    return WebhookCreated(**_read(row).model_dump(), secret=secret)


@router.get("", name="list_webhooks", summary="List webhooks", responses=problems())
def list_webhooks(
    caller: Reader, services: ServicesDep, limit: Limit = 20, after: After = None
) -> Page[WebhookRead]:
    """Newest first, without their secrets."""
    with services.database.read() as session:
        rows = WebhookStore(session).list(caller.project, limit + 1, after)
    return page([_read(row) for row in rows], limit, [row.id for row in rows])


@router.get("/{webhook_id}", name="get_webhook", summary="Read a webhook", responses=problems(404))
def get_webhook(webhook_id: str, caller: Reader, services: ServicesDep) -> WebhookRead:
    """Without its secret."""
    with services.database.read() as session:
        return _read(WebhookStore(session).get(webhook_id, caller.project))


@router.delete(
    "/{webhook_id}",
    name="delete_webhook",
    status_code=204,
    summary="Forget a webhook",
    responses=problems(404),
)
def delete_webhook(webhook_id: str, caller: Writer, services: ServicesDep) -> None:
    """With its messages. One that is being sent may still arrive."""
    with services.database.transaction() as session:
        WebhookStore(session).delete(webhook_id, caller.project)


@router.post(
    "/{webhook_id}/rotate",
    name="rotate_webhook_secret",
    summary="Change a webhook's secret",
    responses=problems(404),
)
def rotate_webhook_secret(
    webhook_id: str,
    caller: Writer,
    services: ServicesDep,
    overlap_s: Annotated[
        int,
        Query(
            ge=0,
            le=LONGEST_OVERLAP_S,
            description="How long messages are signed with the secret before it too.",
        ),
    ] = OVERLAP_S,
) -> WebhookCreated:
    """The new secret is in this answer and nowhere else. Meanwhile each message has two signatures;
    a receiver that knows either secret takes it."""
    secret = new_secret()
    with services.database.transaction() as session:
        row = WebhookStore(session).rotate(webhook_id, caller.project, secret, overlap_s)
    return WebhookCreated(**_read(row).model_dump(), secret=secret)


@router.post(
    "/{webhook_id}/enable",
    name="enable_webhook",
    summary="Use a disabled webhook again",
    responses=problems(404),
)
def enable_webhook(webhook_id: str, caller: Writer, services: ServicesDep) -> WebhookRead:
    """It is told of what happens from now on. Nothing changes if it is active."""
    with services.database.transaction() as session:
        return _read(WebhookStore(session).enable(webhook_id, caller.project))


@router.post(
    "/{webhook_id}/test",
    name="test_webhook",
    status_code=202,
    summary="Send a test message",
    responses={
        200: {"description": "It was tried within the wait.", "model": DeliveryRead},
        **problems(404),
    },
)
async def send_test_message(
    webhook_id: str,
    response: Response,
    caller: Writer,
    services: ServicesDep,
    prefer: Annotated[
        str | None, Header(max_length=64, description="`wait=N`: up to 60 s for the answer.")
    ] = None,
) -> DeliveryRead:
    """A message of the type `webhook.test`, tried once, also where the webhook is disabled."""
    read = await asyncio.to_thread(_add_test, services, webhook_id, caller.project)
    if wait_s := wait_seconds(prefer):
        read = await settled(
            read,
            _reading(services, read),
            lambda one: one.status != "pending",
            wait_s,
            lambda: services.keyring.check(caller),
        )
        response.headers["Preference-Applied"] = f"wait={wait_s:g}"
    if read.status != "pending":
        response.status_code = 200
    return read


def _add_test(services: Services, webhook_id: str, project: str) -> DeliveryRead:
    with services.database.transaction() as session:
        hook = WebhookStore(session).get(webhook_id, project, hold=True)
        return _delivery(DeliveryStore(session).add_test(hook))


def _reading(services: Services, first: DeliveryRead) -> Callable[[], DeliveryRead]:
    def read() -> DeliveryRead:
        with services.database.read() as session:
            return _delivery(DeliveryStore(session).get(first.id, first.webhook))

    return read


@router.get(
    "/{webhook_id}/deliveries",
    name="list_webhook_deliveries",
    summary="Messages of a webhook",
    responses=problems(404),
)
def list_webhook_deliveries(
    webhook_id: str,
    caller: Reader,
    services: ServicesDep,
    limit: Limit = 20,
    after: After = None,
    status: DeliveryStatus | None = None,
) -> Page[DeliveryRead]:
    """Newest first. Those that are over are kept for a week."""
    with services.database.read() as session:
        hook = WebhookStore(session).get(webhook_id, caller.project)
        rows = DeliveryStore(session).list(hook.id, limit + 1, after, status)
    return page([_delivery(row) for row in rows], limit, [row.id for row in rows])


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    name="redeliver_webhook_message",
    status_code=202,
    summary="Send a message again",
    responses=problems(404, 409),
)
def redeliver_webhook_message(
    webhook_id: str, delivery_id: str, caller: Writer, services: ServicesDep
) -> DeliveryRead:
    """The same message with the same id, now, and then by what is left of the schedule."""
    with services.database.transaction() as session:
        hook = WebhookStore(session).get(webhook_id, caller.project, hold=True)
        if hook.disabled_at is not None:
            raise Clash(f"{webhook_id} is disabled; enable it first", code="webhook_disabled")
        return _delivery(DeliveryStore(session).redeliver(delivery_id, hook.id))


def _read(row: WebhookRow) -> WebhookRead:
    return WebhookRead(
        id=row.id,
        name=row.name,
        url=row.url,
        events=tuple(row.events),
        status="active" if row.disabled_at is None else "disabled",
        created_at=row.created_at,
        succeeded_at=row.succeeded_at,
        failing_since=row.failing_since,
        old_secret_until=row.old_secret_until,
    )


def _delivery(row: DeliveryRow) -> DeliveryRead:
    return DeliveryRead(
        id=row.id,
        webhook=row.webhook_id,
        event=row.event,
        job=row.job_id,
        status=row.status,
        tries=row.tries,
        response_status=row.response_status,
        error=row.error,
        created_at=row.created_at,
        tried_at=row.tried_at,
        next_try_at=row.next_try_at if row.status == "pending" else None,
        finished_at=row.finished_at,
    )
