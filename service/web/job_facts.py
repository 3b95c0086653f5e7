"""What the page of a job says of it, as values: what may be done, figures, what it hangs on."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from service.contract.lifecycle import MOVES, TERMINAL, JobStatus
from service.contract.wire import JobRead
from service.reports.key_figures import shown_figure

_ID: Final = re.compile(r"^(job|mdl|dst)_[0-9A-Z]{26}$")
_PAGES: Final = {"job": "jobs", "mdl": "models", "dst": "datasets"}
_MOST_RELATIONS: Final = 24  # a benchmark may name 16 models
_LABELS: Final = {
    "p50_ms": "Latency, p50",
    "p95_ms": "Latency, p95",
    "nonzero_parameters": "Non-zero parameters",
    "nonzero_compression_ratio": "Non-zero compression",
    "size_bytes": "Size",
    "sparse_bytes": "Size, zeros left out",
    "size_ratio": "Size after ÷ before",
    "speedup": "Speed-up",
}


@dataclass(frozen=True)
class Moves:
    """What may be asked of a job in its state."""

    cancel: bool
    pause: bool
    resume: bool
    retry: bool
    delete: bool

    @classmethod
    def of(cls, status: JobStatus) -> Self:
        """By the table of moves, and by what the API takes."""
        onward = MOVES[status]
        return cls(
            cancel=bool(onward & {"cancelling", "cancelled"}) and status != "cancelling",
            pause=bool(onward & {"pausing", "paused"}) and status != "pausing",
            resume=status == "paused",
            retry=status in ("failed", "cancelled"),
            delete=status in TERMINAL,
        )


@dataclass(frozen=True)
class Relation:
    """Something that a job's spec names, or the job that it repeats."""

    role: str
    kind: str
    id: str
    name: str | None = None
    status: JobStatus | None = None

    @property
    def href(self) -> str:
        """Its page."""
        return f"/ui/{_PAGES[self.kind]}/{self.id}"


def relations(job: JobRead) -> list[Relation]:
    """Jobs, models and datasets that it takes things from, each under the field that names it."""
    found = [] if job.retry_of is None else [Relation("retry of", "job", job.retry_of)]
    spec = job.spec.model_dump(mode="json", exclude={"name", "labels"})
    for path, text in _texts(spec):
        if matched := _ID.match(text):
            found.append(Relation(path, matched[1], text))
    return found[:_MOST_RELATIONS]


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield path, value
        case Mapping():
            for key, inner in value.items():
                yield from _texts(inner, f"{path}.{key}" if path else key)
        case list():
            for index, inner in enumerate(value):
                yield from _texts(inner, f"{path} {index + 1}")


def waits(reasons: Sequence[str], known: Sequence[Relation]) -> list[tuple[str, Relation | None]]:
    """Why a job is still queued: words, or a thing that is not ready yet."""
    by_id = {one.id: one for one in known}
    found: list[tuple[str, Relation | None]] = []
    for reason in reasons:
        matched = _ID.match(reason)
        one = by_id.get(reason) or (Relation("", matched[1], reason) if matched else None)
        found.append((reason, one))
    return found


def figures(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Key figures with their labels, as people read them."""
    return [(figure_label(name), shown_figure(name, value)) for name, value in metrics.items()]


def figure_label(name: str) -> str:
    """`test_accuracy` as `Test accuracy`."""
    return _LABELS.get(name) or name.replace("_", " ").capitalize()
