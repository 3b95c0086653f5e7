"""Training steps a second of distillation, against the loop that is usually written for it.

`reference_loop` is what it is held against. Work: cnn_teacher teaches cnn_student on 32×32 images
(random ones: time does not depend on what they show). All take turns in one process; a ratio is
that of one round, its figure the median of the rounds. Ours is counted as jobs report it, over
whole steps with their data and sums; neither counts validation.
"""

import statistics
from collections.abc import Callable
from typing import Final

import torch

from benchmarks.figures import Options, Report
from benchmarks.reference_loop import ALPHA, TEMPERATURE, ReferenceLoop
from worker.engine.data.batches import Augmentation, Normalizer
from worker.engine.data.split import Data, Split
from worker.engine.device import PrecisionName, resolve_precision
from worker.engine.distill.distill import distill
from worker.engine.distill.objective import Distillation, Term
from worker.engine.distill.teachers import LiveTeachers, Teacher
from worker.engine.models.cnn import cnn_student, cnn_teacher
from worker.engine.train.answering import Answering
from worker.engine.train.loop import fit
from worker.engine.train.settings import FitOptions

_SIZE: Final = (3, 32, 32)
_MEAN: Final = (0.4914, 0.4822, 0.4465)
_STD: Final = (0.2470, 0.2435, 0.2616)
_CPU: Final = torch.device("cpu")
_STEPS: Final = {128: 8, 32: 24}
_ROUNDS: Final = {"quick": 7, "full": 25}
_CACHED: Final = {128: 9.0, 32: 8.4}  # times the reference
_COMPILED: Final = "student alone, compiled"
_LIVE: Final = {128: 4.2, 32: 4.5}

Rates = dict[str, list[float]]


def run(options: Options) -> Report:
    """Needs the machine for itself."""
    report = Report()
    tell_all(report, options, _CPU)
    return report


def tell_all(report: Report, options: Options, device: torch.device) -> None:
    """All ratios on `device`; the targets are those of a processor."""
    report.told("arithmetic of ours", resolve_precision("auto", device), "")
    for batch_size in _STEPS:
        contenders = _contenders(batch_size, options.seed, device)
        if options.budget != "full":
            del contenders[_COMPILED]
        rates = _measured(contenders, _ROUNDS[options.budget])
        _tell(report, batch_size, rates, judged=device.type == "cpu")


def _tell(report: Report, batch_size: int, rates: Rates, *, judged: bool) -> None:
    for name, samples in rates.items():
        report.told(f"batch {batch_size}: {name}", round(statistics.median(samples)), "images/s")
    for name, target in (
        ("known teacher", _CACHED[batch_size]),
        ("live teacher", _LIVE[batch_size]),
        ("live teacher, flip and crop", None),
        ("student alone", None),
        ("student alone, fp32", None),
        (_COMPILED, None),
    ):
        if name not in rates:
            continue
        figure = f"batch {batch_size}: {name} ÷ reference"
        ratios = _ratios(rates[name], rates["reference"])
        if target is None or not judged:
            report.told(figure, statistics.median(ratios), "×")
        else:
            report.at_least(figure, statistics.median(ratios), "×", target, f"≥ {target}×")
        report.told(f"{figure}: lowest and highest", _interval(ratios), "×")
    times = _ratios(rates["student alone"], rates["known teacher"])
    figure = f"batch {batch_size}: time with a known teacher ÷ time of the student alone"
    report.at_most(figure, statistics.median(times), "×", 1.05, "≤ 1.05×")
    report.told(f"{figure}: lowest and highest", _interval(times), "×")


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def _interval(ratios: list[float]) -> str:
    return f"{min(ratios):.2f} … {max(ratios):.2f}"


def _measured(contenders: dict[str, Callable[[], float]], rounds: int) -> Rates:
    for contender in contenders.values():
        contender()  # warm
    rates: Rates = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            rates[name].append(contender())
    return rates


def _contenders(batch_size: int, seed: int, device: torch.device) -> dict[str, Callable[[], float]]:
    """Functions that train for an epoch and give images a second."""
    draw = torch.Generator().manual_seed(seed)
    count = batch_size * _STEPS[batch_size]
    x = torch.randint(0, 256, (count, *_SIZE), dtype=torch.uint8, generator=draw)
    train = Split(x, torch.arange(count) % 10)
    few = Split(x[:32], train.y[:32])
    data = Data.of(train, few, few)
    common = FitOptions(
        epochs=1,
        batch_size=batch_size,
        scheduler="constant",
        seed=seed,
        device="cuda" if device.type == "cuda" else "cpu",
    )

    def alone(precision: PrecisionName = "auto") -> float:
        options: FitOptions = {**common, "precision": precision}
        outcome = fit(cnn_student(10, _SIZE), data, mean=_MEAN, std=_STD, **options)
        return outcome.images_per_s

    compiled = cnn_student(10, _SIZE)
    compiled.compile()  # in the first call, a minute or two

    def distilled(augmentation: Augmentation = "none") -> float:
        options: FitOptions = {**common, "augmentation": augmentation}
        teachers = [Teacher(cnn_teacher(10, _SIZE), _MEAN, _STD)]
        outcome = distill(
            cnn_student(10, _SIZE),
            teachers,
            data,
            student_mean=_MEAN,
            student_std=_STD,
            losses=(Term("kd", {"temperature": TEMPERATURE}),),
            hard_weight=ALPHA,
            **options,
        )
        return outcome.images_per_s

    reference = ReferenceLoop(
        cnn_student(10, _SIZE),
        cnn_teacher(10, _SIZE),
        train,
        batch_size,
        _MEAN,
        _STD,
        device=device,
    )
    return {
        "reference": reference.epoch,
        "student alone": alone,
        "student alone, fp32": lambda: alone(precision="fp32"),
        _COMPILED: lambda: fit(compiled, data, mean=_MEAN, std=_STD, **common).images_per_s,
        "known teacher": distilled,
        "live teacher": lambda: _live(data, common, device),
        "live teacher, flip and crop": lambda: distilled(augmentation="flip_and_crop"),
    }


def _live(data: Data, options: FitOptions, device: torch.device) -> float:
    """The images are those of the reference, without augmentation, and the teacher is live."""
    module = cnn_teacher(10, _SIZE).to(device).eval().requires_grad_(False)
    normalise = Normalizer.of(_MEAN, _STD, data.train.x, device)
    example = normalise(data.train.x[:32].to(device))
    asked = Answering.of(module, example, resolve_precision("auto", device))
    live = LiveTeachers([Teacher(module, _MEAN, _STD)], [asked], [None], "average")
    objective = Distillation((Term("kd", {"temperature": TEMPERATURE}),), live, hard_weight=ALPHA)
    student = cnn_student(10, _SIZE)
    return fit(student, data, mean=_MEAN, std=_STD, objective=objective, **options).images_per_s
