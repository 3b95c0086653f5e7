"""Promises in place of an amount: the cut that keeps them, searched for and then verified."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from service.contract.prune import Targets
from service.contract.prune_result import PairedLatency, TargetResult
from service.contract.training import ModelFacts
from service.reports.promises import missed_by
from worker.engine.errors import NotPrunable, TargetNotReached
from worker.engine.measure.latency import speedup
from worker.engine.measure.size import nonzero_parameters
from worker.engine.models.folder import save_folder
from worker.engine.prune.pruner import Pruner
from worker.engine.prune.search import first_where, last_where
from worker.handlers.prune_run import Candidate, PruneRun
from worker.handlers.side_by_side import side_by_side

_GRID: Final = tuple(number / 128 for number in range(1, 128))
_RECOVERY_EPOCHS: Final = 1  # of training, before a candidate is judged
_MARGIN: Final = 0.97  # a latency is measured again in the end, and may then be a little higher
_TRIED: Final = "tried"
_DROP: Final = "max_accuracy_drop_points"


@dataclass(frozen=True)
class Search:
    """Looks for the amount. Size and speed ask for enough, accuracy for not too much."""

    run: PruneRun
    targets: Targets
    before: ModelFacts
    pruner: Pruner

    def find(self) -> Candidate:
        """The pruned and fine-tuned model. Without a promise of accuracy it is the smallest cut
        that is small or fast enough, with one the largest that is accurate enough.

        Raises `TargetNotReached` with the best that was reached.
        """
        least = self._least()
        if self.targets.max_accuracy_drop_points is None:
            return self.run.make(self.amounts[least])
        found = last_where(self._recovers, self.amounts[least:])
        index = least + (found or 0)
        while True:
            made = self.run.make(self.amounts[index])
            drop = self.drop(made.steps[-1].validation_accuracy)
            if _is_kept(_DROP, self.targets.max_accuracy_drop_points, drop):
                return made
            if index == least:
                raise TargetNotReached(
                    f"max_accuracy_drop_points {self.targets.max_accuracy_drop_points:g}: "
                    f"{drop:.2f} points are lost after fine-tuning at the smallest cut that keeps "
                    f"the other targets, {made.amount:.3f}"
                )
            index = (least + index) // 2

    @cached_property
    def amounts(self) -> tuple[float, ...]:
        """Those that remove something and leave something of every layer, rising."""
        possible = tuple(amount for amount in _GRID if self.pruner.can(amount))
        if not possible:
            raise NotPrunable("no amount removes something and leaves something of every layer")
        return possible

    def drop(self, accuracy: float) -> float:
        """Points of validation accuracy below the original."""
        return 100 * (self.accuracy_before - accuracy)

    @cached_property
    def accuracy_before(self) -> float:
        """Of the original, on validation."""
        return self.run.accuracy(self.run.original.module)

    @property
    def smallest(self) -> float:
        """The smallest amount that is small enough, however fast. Raises `TargetNotReached`."""
        return self.amounts[self._small()]

    def _small(self) -> int:
        small = first_where(self._is_small, self.amounts)
        if small is None:
            raise TargetNotReached(self._best_size())
        return small

    def _least(self) -> int:
        """Index of the smallest amount that is small and fast enough."""
        self.run.job.observer.on_phase("searching")
        small = self._small()
        if self.targets.latency_ms is None and self.targets.min_speedup is None:
            return small
        fast = first_where(self._is_fast, self.amounts[small:])
        if fast is None:
            ratio, milliseconds = self._measured(self.amounts[-1])
            raise TargetNotReached(
                f"the largest cut, {self.amounts[-1]:.3f}, is {ratio:.2f} times faster and takes "
                f"{milliseconds:.3f} ms"
            )
        return small + fast

    def _is_small(self, amount: float) -> bool:
        targets = self.targets
        if targets.macs is None and targets.parameters is None and targets.size_bytes is None:
            return True
        left = self.pruner.estimate(amount)
        overhead = self.before.size_bytes - 4 * self.before.parameters
        return (
            (targets.macs is None or left.macs <= targets.macs * (self.before.macs or 0))
            and (
                targets.parameters is None
                or left.parameters <= targets.parameters * self.before.nonzero_parameters
            )
            and (targets.size_bytes is None or left.size_bytes + overhead <= targets.size_bytes)
        )

    def _best_size(self) -> str:
        left = self.pruner.estimate(self.amounts[-1])
        share = left.parameters / max(nonzero_parameters(self.run.original.module), 1)
        macs = left.macs / (self.before.macs or left.macs)
        return (
            f"the largest cut, {self.amounts[-1]:.3f}, leaves {share:.4f} of the parameters, "
            f"{macs:.4f} of the MACs and about {left.size_bytes} bytes"
        )

    def _is_fast(self, amount: float) -> bool:
        ratio, milliseconds = self._measured(amount)
        least, most = self.targets.min_speedup, self.targets.latency_ms
        return (least is None or ratio * _MARGIN >= least) and (
            most is None or milliseconds <= most * _MARGIN
        )

    def _measured(self, amount: float) -> tuple[float, float]:
        run = self.run
        pruned = self.pruner.prune(amount)
        folder = run.job.folder / _TRIED
        save_folder(pruned.module, run.config_after(amount, (pruned.cuts,)), folder, card="")
        original = run.job.folder / run.job.input(run.spec.model).folder
        timed = side_by_side(
            run.job, {"original": original, "pruned": folder}, self.targets.batch_size
        )
        return speedup(timed["original"], timed["pruned"]).median, timed["pruned"].p50_ms

    def _recovers(self, amount: float) -> bool:
        module = self.run.recover(self.pruner.prune(amount), _RECOVERY_EPOCHS)
        most = self.targets.max_accuracy_drop_points
        assert most is not None
        return _is_kept(_DROP, most, self.drop(self.run.accuracy(module)))


def verified(
    search: Search,
    after: ModelFacts,
    smallest_bytes: int,
    accuracy: float,
    latencies: tuple[PairedLatency, ...],
) -> tuple[TargetResult, ...]:
    """Every promise beside what the saved model has. Raises `TargetNotReached` for a broken one."""
    targets, before = search.targets, search.before
    timed = {one.batch_size: one for one in latencies}.get(targets.batch_size)
    reached = {
        "macs": (after.macs or 0) / (before.macs or 1),
        "parameters": after.nonzero_parameters / before.nonzero_parameters,
        "size_bytes": float(smallest_bytes),
        "latency_ms": 0.0 if timed is None else timed.pruned_p50_ms,
        "min_speedup": 0.0 if timed is None else timed.speedup,
        _DROP: search.drop(accuracy),
    }
    results = []
    for name in reached:
        asked = getattr(targets, name)
        if asked is None:
            continue
        if not _is_kept(name, asked, reached[name]):
            raise TargetNotReached(f"{name} {asked:g}: {reached[name]:.4f} was reached")
        results.append(TargetResult(name=name, asked=asked, reached=reached[name]))
    return tuple(results)


def _is_kept(name: str, asked: float, reached: float) -> bool:
    return missed_by(name, asked, reached) is None
