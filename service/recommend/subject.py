"""The model that is asked about, with all that is known of it and of what may be done to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy.orm import Session

from service.capabilities import capabilities
from service.comparisons.resolve import Finder
from service.contract.catalog import ARCHITECTURES
from service.contract.models import SPARSE_FILE
from service.contract.prune import Targets
from service.contract.recommendations import RecommendationCreate, RecommendedModel
from service.contract.specs import SPECS
from service.contract.system import CapabilitiesRead, Hardware
from service.evidence import Evidence, Timing, finished_job, gather
from service.recommend.networks import Layers, Student, layers_of, students_of
from service.recommend.pasts import Past, past_of
from service.store.errors import NotFound
from service.store.finished import finished_on
from service.store.jobs import JobStore
from service.store.models import ModelStore
from service.store.tables import ModelRow

_MOST_PASTS: Final = 32  # a request reads no more results than that
_COMPRESSING: Final = ("prune", "quantize", "distill")


@dataclass(frozen=True)
class Subject:
    """A model, its targets, what the workers can do, and what jobs have measured."""

    request: RecommendationCreate
    model: RecommendedModel
    dense_bytes: int | None
    """Of the file that has its zeros too: what shares of bytes are of."""
    options: Mapping[str, Any]
    lineage: str | None
    """Its architecture; of a graph that was made here, that of the model it was made from."""
    is_quantized: bool
    can: CapabilitiesRead
    evidence: Evidence
    pasts: tuple[Past, ...]

    @property
    def is_graph(self) -> bool:
        return self.model.form == "graph"

    @property
    def targets(self) -> Mapping[str, float]:
        """The promises asked for, by name."""
        return {} if self.request.targets is None else self.request.targets.named

    @property
    def batch_size(self) -> int:
        """Where latency and speed-up are judged."""
        asked = self.request.targets
        return Targets.model_fields["batch_size"].default if asked is None else asked.batch_size

    @property
    def layers(self) -> Layers | None:
        """The kind of layers that its name speaks of."""
        return layers_of(self.lineage)

    @property
    def processors(self) -> list[Hardware]:
        """Of the workers alive, those that compute on a processor."""
        return [one for one in self.can.hardware if one.device == "cpu"]

    @property
    def gpus(self) -> list[Hardware]:
        """Of the workers alive, those that compute on a GPU."""
        return [one for one in self.can.hardware if one.device == "cuda"]

    @cached_property
    def students(self) -> list[Student]:
        """Smaller networks that it could teach, the largest first."""
        known = self.can.architectures if self.can.workers else ARCHITECTURES
        model = self.model
        found = students_of(self.lineage, self.options, model.classes, model.input_size, known)
        most = model.parameters
        return [s for s in found if s.size is None or most is None or s.size.parameters < most]

    def has(self, kind: str) -> bool:
        """Whether a worker does such jobs; none alive: it may come."""
        return kind in self.can.kinds or not self.can.workers

    def is_alive(self, device: str) -> bool:
        """Whether a worker alive computes on the device of this name; none alive: it may come."""
        return device in self.can.devices or not self.can.workers

    @cached_property
    def timings(self) -> Mapping[tuple[str, str, str], Timing]:
        """Its latency at `batch_size` on devices that are alive, the newest of each: by device,
        runtime and precision."""
        found: dict[tuple[str, str, str], Timing] = {}
        for one in self.evidence.timings:
            mine = (one.model, one.setting.batch_size) == (self.model.model, self.batch_size)
            if mine and self.is_alive(one.place.name):
                key = (one.place.name, one.setting.runtime, one.setting.precision)
                found.setdefault(key, one)
        return found

    @property
    def slowest(self) -> Timing | None:
        """Of what was timed fastest on each device the slowest: a latency that all of them keep."""
        return kept_by_all(self.timings.values())

    def p50s_ms(self, runtime: str) -> list[float]:
        """Its medians in float32, which forecasts start from; a graph of int8 is for processors."""
        return [
            one.p50_ms
            for one in self.timings.values()
            if (one.setting.runtime, one.setting.precision) == (runtime, "fp32")
            and (runtime != "onnxruntime" or one.place.device == "cpu")
        ]


def kept_by_all(timings: Iterable[Timing]) -> Timing | None:
    """The latency that every device keeps: of what was fastest on each the slowest."""
    best: dict[str, Timing] = {}
    for one in sorted(timings, key=lambda timed: timed.p50_ms):
        best.setdefault(one.place.name, one)
    return max(best.values(), key=lambda timed: timed.p50_ms, default=None)


def look(session: Session, project: str, alive_s: float, asked: RecommendationCreate) -> Subject:
    """Everything that is known. Raises Missing, Clash or Invalid, as a comparison does, for a
    model that is not there, not ready or not to be used."""
    row = Finder(session, project).model(asked.model, "#/model")
    evidence = gather(session, project, [row])
    parent = _found(session, project, row.parent_id)
    # A graph without a source was made here, and only quantising makes them. Its job may be gone.
    is_quantized = row.form == "graph" and row.source is None
    lineage = row.architecture
    if row.form == "graph":
        lineage = None if parent is None else parent.architecture
    return Subject(
        request=asked,
        model=_model(session, row, evidence, asked.dataset),
        dense_bytes=_dense_bytes(row, evidence),
        options=row.options if parent is None or row.form != "graph" else parent.options,
        lineage=lineage,
        is_quantized=is_quantized,
        can=capabilities(session, alive_s),
        evidence=evidence,
        pasts=_pasts(session, project, row),
    )


def _found(session: Session, project: str, model_id: str | None) -> ModelRow | None:
    """None for one that was deleted."""
    try:
        return None if model_id is None else ModelStore(session).get(model_id, project)
    except NotFound:
        return None


def _model(session: Session, row: ModelRow, evidence: Evidence, dataset: str) -> RecommendedModel:
    facts = evidence.facts.get(row.id)
    sizes = [_dense_bytes(row, evidence)]
    sizes += [f.bytes for f in ModelStore(session).files(row.id) if f.name == SPARSE_FILE]
    scores = (
        one.test.accuracy
        for one in evidence.scores
        if (one.model, one.data.dataset) == (row.id, dataset)
    )
    return RecommendedModel(
        model=row.id,
        name=row.name,
        form="graph" if row.form == "graph" else "weights",
        architecture=row.architecture,
        input_size=None if row.input_size is None else tuple(row.input_size),
        classes=row.classes,
        parameters=row.parameters if facts is None else facts.parameters,
        macs=row.macs if facts is None else facts.macs,
        size_bytes=min((size for size in sizes if size is not None), default=None),
        test_accuracy=next(scores, None),
    )


def _dense_bytes(row: ModelRow, evidence: Evidence) -> int | None:
    facts = evidence.facts.get(row.id)
    return row.size_bytes if facts is None else facts.size_bytes


def _pasts(session: Session, project: str, row: ModelRow) -> tuple[Past, ...]:
    """Those of the very model before those of its architecture, of each the newest first."""
    jobs = JobStore(session)
    named = [row.id] if row.job_id is None else [row.id, row.job_id]
    architecture = None if row.form == "graph" else row.architecture
    found = []
    ids = finished_on(session, project, named, architecture, _COMPRESSING, _MOST_PASTS)
    for job_id in ids:
        job = jobs.get(job_id, project)
        finished = finished_job(job)
        if finished is not None:
            spec = SPECS.validate_python(job.spec)
            made = _found(session, project, job.model_id)
            past = past_of(
                finished, spec, row.id, row.sha256, architecture, is_there=made is not None
            )
            found += [] if past is None else [past]
    return tuple(sorted(found, key=lambda past: past.near != "model"))
