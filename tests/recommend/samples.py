"""Models to ask about, workers, and finished jobs, without a database."""

from datetime import UTC, datetime
from typing import Any

from service.contract.ids import new_id
from service.contract.prune_result import SensitivityCurve
from service.contract.recommendations import (
    Recommendation,
    RecommendationCreate,
    RecommendedModel,
)
from service.contract.specs import JobKind, JobResult, JobSpec
from service.contract.system import CapabilitiesRead, Hardware
from service.evidence import Evidence, FinishedJob, Place, Setting, Timing
from service.recommend.create import recommendations_for
from service.recommend.pasts import Past, past_of
from service.recommend.subject import Subject
from tests.reports import prune_sample, samples

TEACHER = samples.TEACHER
CPU = samples.ENVIRONMENT.device_name
WITH_VNNI = Hardware(
    device="cpu", device_name=CPU, cpu_features=("avx2", "avx512_vnni"), has_int8_products=True
)
WITHOUT_VNNI = Hardware(
    device="cpu", device_name=CPU, cpu_features=("avx2",), has_int8_products=False
)
GPU = Hardware(device="cuda", device_name="NVIDIA H200", compute_capability="9.0")
ARCHITECTURES = (
    "cnn_teacher",
    "cnn_student",
    "cnn_simple",
    "cifar_resnet20",
    "cifar_resnet56",
    "mlp",
    "timm/vit_tiny_patch16_224",
)
LOSSES = ("kd", "fitnet")
KINDS = ("train", "distill", "prune", "quantize", "benchmark", "export")


def workers(*hardware: Hardware, **fields: Any) -> CapabilitiesRead:
    """What they can do together."""
    given: dict[str, Any] = {
        "version": "0",
        "kinds": KINDS if hardware else (),
        "architectures": dict.fromkeys(ARCHITECTURES, ()),
        "losses": LOSSES,
        "layers": {},
        "runtimes": ("eager", "onnxruntime", "openvino", "tensorrt"),
        "datasets": ("digits",),
        "devices": tuple(one.device_name for one in hardware),
        "hardware": hardware,
        "libraries": {"onnxruntime": ("1.32.0",)},
        "workers": len(hardware),
    }
    return CapabilitiesRead.model_validate(given | fields)


def subject(
    architecture: str | None = "cnn_teacher",
    targets: dict[str, float] | None = None,
    *,
    can: CapabilitiesRead | None = None,
    pasts: tuple[Past, ...] = (),
    timings: tuple[Timing, ...] = (),
    form: str = "weights",
    is_quantized: bool = False,
    dense_bytes: int | None = None,
    **model: Any,
) -> Subject:
    """A model of 10 classes and 3×32×32; by default `cnn_teacher` as it is built, in one file."""
    given = {
        "model": TEACHER,
        "name": "mine",
        "form": form,
        "architecture": "onnx" if form == "graph" else architecture,
        "input_size": (3, 32, 32),
        "classes": 10,
        "parameters": 1_412_682,
        "macs": 153_029_120,
        "size_bytes": 5_660_000,
        "test_accuracy": None,
    }
    found = RecommendedModel.model_validate(given | model)
    asked = {"model": TEACHER, "dataset": "digits", "targets": targets}
    return Subject(
        request=RecommendationCreate.model_validate(asked),
        model=found,
        dense_bytes=dense_bytes or found.size_bytes,
        options={},
        lineage=architecture,
        is_quantized=is_quantized,
        can=workers(WITH_VNNI) if can is None else can,
        evidence=Evidence(timings=timings),
        pasts=pasts,
    )


def timing(
    runtime: str,
    p50_ms: float,
    *,
    device: str = CPU,
    batch_size: int = 1,
    precision: str = "fp32",
) -> Timing:
    """A latency of the model that is asked about."""
    kind = "cuda" if device == GPU.device_name else "cpu"
    place, setting = Place(kind, device, 2), Setting(runtime, batch_size, precision)
    return Timing(TEACHER, samples.JOB, place, setting, p50_ms)


def past(made: tuple[JobSpec, JobResult], kind: JobKind, *, near: str = "model") -> Past:
    """A finished job; with `near` not `model`, of another cnn_teacher."""
    spec, result = made
    finished = FinishedJob(
        id=samples.JOB,
        kind=kind,
        name=None,
        finished_at=datetime(2026, 3, 4, tzinfo=UTC),
        precision="auto",
        result=result,
    )
    asked = TEACHER if near == "model" else new_id("mdl")
    found = past_of(finished, spec, asked, None, "cnn_teacher", is_there=True)
    assert found is not None
    return found


def pruned(*, near: str = "model", scanned: bool = False) -> Past:
    """A quarter of the parameters and of the MACs."""
    spec, result = prune_sample.prune()
    if scanned:
        curve = SensitivityCurve(layer="features.3", ratios=(0.5,), accuracies=(0.25,))
        flat = SensitivityCurve(layer="features.7", ratios=(0.5,), accuracies=(0.9,))
        result = result.model_copy(update={"sensitivity": (flat, curve)})
    return past((spec, result), "prune", near=near)


def by_method(subject: Subject) -> dict[str, Recommendation]:
    """The first of each method."""
    return {one.method: one for one in reversed(recommendations_for(subject))}


def outlook(one: Recommendation) -> dict[str, str]:
    """What it does for each target."""
    return {target.name: target.outlook for target in one.targets}
