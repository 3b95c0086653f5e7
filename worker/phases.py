"""What a child does, as spans: it speaks to nobody, so its worker tells for it."""

import time

from service.tracing import Tracer


class Phases:
    """One after the other; each begins where the one before ends."""

    def __init__(self, tracer: Tracer, parent: str | None) -> None:
        self._tracer = tracer
        self._parent = parent
        self._name: str | None = None
        self._began_ns = 0

    def begin(self, name: str) -> None:
        """Ends the one before."""
        self.end()
        self._name, self._began_ns = name, time.time_ns()

    def end(self) -> None:
        """Nothing goes on any more."""
        if self._name is not None:
            self._tracer.past(self._name, self._began_ns, time.time_ns(), self._parent)
            self._name = None
