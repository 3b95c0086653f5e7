"""A database that can be made to go away."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from service.store.errors import DatabaseUnavailable
from service.store.session import Database


class Away(Database):
    """Refuses its next so many transactions: the server is down."""

    refusals = 0

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        if self.refusals > 0:
            self.refusals -= 1
            raise DatabaseUnavailable("connection refused")
        with super().transaction() as session:
            yield session
