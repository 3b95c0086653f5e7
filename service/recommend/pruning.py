"""Fewer channels, or zeros: by how much, and what the hardware makes of it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.contract.recommendations import Expected, ExpectedRange, RecommendationEvidence
from service.recommend.candidate import Candidate, between, rule
from service.recommend.judging import open_targets
from service.recommend.seen import pasts_of
from service.recommend.subject import Subject

_PAGE: Final = "docs/how-to/prune.md"
_SWEEP: Final = (0.3, 0.5, 0.7)
_TENSOR_CORES: Final = 7.0
"""Compute capability from which GPUs have them; their tiles are multiples of 8."""


def pruning(subject: Subject) -> Iterator[Candidate]:
    """Channels; and zeros where only bytes or parameters count. Nothing for a graph."""
    if subject.is_graph or not subject.has("prune"):
        return
    yield _structured(subject)
    sizes = {"size_bytes", "parameters", "max_accuracy_drop_points"}
    asked = set(subject.targets)
    if asked & {"size_bytes", "parameters"} and asked <= sizes:
        yield _unstructured(subject)


def prune_spec(subject: Subject, targets: Mapping[str, float]) -> dict[str, Any]:
    """Channels, to targets; without any, several amounts to choose from."""
    method: dict[str, Any] = {"name": "structured"}
    if _has_tensor_cores(subject):
        method["round_to"] = 8
    spec: dict[str, Any] = {
        "kind": "prune",
        "model": subject.model.model,
        "dataset": subject.request.dataset,
        "method": method,
    }
    if any(past.sensitivity and past.near == "model" for past in subject.pasts):
        spec["allocation"] = "adaptive"
    if not targets:
        return spec | {"method": method | {"pruning_ratio": list(_SWEEP)}}
    batched = {"latency_ms", "min_speedup"} & set(targets)
    return spec | {
        "targets": dict(targets) | ({"batch_size": subject.batch_size} if batched else {})
    }


def _structured(subject: Subject) -> Candidate:
    targets = dict(open_targets(subject))
    if set(targets) == {"max_accuracy_drop_points"}:
        title = "Remove as many channels as the accuracy allows"
        reason = "The job looks for the largest cut that is accurate enough after its repair, in "
        reason += "which the original teaches."
    elif targets:
        title = "Remove channels until the targets are kept"
        reason = (
            "The job looks for the cut: the smallest that is small and fast enough, or the "
            "largest that is accurate enough; the original teaches the repair."
        )
    else:
        title = "Remove 30, 50 and 70 % of the channels, and choose"
        reason = (
            "Removed channels save bytes and time on any hardware. One job draws accuracy against "
            "size and latency, and keeps the largest cut that costs at most a point."
        )
    return Candidate(
        method="structured",
        title=title,
        reason=reason,
        specs=(prune_spec(subject, targets),),
        effort=1,
        expected=structured_expected(targets),
        promised=frozenset(targets),
        evidence=(
            *(past.evidence for past in pasts_of("structured", subject)),
            rule(_PAGE, "Channels go with all that depends on them: fewer bytes, MACs and time."),
            *_hardware_evidence(subject),
            *sensitivity_evidence(subject),
        ),
        caveats=tuple(_caveats(subject)),
    )


def structured_expected(targets: Mapping[str, float]) -> Expected:
    """What follows from the targets; of several amounts, from the share of channels."""
    promise = rule(_PAGE, "the job keeps the target or fails")
    fields: dict[str, ExpectedRange | None] = {}
    for name, field in (("macs", "macs_ratio"), ("parameters", "compression_ratio")):
        if name in targets:
            fields[field] = between(1 / targets[name], 1 / targets[name], promise)
    if "min_speedup" in targets:
        fields["speedup"] = between(targets["min_speedup"], targets["min_speedup"], promise)
    if not targets:
        text = (
            "half of the channels is about a quarter of the MACs and parameters, so p of them "
            "leaves (1 − p)²"
        )
        few, many = (1 / (1 - amount) ** 2 for amount in (_SWEEP[0], _SWEEP[-1]))
        fields["macs_ratio"] = fields["compression_ratio"] = between(few, many, rule(_PAGE, text))
    return Expected(**fields)


def _unstructured(subject: Subject) -> Candidate:
    targets = dict(open_targets(subject))
    spec = {
        "kind": "prune",
        "model": subject.model.model,
        "dataset": subject.request.dataset,
        "method": {"name": "unstructured"},
        "allocation": "global",
        "targets": targets,
    }
    unchanged = between(1.0, 1.0, rule(_PAGE, "dense kernels do not look for zeros"))
    return Candidate(
        method="unstructured",
        title="Set single weights to zero until the targets are kept",
        reason="Single weights can be spared where whole channels cannot; the sparse file leaves "
        "the zeros out.",
        specs=(spec,),
        effort=2,
        expected=Expected(macs_ratio=unchanged, speedup=unchanged),
        promised=frozenset(targets),
        evidence=(rule(_PAGE, "Only model.sparse.safetensors gets smaller; nothing gets faster."),),
        caveats=("It saves neither memory nor time when it runs: loading fills the zeros in.",),
    )


def _has_tensor_cores(subject: Subject) -> bool:
    return any(float(one.compute_capability or 0) >= _TENSOR_CORES for one in subject.gpus)


def _hardware_evidence(subject: Subject) -> Iterator[RecommendationEvidence]:
    for one in subject.gpus:
        if one.compute_capability and float(one.compute_capability) >= _TENSOR_CORES:
            text = (
                f"Compute capability {one.compute_capability}: its tensor cores work on multiples "
                "of 8, so widths are kept to those."
            )
            yield RecommendationEvidence(kind="device", ref=one.device_name, text=text)


def sensitivity_evidence(subject: Subject) -> Iterator[RecommendationEvidence]:
    """Which layers suffered most in the newest scan of this model or of its architecture."""
    past = next((one for one in subject.pasts if one.sensitivity), None)
    if past is None:
        return
    halves = {
        curve.layer: min(
            zip(curve.ratios, curve.accuracies, strict=True), key=lambda at: abs(at[0] - 0.5)
        )
        for curve in past.sensitivity
        if curve.ratios
    }
    worst = sorted(halves, key=lambda layer: halves[layer][1])[:3]
    named = ", ".join(
        f"{layer} ({100 * halves[layer][1]:.1f} % validation accuracy is left with "
        f"{100 * halves[layer][0]:.0f} % of its channels gone)"
        for layer in worst
    )
    again = " The scan is read again, not repeated." if past.near == "model" else ""
    text = f"Most sensitive, each cut alone and without repair: {named}.{again}"
    yield RecommendationEvidence(kind="sensitivity", ref=past.job, text=text)


def _caveats(subject: Subject) -> Iterator[str]:
    if subject.layers is None or subject.lineage is None:
        yield "The name tells nothing of the layers: dry_run says in seconds what can be cut."
    if subject.layers == "attention":
        yield "Of attention whole heads go, of timm's ViT, DeiT and Swin; dry_run says what can."
    if "macs" in subject.targets:
        yield "MACs are not time: fewer of them gain less time than their ratio."
    if subject.targets and not any(one.method == "structured" for one in subject.pasts):
        yield "No finished job here has pruned this architecture: the targets may be out of reach."
