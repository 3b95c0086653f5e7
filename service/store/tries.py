"""What rows that are sent have in common: a lease while somebody sends, a wait after a failure."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, or_

from service.store.sql import spelled_out
from service.store.tables import DeliveryRow, ExportRow

_JITTER: Final = 0.2  # those that failed together are not sent together


def waits(row: type[DeliveryRow] | type[ExportRow], moment: datetime) -> ColumnElement[bool]:
    """Whether a row is still to be sent, and nobody is at it."""
    free = or_(row.lease_until.is_(None), row.lease_until <= moment)
    return and_(spelled_out(row.status, {"pending"}), free)


def jittered(seconds: float) -> timedelta:
    """So long or up to a fifth longer."""
    return timedelta(seconds=seconds * (1 + _JITTER * secrets.randbelow(1000) / 1000))
