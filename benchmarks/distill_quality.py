"""What distillation gains on CIFAR-10: presets, defaults and every loss against a control.

The teacher is a public ResNet-20 (91.73 %). Students learn from 10,000 images, their best epoch is
picked on 2,000 others, and they are judged on the 10,000 test images. A control is the same
student on the same budget without a teacher. Gains are paired by seed; an interval is Student's t.

Finished runs are kept in `.bench/distill_quality.jsonl`, so that a long campaign can go on where
it was stopped; delete the file to measure anew.
"""

import hashlib
import json
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import torch
from scipy.stats import t as students_t

from benchmarks import real_data
from benchmarks.figures import Options, Report
from service.contract.distill import DistillSpec, Preset
from service.contract.losses import mix_weights
from worker.engine.data.split import Data
from worker.engine.distill.distill import distill
from worker.engine.distill.losses import LOSSES
from worker.engine.distill.teachers import Teacher
from worker.engine.models.folder import build
from worker.engine.seeds import seed_everything
from worker.engine.train.evaluate import evaluate
from worker.engine.train.loop import fit
from worker.engine.train.settings import FitOptions
from worker.handlers.lesson import term_of

_SEEDS: Final = (0, 1, 2)
_QUICK: Final = ("cnn_student", "cifar_resnet8")
_FULL: Final = (*_QUICK, "cifar_resnet20")
_EPOCHS: Final = {"quick": 10, "full": 25}
_TRAIN, _VALIDATION = 1_000, 200  # of each class
_RESULTS: Final = Path(".bench/distill_quality.jsonl")
_CURVES: Final = {"temperature": (1, 2, 4, 8, 16), "alpha": (0.1, 0.3, 0.5, 0.7, 0.9)}
_CURVE_STUDENT: Final = "cifar_resnet8"


@dataclass(frozen=True)
class Trial:
    """One training. `taught` are fields of a distill spec; None is the control."""

    student: str
    epochs: int
    seed: int
    taught: dict[str, Any] | None = field(default_factory=dict)

    @property
    def spec(self) -> DistillSpec | None:
        """What a job would be asked for."""
        if self.taught is None:
            return None
        return DistillSpec.model_validate(
            {
                "teacher": "mdl_" + "0" * 26,
                "student": {"architecture": self.student},
                "dataset": "digits",  # any: the data come from elsewhere
                "training": {"epochs": self.epochs},
                **self.taught,
            }
        )

    @property
    def key(self) -> str:
        """What tells it from every other trial."""
        losses = [] if self.spec is None else [loss.model_dump() for loss in self.spec.losses]
        told = [self.student, self.epochs, self.seed, losses]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def accuracy(self) -> float:
        """Train, and judge the best validation epoch on the test images."""
        data, config = _data(), real_data.resnet20_config(self.student)
        mean, std = config.mean, config.std
        seed_everything(self.seed, deterministic=True)
        student, options = build(config), _options(self.epochs, self.seed)
        if self.spec is None:
            fit(student, data, mean=mean, std=std, **options)
        else:
            losses = self.spec.losses
            weights = mix_weights(losses, self.epochs)
            distill(
                student,
                [Teacher(real_data.resnet20(), mean, std)],
                data,
                student_mean=mean,
                student_std=std,
                losses=[term_of(one, w) for one, w in zip(losses, weights.soft, strict=True)],
                hard_weight=weights.hard,
                **options,
            )
        return evaluate(student, data.test, mean, std).accuracy


def run(options: Options) -> Report:
    """Needs the machine for itself."""
    report = Report()
    if not real_data.there():
        report.skip("all", real_data.MISSING)
        return report
    epochs = _EPOCHS[options.budget]
    for student in _QUICK if options.budget == "quick" else _FULL:
        control = _accuracies(student, epochs, _SEEDS, None)
        report.told(f"{student}: control", _percent(control), "%")
        for preset in get_args(Preset):
            taught = _accuracies(student, epochs, _SEEDS, {"preset": preset})
            mean, low, high = _gain(taught, control)
            report.at_least(f"{student}: gain of {preset}", mean, "points", 1.0, "≥ +1.0")
            report.told(f"{student}: gain of {preset}, 95 %", f"{low:+.2f} … {high:+.2f}", "points")
        mean, low, high = _gain(_accuracies(student, epochs, _SEEDS, {}), control)
        told = "95 % interval not wholly below −0.5"
        report.at_least(f"{student}: defaults, upper end of 95 %", high, "points", -0.5, told)
        report.told(f"{student}: gain of the defaults", f"{mean:+.2f} from {low:+.2f}", "points")
    _every_loss(report, options)
    if options.budget == "full":
        _curves(report)
    return report


def _every_loss(report: Report, options: Options) -> None:
    seeds = _SEEDS if options.budget == "full" else _SEEDS[:1]
    epochs = _EPOCHS[options.budget]
    control = _accuracies(_CURVE_STUDENT, epochs, seeds, None)
    for name in LOSSES:
        taught = _accuracies(_CURVE_STUDENT, epochs, seeds, {"loss": {"name": name}})
        mean, low, high = _gain(taught, control)
        if len(seeds) == 1:
            report.told(f"{_CURVE_STUDENT}: gain of {name}, one seed", f"{mean:+.2f}", "points")
            continue
        told = "95 % interval not wholly below −0.5"
        report.at_least(f"{_CURVE_STUDENT}: {name}, upper end of 95 %", high, "points", -0.5, told)
        report.told(f"{_CURVE_STUDENT}: gain of {name}", f"{mean:+.2f} from {low:+.2f}", "points")


def _curves(report: Report) -> None:
    for option, values in _CURVES.items():
        for value in values:
            loss = {"name": "kd", option: value}
            found = _accuracies(_CURVE_STUDENT, _EPOCHS["full"], _SEEDS, {"loss": loss})
            report.told(f"{_CURVE_STUDENT}: kd with {option} {value}", _percent(found), "%")


def _accuracies(
    student: str, epochs: int, seeds: Iterable[int], taught: dict[str, Any] | None
) -> list[float]:
    return [_known_or_measured(Trial(student, epochs, seed, taught)) for seed in seeds]


def _known_or_measured(trial: Trial) -> float:
    known = {row["key"]: row["accuracy"] for row in _rows()}
    if trial.key in known:
        return float(known[trial.key])
    started = time.monotonic()
    accuracy = trial.accuracy()
    row = {
        "key": trial.key, "student": trial.student, "epochs": trial.epochs, "seed": trial.seed,
        "taught": trial.taught, "accuracy": accuracy,
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    _RESULTS.parent.mkdir(exist_ok=True)
    with _RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    return accuracy


def _rows() -> list[dict[str, Any]]:
    if not _RESULTS.exists():
        return []
    return [json.loads(line) for line in _RESULTS.read_text(encoding="utf-8").splitlines()]


def _gain(taught: Sequence[float], control: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval of the paired differences, in points; no interval for one pair."""
    gains = [100 * (one - other) for one, other in zip(taught, control, strict=True)]
    mean = statistics.fmean(gains)
    if len(gains) == 1:
        return mean, mean, mean
    error = statistics.stdev(gains) / len(gains) ** 0.5
    half = float(students_t.ppf(0.975, len(gains) - 1)) * error
    return mean, mean - half, mean + half


def _percent(accuracies: Sequence[float]) -> str:
    return " · ".join(f"{100 * value:.2f}" for value in accuracies)


def _options(epochs: int, seed: int) -> FitOptions:
    return FitOptions(
        epochs=epochs,
        batch_size=128,
        optimizer="adamw",
        learning_rate=3e-3,
        weight_decay=5e-4,
        scheduler="one_cycle",
        warmup_share=0.2,
        max_grad_norm=5.0,
        augmentation="flip_and_crop",
        seed=seed,
    )


@cache
def _data() -> Data:
    everything, test = real_data.cifar10()
    draw = torch.Generator().manual_seed(1)
    train, validation = [], []
    for label in range(10):
        members = torch.nonzero(everything.y == label).flatten()
        members = members[torch.randperm(len(members), generator=draw)]
        train.append(members[:_TRAIN])
        validation.append(members[_TRAIN : _TRAIN + _VALIDATION])
    return Data.of(everything.take(torch.cat(train)), everything.take(torch.cat(validation)), test)
