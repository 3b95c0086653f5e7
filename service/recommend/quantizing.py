"""Fewer bits: which methods suit the layers, and what the processors make of int8."""

from collections.abc import Iterator
from typing import Any, Final

from service.contract.recommendations import Expected, ExpectedRange, RecommendationEvidence
from service.recommend.candidate import Candidate, between, rule
from service.recommend.pasts import AWARE_INT8
from service.recommend.seen import measured, pasts_of
from service.recommend.subject import Subject
from service.reports import show

_PAGE: Final = "docs/how-to/quantize.md"
_ENOUGH_WEIGHTS: Final = 200_000
"""Below it the nodes of the graph weigh beside the weights; the figures are of 270,000."""
# Bytes ÷ those of model.safetensors: what the bits alone make, and what the page's table has.
_SIZES: Final = {
    "static_int8": (0.25, 0.31),
    "weight_only_int8": (0.25, 0.29),
    "fp16": (0.5, 0.52),
}
_TITLES: Final = {
    "static_int8": "Weights and activations in int8",
    "dynamic_int8": "Matrix products in int8",
    "weight_only_int8": "Weights kept in int8, arithmetic in float32",
    "fp16": "Weights kept in 16 bits, arithmetic in float32",
}
_FASTER: Final = ("static_int8", "dynamic_int8")


def quantizing(subject: Subject) -> Iterator[Candidate]:
    """One candidate for each method that suits; none for a graph that has fewer bits already."""
    if subject.is_quantized or not subject.has("quantize"):
        return
    for method in _methods(subject):
        yield _candidate(method, subject)
    yield from _aware(subject)


def _methods(subject: Subject) -> Iterator[str]:
    match subject.layers:
        case "convolutions":
            yield "static_int8"
        case "attention" | "dense":
            yield "dynamic_int8"
            yield "static_int8"
        case None:  # a graph of somebody else, or an architecture of an operator
            yield "static_int8"
    if not subject.targets or "size_bytes" in subject.targets:
        yield from ("weight_only_int8", "fp16")


def _candidate(method: str, subject: Subject) -> Candidate:
    evidence = [*(past.evidence for past in pasts_of(method, subject))]
    evidence += int8_evidence(subject) if method in _FASTER else ()
    if method in _SIZES:
        evidence.append(_size_rule(method))
    drop = subject.targets.get("max_accuracy_drop_points")
    return Candidate(
        method=method,
        title=_TITLES[method],
        reason=_reason(method, subject),
        specs=(quantize_spec(method, subject.model.model, subject.request.dataset, drop),),
        effort=_effort(method, subject),
        expected=measured(method, subject, _expected(method, subject)),
        promised=frozenset(["max_accuracy_drop_points"] if drop is not None else []),
        runtime="onnxruntime",
        evidence=tuple(evidence),
        caveats=tuple(_caveats(method, subject)),
    )


def _aware(subject: Subject) -> Iterator[Candidate]:
    """Training with the rounding, where a job has shown that int8 without it loses too much."""
    drop = subject.targets.get("max_accuracy_drop_points")
    if drop is None or subject.is_graph:
        return
    lost = [one for one in pasts_of("static_int8", subject) if one.accuracy_change_points < -drop]
    if not lost:
        return
    spec = quantize_spec("static_int8", subject.model.model, subject.request.dataset, drop)
    yield Candidate(
        method=AWARE_INT8,
        title="int8 after training with its rounding",
        reason="int8 alone lost more than the target allows; weights can learn to stand it.",
        specs=(spec | {"finetune": {}},),
        effort=1,
        expected=measured(AWARE_INT8, subject, Expected(size_ratio=_expected_size(subject))),
        promised=frozenset(["max_accuracy_drop_points"]),
        runtime="onnxruntime",
        evidence=(*(past.evidence for past in lost), *int8_evidence(subject)),
        caveats=tuple(_caveats("static_int8", subject)),
    )


def _expected_size(subject: Subject) -> ExpectedRange | None:
    if not weighs_enough(subject.model.parameters):
        return None
    return between(*_SIZES["static_int8"], _size_rule("static_int8"))


def _effort(method: str, subject: Subject) -> int:
    """Nothing is trained; but what gains less here goes after what gains more."""
    if method in _FASTER:
        return 2 if subject.can.workers and not subject.processors else 0
    return 1


def weighs_enough(parameters: float | None) -> bool:
    """Whether the weights are most of the file, so that its size can be foreseen."""
    return (parameters or 0) >= _ENOUGH_WEIGHTS


def quantize_spec(method: str, model: str, dataset: str, drop: float | None) -> dict[str, Any]:
    """`drop` is how many points of accuracy it may cost; None: it is not asked."""
    spec: dict[str, Any] = {
        "kind": "quantize",
        "model": model,
        "dataset": dataset,
        "method": {"name": method},
    }
    return spec if drop is None else spec | {"targets": {"max_accuracy_drop_points": drop}}


def _reason(method: str, subject: Subject) -> str:
    match method:
        case "static_int8" if subject.layers == "convolutions":
            return (
                "A network of convolutions keeps most of its accuracy in int8, on a fourth of the "
                "bytes; nothing is trained."
            )
        case "static_int8":
            return "int8 everywhere is the largest step without training; layers may stay float."
        case "dynamic_int8":
            return "Most of the work is matrix products, whose ranges can be found at each run."
        case "weight_only_int8":
            return "A fourth of the bytes to download, with the arithmetic as it was."
        case _:
            return "Half of the bytes without a loss to speak of, with the arithmetic as it was."


def _expected(method: str, subject: Subject) -> Expected:
    size = None
    if method in _SIZES and weighs_enough(subject.model.parameters):
        size = between(*_SIZES[method], _size_rule(method))
    speed = int8_speed(subject) if method == "static_int8" else None
    if method in ("weight_only_int8", "fp16"):
        speed = between(1.0, 1.0, rule(_PAGE, "the arithmetic is float32 as before"))
    alike = between(1.0, 1.0, rule(None, "no weight and no product goes, they only get smaller"))
    return Expected(
        size_ratio=size, speedup=speed, compression_ratio=alike, macs_ratio=alike,
        accuracy_change_points=_accuracy(method),
    )  # fmt: skip


def int8_speed(subject: Subject) -> ExpectedRange | None:
    """What static int8 gains over float32 in ONNX Runtime, by our figures of another network;
    None where nothing alike was measured."""
    if subject.layers != "convolutions" or not int8_is_fast(subject):
        return None
    text = (
        "2.2× at batch 1 and 2.5× at 32 on ResNet-20, against its own float32 graph on a "
        "processor with AVX-512 VNNI"
    )
    return between(2.2, 2.5, rule(_PAGE, text))


def _accuracy(method: str) -> ExpectedRange | None:
    changes = {"static_int8": -0.07, "weight_only_int8": 0.04, "fp16": 0.0}
    if method not in changes:
        return None
    text = f"{show.points(changes[method])} points on ResNet-20 and the 10,000 images of CIFAR-10"
    return between(changes[method], changes[method], rule(_PAGE, text))


def _size_rule(method: str) -> RecommendationEvidence:
    low, high = _SIZES[method]
    bits = {0.25: "8", 0.5: "16"}[low]
    measured = {"static_int8": "0.29", "weight_only_int8": "0.26", "fp16": "0.50"}[method]
    return rule(
        _PAGE,
        f"{bits} bits in place of 32, and scales and nodes besides: {measured} of the bytes were "
        f"measured on ResNet-20; at most {show.significant(high)} are expected.",
    )


def int8_expected(subject: Subject) -> Expected:
    """What static int8 is expected to do: what jobs measured, else the rules."""
    return measured("static_int8", subject, _expected("static_int8", subject))


def int8_is_fast(subject: Subject) -> bool:
    """Whether a processor among the workers adds int8 products in 32 bits."""
    return any(one.has_int8_products for one in subject.processors)


def int8_evidence(subject: Subject) -> Iterator[RecommendationEvidence]:
    """What the processors of the workers make of int8."""
    for one in subject.processors:
        if one.has_int8_products:
            named = ("vnni", "int8", "asimddp", "i8mm")
            which = [flag for flag in one.cpu_features if any(part in flag for part in named)]
            text = f"It has {', '.join(which) or 'products of int8'}: int8 runs faster than float."
        elif one.has_int8_products is False:
            text = "It has neither VNNI nor AMX: weights are kept to 7 bits, and int8 gains less."
        else:
            continue
        yield RecommendationEvidence(kind="device", ref=one.device_name, text=text)


def _caveats(method: str, subject: Subject) -> Iterator[str]:
    yield "What it makes is a graph for ONNX Runtime: it cannot be trained or pruned any more."
    if method in _FASTER and subject.can.workers and not subject.processors:
        yield "The workers alive compute on GPUs; int8 graphs gain on processors only."
    elif method in _FASTER and not int8_is_fast(subject):
        yield "No worker alive is known to have VNNI, AMX or dot products: int8 may gain no speed."
    if method == "dynamic_int8" and not pasts_of(method, subject):
        yield "Nobody has measured it on such a network here: size and speed are not known."
    if method == "static_int8" and subject.layers == "attention":
        yield "Ranges of activations of attention are hard to fix: expect layers to stay float."
    if not weighs_enough(subject.model.parameters):
        yield "In a network this small the graph's own nodes weigh: the bytes are not foreseen."
