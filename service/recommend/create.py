"""Recommendations for a model: what could be done, judged by its targets, best first."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from service import jobs
from service.contract.quantize import QuantizeSpec
from service.contract.recommendations import (
    Expected,
    Recommendation,
    RecommendationCreate,
    Recommendations,
    TargetOutlook,
)
from service.contract.specs import SPECS
from service.recommend.candidate import Candidate
from service.recommend.chaining import chaining
from service.recommend.distilling import distilling
from service.recommend.judging import check_together, outlooks, ranked, standings
from service.recommend.pruning import pruning
from service.recommend.quantizing import quantizing
from service.recommend.seen import repeating
from service.recommend.serving import serving
from service.recommend.subject import Subject, look
from service.store.session import Database

_MOST = 10
_SPARSE_KERNELS = 8.0  # compute capability from which GPUs multiply by 2:4 sparse matrices

_Judged = tuple[Candidate, tuple[TargetOutlook, ...]]


def recommend(
    database: Database, project: str, asked: RecommendationCreate, alive_s: float
) -> Recommendations:
    """Raises Missing, Clash or Invalid for what cannot be asked; runs and keeps nothing.

    The workers that were heard of within `alive_s` seconds count.
    """
    with database.read() as session:
        subject = look(session, project, alive_s, asked)
        _check_data(session, project, alive_s, subject)
    check_together(subject)
    return Recommendations(
        object="recommendations",
        request=asked,
        model=subject.model,
        hardware=subject.can.hardware,
        targets=standings(subject),
        recommendations=recommendations_for(subject),
        notes=tuple(_notes(subject)),
    )


def recommendations_for(subject: Subject) -> tuple[Recommendation, ...]:
    """Best first, ten at most."""
    best = ranked(_judged(subject))[:_MOST]
    return tuple(_shown(rank, *one) for rank, one in enumerate(best, start=1))


def _check_data(session: Session, project: str, alive_s: float, subject: Subject) -> None:
    """That the dataset is there and fits, as any job on both would be checked."""
    spec = QuantizeSpec(model=subject.model.model, dataset=subject.request.dataset)
    jobs.check(session, spec, project, alive_s)


def _judged(subject: Subject) -> list[_Judged]:
    """Every rule's candidates, and of the past jobs of each method the best."""
    found = [
        (one, outlooks(one, subject))
        for rules in (quantizing, pruning, distilling, chaining, serving)
        for one in rules(subject)
    ]
    again: dict[str, _Judged] = {}
    for judged in ranked([(one, outlooks(one, subject)) for one in repeating(subject)]):
        again.setdefault(judged[0].method, judged)
    return [*again.values(), *found]


def _shown(rank: int, one: Candidate, targets: tuple[TargetOutlook, ...]) -> Recommendation:
    return Recommendation(
        rank=rank,
        method=one.method,
        title=one.title,
        reason=one.reason,
        specs=tuple(SPECS.validate_python(spec) for spec in one.specs),
        chain=one.chain,
        targets=targets,
        expected=Expected(**{name: getattr(one.expected, name) for name in Expected.model_fields}),
        evidence=one.evidence,
        caveats=one.caveats,
    )


def _notes(subject: Subject) -> Iterator[str]:
    if not subject.can.workers:
        yield "No worker is alive: nothing is known of the hardware, and jobs wait for one."
    if subject.is_graph:
        yield (
            "The model is a graph: it can be quantised (once), exported, measured, and can teach; "
            "pruning and training need weights."
        )
    if subject.targets and all(one.state == "kept" for one in standings(subject)):
        yield "The model keeps all of these targets as it is."
    for one in subject.gpus:
        if float(one.compute_capability or 0) >= _SPARSE_KERNELS:
            yield (
                f"{one.device_name} could multiply by 2:4 sparse matrices, but no runtime here "
                "does: `n_m` makes the sparse file smaller and nothing faster."
            )
    if subject.evidence.left_out:
        yield "There are more benchmarks of this model than are read: the newest count."
