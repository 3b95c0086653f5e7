"""From what a request names to models: jobs stand for what they made or measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy.orm import Session

from service.contract.comparisons import ComparisonCreate
from service.contract.lifecycle import TERMINAL
from service.contract.wire import ProblemItem
from service.errors import Clash, Impossible, Invalid, Missing, ServiceError
from service.store.errors import NotFound
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.tables import JobRow, ModelRow

MOST_MODELS: Final = 32

T = TypeVar("T")


@dataclass(frozen=True)
class Resolved:
    """The models to compare, in the order of the request, and the benchmarks that it names."""

    models: tuple[ModelRow, ...]
    baseline: str
    benchmarks: tuple[str, ...]
    deleted: tuple[str, ...]
    """Models that a named benchmark measured and that are gone."""


def resolve(session: Session, project: str, asked: ComparisonCreate) -> Resolved:
    """Raises Missing for what is not there, Clash for what is not finished, Invalid for what
    cannot be compared; each points at the field."""
    finder = Finder(session, project)
    models: dict[str, ModelRow] = {}
    named: dict[str, str] = {}  # models that the request names one by one, and where
    benchmarks, deleted = [], []
    for index, reference in enumerate(asked.models):
        pointer = f"#/models/{index}"
        measured = finder.benchmark(reference, pointer)
        if measured is None:
            row = finder.model(reference, pointer)
            if row.id in named:
                raise Impossible.at(pointer, f"{row.id} is named by {named[row.id]} already")
            models[row.id] = row
            named[row.id] = pointer
            continue
        benchmarks.append(reference)
        for model in measured:
            found = finder.still_there(model)
            if found is None:
                deleted.append(model)
            else:
                models.setdefault(found.id, found)
    if not 2 <= len(models) <= MOST_MODELS:
        raise Impossible.at(
            "#/models", f"stands for {len(models)} models; 2 to {MOST_MODELS} compare"
        )
    baseline = finder.baseline(asked) or next(iter(models))
    if baseline not in models:
        raise Impossible.at("#/baseline", f"{baseline} is not one of the models")
    return Resolved(
        tuple(models.values()), baseline, tuple(benchmarks), tuple(dict.fromkeys(deleted))
    )


class Finder:
    """Looks things up in one project."""

    def __init__(self, session: Session, project: str) -> None:
        self._jobs, self._models = JobStore(session), ModelStore(session)
        self._project = project

    def model(self, reference: str, pointer: str) -> ModelRow:
        """The model of a reference, ready to be compared."""
        model_id = reference
        if reference.startswith("job_"):
            job = self._succeeded(reference, pointer)
            if job.model_id is None:
                raise _at(Invalid, pointer, f"{reference} made no model", "unusable_reference")
            model_id = job.model_id
        row = _there(pointer, lambda: self._models.get(model_id, self._project))
        if row.status == "checking":
            raise _at(Clash, pointer, f"{row.id} is still being checked", "not_ready")
        if row.status == "rejected":
            raise _at(Invalid, pointer, f"{row.id} was rejected", "unusable_reference")
        return row

    def benchmark(self, reference: str, pointer: str) -> tuple[str, ...] | None:
        """The models that a benchmark measured; None if the reference is of something else."""
        if not reference.startswith("job_"):
            return None
        job = _there(pointer, lambda: self._jobs.get(reference, self._project))
        if job.kind != "benchmark":
            return None
        result = self._succeeded(reference, pointer).result or {}
        if result.get("kind") != "benchmark":
            raise _at(Invalid, pointer, f"{reference} was a dry run", "unusable_reference")
        return tuple(model["facts"]["model"] for model in result["models"])

    def baseline(self, asked: ComparisonCreate) -> str | None:
        """The model asked for as baseline. A benchmark at the head of the models has its own."""
        if asked.baseline is not None:
            if self.benchmark(asked.baseline, "#/baseline") is not None:
                raise Impossible.at("#/baseline", "a benchmark stands for several models: name one")
            return self.model(asked.baseline, "#/baseline").id
        return None

    def still_there(self, model_id: str) -> ModelRow | None:
        """A model that a benchmark measured."""
        try:
            return self._models.get(model_id, self._project)
        except NotFound:
            return None

    def _succeeded(self, job_id: str, pointer: str) -> JobRow:
        job = _there(pointer, lambda: self._jobs.get(job_id, self._project))
        if job.status not in TERMINAL:
            raise _at(Clash, pointer, f"{job_id} is {job.status}", "not_finished")
        if job.status != "succeeded":
            raise _at(Invalid, pointer, f"{job_id} {job.status}", "unusable_reference")
        return job


def _there(pointer: str, look: Callable[[], T]) -> T:
    try:
        return look()
    except NotFound as error:
        raise _at(Missing, pointer, f"no {error.kind} {error.id}", "not_found") from None


def _at(kind: type[ServiceError], pointer: str, detail: str, code: str) -> ServiceError:
    item = ProblemItem(detail=detail, pointer=pointer)
    return kind(detail, code=code, errors=(item,))
