"""Sends the messages that are due, from threads of its own.

In every API process: workers may have no way out of their network. Each message is claimed by
compare-and-set, so that any number of couriers send no try twice.
"""

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from service.contract.webhooks import DeliveryStatus
from service.errands import Errands
from service.store.deliveries import Answer, ClaimedDelivery, DeliveryStore
from service.store.session import Database
from service.webhooks.signing import signed_headers

log = logging.getLogger(__name__)

_THREADS: Final = 4  # so many slow receivers hold up the others
LEASE_S: Final = 60.0  # longer than a try may take: see `sending.SEND_S`


class Sends(Protocol):
    """What sends a message: `Sender`, or a double of it."""

    def send(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """What came of it. Raises nothing that a receiver could bring about."""


class Courier:
    """The threads."""

    def __init__(
        self,
        database: Database,
        sender: Sends,
        version: str,
        tried: Callable[[DeliveryStatus], None] = lambda status: None,
    ) -> None:
        """`tried` is told of each try that was made, from any of the threads."""
        self._tried = tried
        self._database = database
        self._sender = sender
        self._agent = f"Modelpress/{version}"
        self._errands = Errands("courier", self.deliver_one, threads=_THREADS)

    def start(self) -> None:
        """Begin, with a first look at once."""
        self._errands.start()

    def close(self) -> None:
        """Stop. A try under way is waited for a little; left behind, it is made again later."""
        self._errands.close()

    def deliver_one(self) -> bool:
        """Send the message that is due longest. False: there is none."""
        with self._database.read() as session:  # most of the time there is nothing to lock for
            if not DeliveryStore(session).is_due():
                return False
        with self._database.transaction() as session:
            claimed = DeliveryStore(session).claim(LEASE_S)
        if claimed is None:
            return False
        answer = self._send(claimed)
        with self._database.transaction() as session:
            status = DeliveryStore(session).finish(claimed, answer)
        if status is not None:
            self._tried(status)
        if not answer.arrived:
            log.info(
                "webhook %s: try %d of %s failed (%s); now %s",
                claimed.webhook_id,
                claimed.try_,
                claimed.id,
                answer.error,
                status,
            )
        return True

    def _send(self, claimed: ClaimedDelivery) -> Answer:
        body = claimed.body.encode()
        headers = {
            "content-type": "application/json",
            "user-agent": self._agent,
            **signed_headers(claimed.id, int(time.time()), body, claimed.secrets),
        }
        return self._sender.send(claimed.url, headers, body)
