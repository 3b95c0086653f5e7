"""What distillation gains: preset, defaults and every loss against a control; Hinton's MNIST.

CIFAR-10: the teacher is a public ResNet-20 (91.73 %). Students learn from 10,000 images, their
best epoch is picked on 2,000 others, and they are judged on the 10,000 test images. A control is
the same student on the same budget without a teacher. Gains are paired by seed; an interval is
Student's t at 95 %.

Finished trials are kept in `.bench/distill_quality.jsonl`, so that a long campaign can go on where
it was stopped; delete the file to measure anew.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from benchmarks import real_data
from benchmarks.figures import Options, Report
from benchmarks.hinton import HintonStudent, HintonTeacher
from benchmarks.lessons import Lesson, LessonTeacher
from benchmarks.option_chart import draw
from benchmarks.trials import Trial, Trials, gain
from benchmarks.twins import Data, DigitsTeacher, Loop, Twin, test_images
from service.contract.distill import Preset
from worker.engine.distill.losses import LOSSES

_SEEDS: Final = (0, 1, 2)
_QUICK: Final = ("cnn_student", "cifar_resnet8")
_FULL: Final = (*_QUICK, "cifar_resnet20")
_EPOCHS: Final = 10
_EACH_LOSS: Final = "cifar_resnet8"
_RESULTS: Final = Path(".bench/distill_quality.jsonl")
_CURVES: Final[Mapping[str, tuple[float, ...]]] = {
    "temperature": (1, 2, 4, 8, 16),
    "alpha": (0.1, 0.3, 0.5, 0.7, 0.9),
}
_CHART: Final = Path(".bench/distill_options.svg")
_SLACK: Final = -0.5  # points that an interval may lie below the control
_SLACK_TOLD: Final = "95 % interval not wholly below −0.5"
_MOST_MORE_ERRORS: Final = 3
_FEWER_ERRORS: Final = 0.25

Taught = dict[str, Any] | None


def run(options: Options) -> Report:
    """Uses all cores, but measures no time."""
    report = Report()
    if not real_data.there():
        report.skip("all", real_data.MISSING)
        return report
    trials = Trials(_RESULTS)
    full = options.budget == "full"
    students, epochs = _FULL if full else _QUICK, _EPOCHS
    each_loss = _SEEDS if full else _SEEDS[:1]
    presets: list[Taught] = [{"preset": name} for name in get_args(Preset)]
    losses: dict[str, Taught] = {name: {"loss": {"name": name}} for name in LOSSES}
    # The longest first, so that no core waits in the end for another.
    asked: list[Trial] = []
    for student in students:
        for taught in (None, *presets, {}):
            asked += _lessons(student, epochs, taught)
    for taught in losses.values():
        asked += _lessons(_EACH_LOSS, epochs, taught, each_loss)
    if full:
        asked += [lesson for lessons in _curves(epochs).values() for lesson in lessons.values()]
    for data in get_args(Data):
        for loop in get_args(Loop):
            asked += _twins(data, loop)
    asked += [HintonStudent(taught, seed) for taught in (True, False) for seed in _SEEDS]
    trials.measure([HintonTeacher(), LessonTeacher(epochs), DigitsTeacher()])
    trials.measure(asked)

    for student in students:
        _tell_student(report, trials, student, epochs, presets)
    for name, taught in losses.items():
        _tell_loss(report, trials, name, epochs, taught, each_loss)
    if full:
        _tell_curves(report, trials, epochs)
    _tell_twins(report, trials)
    _tell_hinton(report, trials)
    return report


def _lessons(
    student: str, epochs: int, taught: Taught, seeds: Sequence[int] = _SEEDS
) -> list[Lesson]:
    return [Lesson(student, epochs, seed, taught) for seed in seeds]


def _curves(epochs: int) -> dict[str, dict[float, Lesson]]:
    """`kd` by the values of each option, at one seed."""
    return {
        option: {
            value: Lesson(_EACH_LOSS, epochs, _SEEDS[0], {"loss": {"name": "kd", option: value}})
            for value in values
        }
        for option, values in _CURVES.items()
    }


def _twins(data: Data, loop: Loop) -> list[Twin]:
    return [Twin(data, loop, seed) for seed in _SEEDS]


def _tell_student(
    report: Report, trials: Trials, student: str, epochs: int, presets: Sequence[Taught]
) -> None:
    control = trials.values(_lessons(student, epochs, None))
    report.told(f"{student}: control", _listed(control), "%")
    for preset in presets:
        assert preset is not None
        name = preset["preset"]
        mean, low, high = gain(trials.values(_lessons(student, epochs, preset)), control)
        report.at_least(f"{student}: gain of {name}", mean, "points", 1.0, "≥ +1.0")
        report.told(f"{student}: gain of {name}, 95 %", f"{low:+.2f} … {high:+.2f}", "points")
    mean, low, high = gain(trials.values(_lessons(student, epochs, {})), control)
    name = f"{student}: defaults, upper end of 95 %"
    report.at_least(name, high, "points", _SLACK, _SLACK_TOLD)
    report.told(f"{student}: gain of the defaults", f"{mean:+.2f} from {low:+.2f}", "points")


def _tell_loss(
    report: Report,
    trials: Trials,
    loss: str,
    epochs: int,
    taught: Taught,
    seeds: Sequence[int],
) -> None:
    control = trials.values(_lessons(_EACH_LOSS, epochs, None, seeds))
    found = gain(trials.values(_lessons(_EACH_LOSS, epochs, taught, seeds)), control)
    mean, low, high = found
    if len(seeds) == 1:
        report.told(f"{_EACH_LOSS}: gain of {loss}, one seed", f"{mean:+.2f}", "points")
        return
    name = f"{_EACH_LOSS}: {loss}, upper end of 95 %"
    report.at_least(name, high, "points", _SLACK, _SLACK_TOLD)
    report.told(f"{_EACH_LOSS}: gain of {loss}", f"{mean:+.2f} from {low:+.2f}", "points")


def _tell_curves(report: Report, trials: Trials, epochs: int) -> None:
    reached = {
        option: {value: trials.value(lesson) for value, lesson in lessons.items()}
        for option, lessons in _curves(epochs).items()
    }
    for option, by_value in reached.items():
        for value, accuracy in by_value.items():
            report.told(f"{_EACH_LOSS}: kd with {option} {value}", accuracy, "%")
    (control,) = trials.values(_lessons(_EACH_LOSS, epochs, None, _SEEDS[:1]))
    draw(_CHART, reached, control, f"{_EACH_LOSS} distilled by kd")
    report.told("accuracy by temperature and alpha, drawn in", str(_CHART), "")


def _tell_twins(report: Report, trials: Trials) -> None:
    ours = trials.values(_twins("cifar10", "ours"))
    theirs = trials.values(_twins("cifar10", "reference"))
    mean, low, high = gain(ours, theirs)
    name = "CIFAR-10 against the reference loop, upper end of 95 %"
    report.at_least(name, high, "points", _SLACK, _SLACK_TOLD)
    told = f"{mean:+.2f} from {low:+.2f} (reference {_listed(theirs)})"
    report.told("CIFAR-10 against the reference loop", told, "points")
    ours = trials.values(_twins("digits", "ours"))
    theirs = trials.values(_twins("digits", "reference"))
    more = round((sum(theirs) - sum(ours)) / 100 * test_images("digits"))
    name = "digits: errors more than the reference loop, all seeds"
    report.at_most(name, more, "errors", _MOST_MORE_ERRORS, "≤ 3")


def _tell_hinton(report: Report, trials: Trials) -> None:
    report.told("MNIST: teacher", trials.value(HintonTeacher()), "errors")
    alone = trials.values([HintonStudent(False, seed) for seed in _SEEDS])
    taught = trials.values([HintonStudent(True, seed) for seed in _SEEDS])
    report.told("MNIST: student alone", _listed(alone), "errors")
    report.told("MNIST: student taught", _listed(taught), "errors")
    fewer = 1 - sum(taught) / sum(alone)
    report.at_least("MNIST: fewer errors when taught", fewer, "", _FEWER_ERRORS, "≥ 25 %")


def _listed(values: Sequence[float]) -> str:
    return " · ".join(f"{value:.5g}" for value in values)
