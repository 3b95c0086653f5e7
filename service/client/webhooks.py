"""Webhooks: who is told when a job ends."""

from collections.abc import Iterator, Sequence
from typing import Final

from service.client.http import Http, read_as
from service.contract.webhooks import (
    DeliveryRead,
    DeliveryStatus,
    JobOver,
    WebhookCreated,
    WebhookRead,
)
from service.contract.wire import Page

_PATH: Final = "/v1/webhooks"


class Webhooks:
    """The webhooks of the key's project. Receivers check messages with the package
    `standardwebhooks` and the secret that `create` returns."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def create(
        self, url: str, *, events: Sequence[JobOver] | None = None, name: str | None = None
    ) -> WebhookCreated:
        """A webhook, told of every end of a job unless `events` are given. Its secret is in this
        answer and nowhere else. Raises `Invalid` for a URL that messages may not go to."""
        asked = {"url": url, "events": None if events is None else list(events), "name": name}
        given = {field: value for field, value in asked.items() if value is not None}
        return read_as(WebhookCreated, self._http.request("POST", _PATH, json=given))

    def get(self, webhook_id: str) -> WebhookRead:
        """One webhook, without its secret. Raises `NotFound`."""
        return self._http.get(WebhookRead, f"{_PATH}/{webhook_id}")

    def list(self) -> Iterator[WebhookRead]:
        """Webhooks, newest first, without their secrets."""
        return self._http.pages(Page[WebhookRead], _PATH)

    def delete(self, webhook_id: str) -> None:
        """Forget one with its messages. Raises `NotFound`."""
        self._http.request("DELETE", f"{_PATH}/{webhook_id}")

    def test(self, webhook_id: str, *, wait: float = 20.0) -> DeliveryRead:
        """Send a message `webhook.test` and wait up to `wait` seconds, 60 at most, for what comes
        of it. Still `pending`: nobody has sent it yet."""
        response = self._http.request(
            "POST",
            f"{_PATH}/{webhook_id}/test",
            headers={"prefer": f"wait={round(wait)}"},
            timeout_s=wait + self._http.timeout_s,
        )
        return read_as(DeliveryRead, response)

    def rotate(self, webhook_id: str, *, overlap_s: int | None = None) -> WebhookCreated:
        """A new secret, in this answer and nowhere else. For `overlap_s` seconds, a day unless
        given, messages are signed with the one before it too."""
        response = self._http.request(
            "POST", f"{_PATH}/{webhook_id}/rotate", params={"overlap_s": overlap_s}
        )
        return read_as(WebhookCreated, response)

    def enable(self, webhook_id: str) -> WebhookRead:
        """Use a disabled one again; what happened meanwhile it is not told."""
        response = self._http.request("POST", f"{_PATH}/{webhook_id}/enable", repeatable=True)
        return read_as(WebhookRead, response)

    def deliveries(
        self, webhook_id: str, *, status: DeliveryStatus | None = None
    ) -> Iterator[DeliveryRead]:
        """Its messages, newest first. Those that are over are kept for a week."""
        path = f"{_PATH}/{webhook_id}/deliveries"
        return self._http.pages(Page[DeliveryRead], path, {"status": status})

    def redeliver(self, webhook_id: str, delivery_id: str) -> DeliveryRead:
        """Send a message that is over again, under its old id. Raises `Conflict` where the webhook
        is disabled."""
        path = f"{_PATH}/{webhook_id}/deliveries/{delivery_id}/redeliver"
        return read_as(DeliveryRead, self._http.request("POST", path))
