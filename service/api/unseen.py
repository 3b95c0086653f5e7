"""Events of all jobs, each once, though on Postgres a smaller id may commit after a larger one."""

from collections import OrderedDict
from typing import Final

from service.store.events import EventStore
from service.store.tables import EventRow

_OVERLAP: Final = 200  # ids that are read again each time


class Unseen:
    """How far one reader has come. For one thread at a time."""

    def __init__(self, only: str | None = None) -> None:
        """`only`: events of that type."""
        self._only = only
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._last_id = 0

    def skip(self, events: EventStore) -> None:
        """What is there already counts as seen."""
        self._seen.clear()
        self._last_id = events.last_id()
        self.read(events)

    def read(self, events: EventStore) -> list[EventRow]:
        """At most a thousand new ones, oldest first; with none, that was all."""
        rows = events.since(max(0, self._last_id - _OVERLAP), only=self._only)
        fresh = [row for row in rows if row.id not in self._seen]
        self._seen.update(dict.fromkeys(row.id for row in fresh))
        if rows:
            self._last_id = max(self._last_id, rows[-1].id)
        while len(self._seen) > 4 * _OVERLAP + len(rows):
            self._seen.popitem(last=False)
        return fresh
