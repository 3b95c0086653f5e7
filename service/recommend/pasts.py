"""What finished jobs of a project made of a model, or of one of its architecture."""

from dataclasses import dataclass
from typing import Final, Literal

from service.contract.prune_result import PruneResult, SensitivityCurve
from service.contract.quantize_result import QuantizeResult
from service.contract.recommendations import RecommendationEvidence
from service.contract.specs import JobSpec
from service.contract.training import DataFacts, ModelFacts
from service.evidence import Evidence, FinishedJob, Ratio, Timing, read
from service.reports import show

Near = Literal["model", "architecture"]


@dataclass(frozen=True)
class Past:
    """A job that compressed something. `near` says whether it was the very model, or another of
    its architecture. Ratios are as `Expected` has them: bytes against the dense file."""

    job: str
    method: str
    near: Near
    spec: JobSpec
    made: str
    is_there: bool
    """Whether the model that it made was not deleted."""
    dataset: str
    device: str
    before: ModelFacts
    size_ratio: float
    compression_ratio: float
    macs_ratio: float | None
    accuracy_change_points: float
    ratios: tuple[Ratio, ...]
    timings: tuple[Timing, ...]
    sensitivity: tuple[SensitivityCurve, ...] = ()

    @property
    def evidence(self) -> RecommendationEvidence:
        """The job in a sentence."""
        whose = "this model" if self.near == "model" else f"another {self.before.architecture}"
        figures = [
            f"{show.points(self.accuracy_change_points)} points of test accuracy",
            f"{show.significant(self.size_ratio)} of the bytes",
        ]
        if self.macs_ratio is not None and self.macs_ratio != 1:
            figures.append(f"{show.ratio(self.macs_ratio)} fewer MACs")
        figures += [
            f"{show.ratio(one.value)} faster in {one.setting.runtime} at batch size "
            f"{one.setting.batch_size} on {one.place.name}"
            for one in self.ratios
        ]
        text = f"On {whose}, with {self.dataset}: {', '.join(figures)}."
        return RecommendationEvidence(kind="job", ref=self.job, text=text)


def past_of(
    job: FinishedJob,
    spec: JobSpec,
    model: str,
    sha256: str | None,
    architecture: str | None,
    *,
    is_there: bool,
) -> Past | None:
    """A job as a past of a model; None for one of another model, or that compressed nothing."""
    result = job.result
    match result.kind:
        case "prune":
            before, smaller = result.original, result.nonzero_compression_ratio
            size_ratio, macs_ratio = _size_ratio(result), result.macs_ratio
        case "quantize":  # a graph counts its scales as parameters: it has as many as before
            before, smaller = result.original, 1.0
            size_ratio, macs_ratio = _size_ratio(result), 1.0
        case "distill":
            before, smaller = result.teacher, result.compression_ratio
            size_ratio = result.facts.size_bytes / max(1, before.size_bytes)
            macs_ratio = (
                before.macs / result.facts.macs if before.macs and result.facts.macs else None
            )
        case _:
            return None
    near: Near
    if model == before.model or (sha256 is not None and sha256 == before.sha256):
        near = "model"
    elif architecture is not None and architecture == before.architecture:
        near = "architecture"
    else:
        return None
    measured: Evidence = read(job)
    data: DataFacts = result.data
    return Past(
        job=job.id,
        method=method_of(spec),
        near=near,
        spec=spec,
        made=result.model,
        is_there=is_there,
        dataset=data.dataset,
        device=result.environment.device_name,
        before=before,
        size_ratio=size_ratio,
        compression_ratio=smaller,
        macs_ratio=macs_ratio,
        accuracy_change_points=result.accuracy_change_points,
        ratios=tuple(
            one
            for one in measured.ratios
            if (one.model, one.baseline) == (result.model, before.model)
        ),
        timings=tuple(one for one in measured.timings if one.model == result.model),
        sensitivity=result.sensitivity if result.kind == "prune" else (),
    )


def _size_ratio(result: PruneResult | QuantizeResult) -> float:
    """Of the dense file, where the result's own ratio may be of a smaller one without zeros."""
    compared = result.comparison
    if compared is None:  # of before jobs compared, when it was of the dense one
        return result.size_ratio
    return compared.compressed.stored_bytes / compared.baseline.facts.size_bytes


AWARE_INT8: Final = "aware_int8"
"""What `quantize` with `finetune` is called."""


def method_of(spec: JobSpec) -> str:
    """What a job does, in a word; of a distillation with the architecture of its student."""
    match spec.kind:
        case "quantize" if spec.finetune is not None:
            return AWARE_INT8
        case "prune" | "quantize":
            return spec.method.name
        case "distill":
            student = spec.student
            return f"distill:{student if isinstance(student, str) else student.architecture}"
        case _:
            return spec.kind
