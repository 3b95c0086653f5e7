"""Making a comparison and reading it again."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypedDict

from service.comparisons.judging import fronts, share, verdict
from service.comparisons.resolve import Resolved, resolve
from service.comparisons.timings import Timings
from service.contract.comparisons import (
    AgainstBaseline,
    Comparison,
    ComparisonCreate,
    ComparisonModel,
    ComparisonSource,
    ComparisonValues,
)
from service.contract.ids import new_id
from service.contract.models import SPARSE_FILE
from service.contract.training import DataFacts, Evaluation
from service.evidence import Evidence, Score, gather
from service.reports.comparison import build_comparison
from service.store.comparisons import ComparisonStore
from service.store.models import ModelStore
from service.store.session import Database, now
from service.store.tables import ModelRow


class _ScoreAgainst(TypedDict):
    """The fields of `AgainstBaseline` that need both scores."""

    accuracy_retention: float | None
    accuracy_change_points: float | None
    loss_change: float | None
    class_change_points: tuple[float | None, ...]


def create(database: Database, project: str, asked: ComparisonCreate) -> Comparison:
    """Gathers the values and keeps them: what jobs and models become later changes nothing."""
    with database.read() as session:  # results are large: nobody waits for their reading
        found = resolve(session, project, asked)
        evidence = gather(session, project, found.models, found.benchmarks)
        sparse = {
            row.id: file.bytes
            for row in found.models
            for file in ModelStore(session).files(row.id)
            if file.name == SPARSE_FILE
        }
        moment = now(session)
    values = values_of(asked, found, evidence, sparse)
    made = build_comparison(values, id=new_id("cmp"), created_at=moment)
    with database.transaction() as session:
        body = made.model_dump(mode="json")
        ComparisonStore(session).add(made.id, project, body, made.created_at)
    return made


def read(database: Database, project: str, comparison_id: str) -> Comparison:
    """As it was made. NotFound, also for another project's."""
    with database.read() as session:
        row = ComparisonStore(session).get(comparison_id, project)
    return Comparison.model_validate(row.body, extra="ignore")


def values_of(
    asked: ComparisonCreate, found: Resolved, evidence: Evidence, sparse: dict[str, int]
) -> ComparisonValues:
    """Everything that the tables and figures show. `sparse` has the bytes of sparse files."""
    ids = [row.id for row in found.models]
    data = _data(evidence, ids, found.baseline)
    timings = Timings(evidence, ids, found.baseline, found.benchmarks)
    timed_target = asked.targets is not None and (
        asked.targets.latency_ms is not None or asked.targets.min_speedup is not None
    )
    batch_size = timings.batch_size()
    if asked.targets is not None and timed_target:
        batch_size = asked.targets.batch_size
    bare = [
        _model(row, number, evidence, data, timings, sparse.get(row.id))
        for number, row in enumerate(found.models, start=1)
    ]
    baseline = next(one for one in bare if one.model == found.baseline)
    devices = timings.devices
    models = tuple(
        one.model_copy(
            update={
                "against": _against(one, baseline, evidence, data) if one != baseline else None,
                "verdict": asked.targets and verdict(one, baseline, asked.targets, devices),
            }
        )
        for one in bare
    )
    return ComparisonValues(
        request=asked.model_copy(update={"baseline": found.baseline}),
        baseline=found.baseline,
        data=data,
        labels=next((tuple(r.labels) for r in found.models if r.labels is not None), None),
        batch_size=batch_size,
        devices=devices,
        models=models,
        fronts=fronts(models, asked.axes, devices, batch_size),
        sources=tuple(
            ComparisonSource(
                job=run.job,
                kind=run.kind,
                name=run.name,
                finished_at=run.finished_at,
                device=run.device,
                dataset=None if run.data is None else run.data.dataset,
                libraries=dict(run.libraries),
            )
            for run in evidence.runs.values()
        ),
        warnings=tuple(_warnings(found, evidence, models, data)),
    )


def _data(evidence: Evidence, models: Sequence[str], baseline: str) -> DataFacts | None:
    """The data to compare accuracies on: where the baseline was scored, with most of the models,
    newest. Accuracies on different data are never put beside each other."""
    scored = [one for one in evidence.scores if one.model in models]
    if not scored:
        return None
    counts = Counter(digest for digest, _ in {(s.data.digest, s.model) for s in scored})
    known = {one.data.digest for one in scored if one.model == baseline}

    def rank(one: Score) -> tuple[bool, int, str]:
        digest = one.data.digest
        finished_at = evidence.runs[one.job].finished_at.isoformat()
        return (digest in known, counts[digest], finished_at)

    return max(scored, key=rank).data


def _model(
    row: ModelRow,
    number: int,
    evidence: Evidence,
    data: DataFacts | None,
    timings: Timings,
    sparse_bytes: int | None,
) -> ComparisonModel:
    facts = evidence.facts.get(row.id)
    maker = None if row.job_id is None else evidence.runs.get(row.job_id)
    nonzero = row.metrics.get("nonzero_parameters") if facts is None else facts.nonzero_parameters
    scores = (
        one.test
        for one in evidence.scores
        if data is not None and (one.model, one.data.digest) == (row.id, data.digest)
    )
    return ComparisonModel(
        model=row.id,
        name=f"#{number} {' '.join(row.name.split()) or row.id}",
        form="graph" if row.form == "graph" else "weights",
        architecture=row.architecture,
        parent=row.parent_id,
        job=row.job_id,
        made_by=None if maker is None else maker.kind,
        parameters=row.parameters if facts is None else facts.parameters,
        nonzero_parameters=None if nonzero is None else int(nonzero),
        macs=row.macs if facts is None else facts.macs,
        size_bytes=row.size_bytes if facts is None else facts.size_bytes,
        sparse_bytes=sparse_bytes,
        sha256=row.sha256,
        test=next(scores, None),
        latencies=timings.latencies_of(row.id),
        processes=timings.processes_of(row.id),
        against=None,
        verdict=None,
    )


def _against(
    one: ComparisonModel, baseline: ComparisonModel, evidence: Evidence, data: DataFacts | None
) -> AgainstBaseline:
    pair = frozenset((one.model, baseline.model))
    agreed = (
        each.share
        for each in evidence.agreements
        if data is not None and (each.models, each.data.digest) == (pair, data.digest)
    )
    return AgainstBaseline(
        compression_ratio=share(baseline.parameters, one.parameters),
        nonzero_compression_ratio=share(baseline.nonzero_parameters, one.nonzero_parameters),
        size_ratio=share(one.smallest_bytes, baseline.smallest_bytes),
        macs_ratio=share(baseline.macs, one.macs),
        agreement=next(agreed, None),
        **_score_against(one.test, baseline.test),
    )


def _score_against(test: Evaluation | None, base: Evaluation | None) -> _ScoreAgainst:
    if test is None or base is None:
        return _ScoreAgainst(
            accuracy_retention=None,
            accuracy_change_points=None,
            loss_change=None,
            class_change_points=(),
        )
    return _ScoreAgainst(
        accuracy_retention=share(test.accuracy, base.accuracy),
        accuracy_change_points=100 * (test.accuracy - base.accuracy),
        loss_change=test.loss - base.loss,
        class_change_points=tuple(
            None if after is None or before is None else 100 * (after - before)
            for after, before in zip(test.per_class_accuracy, base.per_class_accuracy, strict=False)
        ),
    )


def _warnings(
    found: Resolved,
    evidence: Evidence,
    models: Sequence[ComparisonModel],
    data: DataFacts | None,
) -> Iterator[str]:
    for model_id in found.deleted:
        yield f"{model_id}, which a benchmark measured, was deleted: it is left out."
    if evidence.left_out:
        yield "There are more benchmarks of these models than are read: the newest count."
    for one in models:
        others = {s.data.dataset for s in evidence.scores if s.model == one.model}
        if data is not None and one.test is None and others:
            yield (
                f"{one.name} was scored on other data ({', '.join(sorted(others))}) and not on "
                f"these of {data.dataset}: a benchmark of all models on one dataset closes the gap."
            )
