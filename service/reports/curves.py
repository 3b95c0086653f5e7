"""Figures of a training history."""

from collections.abc import Mapping, Sequence
from typing import Final

from service.contract.reports import Chart
from service.contract.training import EpochRecord, TrainedResult
from service.reports import show, vega

_LOSS: Final = "Loss (nats)"
_ACCURACY: Final = "Accuracy"
Rows = list[tuple[int, str, float]]
Weights = Mapping[str, Sequence[float]]


def _epochs(result: TrainedResult) -> list[EpochRecord]:
    """The history, thinned for drawing, with the epoch that was kept in it."""
    kept = [record for record in result.history if record.epoch == result.best_epoch]
    thin = [record for record in vega.thinned(result.history) if record.epoch != result.best_epoch]
    return sorted([*thin, *kept], key=lambda record: record.epoch)


def _accuracy(result: TrainedResult, epochs: Sequence[EpochRecord], title: str) -> vega.Spec:
    rows: Rows = [(e.epoch, "validation", e.validation_accuracy) for e in epochs]
    rows += [(e.epoch, "training", e.train_accuracy) for e in epochs]
    return vega.curves(
        title,
        rows,
        ["validation", "training"],
        unit=_ACCURACY,
        form=".2~%",
        kept=result.best_epoch,
        from_zero=False,
    )


def _losses(result: TrainedResult, title: str, rows: Rows) -> vega.Spec:
    names = list(dict.fromkeys(name for _, name, _ in rows))
    return vega.curves(
        title, rows, names, unit=_LOSS, form="~r", kept=result.best_epoch, from_zero=True
    )


def training_chart(result: TrainedResult) -> Chart:
    """Loss and accuracy, on training and validation data, by epoch."""
    epochs = _epochs(result)
    rows: Rows = [(e.epoch, "validation", e.validation_loss) for e in epochs]
    rows += [(e.epoch, "training", e.losses["total"]) for e in epochs]
    return Chart(
        id="training",
        title="Training",
        description=_story(result),
        spec=vega.chart(
            [_losses(result, "Loss", rows), _accuracy(result, epochs, "Classification accuracy")]
        ),
    )


def distillation_chart(result: TrainedResult, weights: Weights) -> Chart:
    """The four panels by which the field judges a distillation: total loss, the labels' loss
    against the teachers' before their weights, accuracy, and what share of the total each term
    has after them. `weights` has the weight of each term in each epoch."""
    epochs = _epochs(result)
    total: Rows = [(e.epoch, "total", e.losses["total"]) for e in epochs]
    terms: Rows = [(e.epoch, term, e.losses[term]) for term in ("hard", "soft") for e in epochs]
    return Chart(
        id="training",
        title="Distillation",
        description=f"{_story(result)} {_shares_story(result.history, weights)}",
        spec=vega.chart(
            [
                _losses(result, "Total loss", total),
                _losses(result, "Hard against soft loss", terms),
                _accuracy(result, epochs, "Accuracy of the student"),
                vega.shares(
                    "Share of each term",
                    [
                        (e.epoch, term, share)
                        for e in epochs
                        for term, share in _shares(e, weights).items()
                    ],
                    list(weights),
                    kept=result.best_epoch,
                ),
            ]
        ),
    )


def _shares(record: EpochRecord, weights: Weights) -> dict[str, float]:
    parts = {
        term: max(of_epochs[record.epoch - 1] * record.losses[term], 0.0)
        for term, of_epochs in weights.items()
    }
    total = sum(parts.values())
    return {term: part / total if total > 0 else 0.0 for term, part in parts.items()}


def _story(result: TrainedResult) -> str:
    first, last = result.history[0], result.history[-1]
    best = next(e for e in result.history if e.epoch == result.best_epoch)
    loss = show.significant
    return (
        f"Over {show.count(len(result.history))} epochs the training loss went from "
        f"{loss(first.losses['total'])} to {loss(last.losses['total'])} and validation accuracy "
        f"from {show.percent(first.validation_accuracy)} to "
        f"{show.percent(last.validation_accuracy)}; epoch {best.epoch} was kept, with "
        f"{show.percent(best.validation_accuracy)}."
    )


def _shares_story(history: Sequence[EpochRecord], weights: Weights) -> str:
    first, last = _shares(history[0], weights), _shares(history[-1], weights)
    parts = [
        f"the {term} term went from {show.percent(first[term])} to {show.percent(last[term])}"
        for term in weights
    ]
    return f"Of the total loss, {' and '.join(parts)}."
