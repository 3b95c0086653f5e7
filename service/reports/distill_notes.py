"""What the report of a distillation says of its losses, its control and its repetitions."""

from typing import Final

from service.contract.distill import DistillResult, DistillSpec
from service.contract.losses import AnyLoss, FeatureLossBase
from service.contract.reports import Cell, Column, Table
from service.reports import show
from service.reports.body import ACCURACY, seeds_note, table

# The formula of each loss, and who found it.
_FORMULAS: Final = {
    "kd": "T² · KL(teacher ‖ student) (Hinton, Vinyals, Dean 2015)",
    "dkd": "decoupled knowledge distillation (Zhao et al. 2022)",
    "dist": "correlation of the probabilities by example and by class (Huang et al. 2022)",
    "js": "T² · the Jensen–Shannon divergence (Lin 1991)",
    "reverse_kl": "T² · KL(student ‖ teacher) (Gu et al. 2024)",
    "mse": "the mean squared difference of the logits (Ba and Caruana 2014)",
    "fitnet": "feature maps through a learned convolution (Romero et al. 2015)",
    "at": "attention maps (Zagoruyko and Komodakis 2017)",
    "sp": "similarities between examples (Tung and Mori 2019)",
    "rkd": "distances and angles between examples (Park et al. 2019)",
    "crd": "contrast within the batch (Tian et al. 2020)",
    "reviewkd": "feature maps fused across stages (Chen et al. 2021)",
}
_TEACHER_COLUMNS: Final = (
    Column(key="name", title="Teacher"),
    Column(key="parameters", title="Parameters", format="count"),
    Column(key="weight", title="Weight", format="number"),
    ACCURACY,
)
_RUN_COLUMNS: Final = (
    Column(key="run", title="Training"),
    Column(key="validation_accuracy", title="Validation accuracy", format="percent"),
    ACCURACY,
)
_SHARED: Final = {"name", "alpha", "alpha_end", "warmup_epochs", "weight", "layers"}


def loss_notes(spec: DistillSpec) -> tuple[str, ...]:
    """The objective in words, loss by loss."""
    whole = sum(loss.weight for loss in spec.losses)
    return tuple(_loss_note(loss, loss.weight / whole) for loss in spec.losses)


def _loss_note(loss: AnyLoss, share: float) -> str:
    part = "" if share == 1 else f" ({show.percent(share)} of the mix)"
    ends = "" if loss.alpha_end is None else f", alpha moving to {loss.alpha_end:g}"
    grows = "" if not loss.warmup_epochs else f", grown over {loss.warmup_epochs} epochs"
    settings = loss.model_dump(exclude=_SHARED)
    words = ", ".join(f"{name} {_plain(value)}" for name, value in settings.items())
    layers = _layers(loss) if isinstance(loss, FeatureLossBase) else ""
    return (
        f"Loss{part}: {loss.alpha:g} · CE(student, labels) + {1 - loss.alpha:g} · {loss.name}"
        f"{ends}{grows}; {loss.name} is {_FORMULAS[loss.name]}"
        f"{', with ' + words if words else ''}{layers}."
    )


def _layers(loss: FeatureLossBase) -> str:
    if loss.layers is None:
        return ", between the last maps of each stage"
    return ", between " + ", ".join(f"{pair.student} and {pair.teacher}" for pair in loss.layers)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def gain_notes(result: DistillResult) -> tuple[str, ...]:
    """What the teacher gave, where that was measured; and how much seeds matter."""
    notes = []
    if result.control is not None:
        gain = result.control.gain_points
        notes.append(
            f"The same student without a teacher, on the same budget, reaches "
            f"{show.percent(result.control.test_accuracy)}: distillation changed test accuracy by "
            f"{gain:+.2f} points."
        )
    return (*notes, *seeds_note(result))


def comparisons(result: DistillResult) -> tuple[Table, ...]:
    """Tables of the teachers, rounds, seeds and the control, as far as there are several."""
    tables = []
    if result.teachers:
        tables.append(table("teachers", "The teachers", _TEACHER_COLUMNS, _teacher_rows(result)))
    if attempts := _attempts(result):
        tables.append(table("runs", "All trainings", _RUN_COLUMNS, attempts))
    return tuple(tables)


def _teacher_rows(result: DistillResult) -> list[dict[str, Cell]]:
    return [
        {
            "name": one.facts.name,
            "parameters": one.facts.parameters,
            "weight": one.weight,
            "accuracy": one.test.accuracy,
        }
        for one in result.teachers
    ]


def _attempts(result: DistillResult) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = [
        _attempt(f"round {one.round}", one.validation_accuracy, one.test_accuracy)
        for one in result.rounds
    ]
    if result.seeds is not None:
        rows += [
            _attempt(f"seed {one.seed}", one.validation_accuracy, one.test_accuracy)
            for one in result.seeds.runs
        ]
    if result.control is not None:
        if not rows:
            rows.append(_attempt("distilled", result.validation.accuracy, result.test.accuracy))
        control = result.control
        rows.append(
            _attempt("without a teacher", control.validation_accuracy, control.test_accuracy)
        )
    return rows


def _attempt(run: str, validation: float, test: float) -> dict[str, Cell]:
    return {"run": run, "validation_accuracy": validation, "accuracy": test}
