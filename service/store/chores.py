"""Work that one process of all does from time to time."""

from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from service.store.session import now
from service.store.sql import upsert
from service.store.tables import ChoreRow


def take(session: Session, name: str, every_s: float) -> bool:
    """Whether the caller shall do it now; then nobody else does for `every_s` seconds, be the
    caller alive or not."""
    moment = now(session)
    next_at = moment + timedelta(seconds=every_s)
    taken = session.execute(
        update(ChoreRow)
        .where(ChoreRow.name == name, ChoreRow.due_at <= moment)
        .values(due_at=next_at)
        .returning(ChoreRow.name)
        .execution_options(synchronize_session=False)
    ).first()
    return taken is not None or bool(
        upsert(session, ChoreRow, [{"name": name, "due_at": next_at}], keep=True)
    )
