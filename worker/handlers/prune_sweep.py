"""Several amounts in one job: each is pruned, repaired and measured, one is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from safetensors.torch import load_file

from service.contract.prune_result import SweepPoint
from worker.engine.measure.latency import Latency
from worker.engine.measure.macs import macs
from worker.engine.measure.size import nonzero_parameters
from worker.engine.models.folder import WEIGHTS, LoadedModel, load_folder, save_folder
from worker.engine.prune.sparse_file import SPARSE_WEIGHTS, save_sparse
from worker.handlers.prune_run import Candidate, PruneRun
from worker.handlers.side_by_side import side_by_side

_SPARED_POINTS: Final = 1.0  # a cut that costs no more validation accuracy is worth keeping


@dataclass(frozen=True)
class Sweep:
    """The candidates in the order of the spec; `kept` is the index of the job's model."""

    run: PruneRun
    candidates: Sequence[Candidate]
    kept: int

    def points(self) -> tuple[SweepPoint, ...]:
        """Every candidate, measured on its saved file."""
        folders = [self.run.job.folder / f"sweep-{i}" for i in range(len(self.candidates))]
        for folder, made in zip(folders, self.candidates, strict=True):
            save_folder(made.module, self.run.config_after(made.amount, made.cuts), folder, card="")
            save_sparse(load_file(folder / WEIGHTS), folder / SPARSE_WEIGHTS)
        sizes = self.run.spec.latency_batch_sizes
        timed: dict[str, Latency] = {}
        if sizes:
            named = {str(i): folder for i, folder in enumerate(folders)}
            timed = side_by_side(self.run.job, named, sizes[0])
        rows = []
        for index, (folder, made) in enumerate(zip(folders, self.candidates, strict=True)):
            loaded = load_folder(folder)
            test, _ = self.run.job.evaluate(loaded, self.run.data.test)
            rows.append(
                SweepPoint(
                    amount=made.amount,
                    validation_accuracy=made.steps[-1].validation_accuracy,
                    test_accuracy=test.accuracy,
                    parameters=nonzero_parameters(loaded.module),
                    macs=self._macs(loaded),
                    size_bytes=min(f.stat().st_size for f in folder.glob("*.safetensors")),
                    p50_ms=timed[str(index)].p50_ms if timed else None,
                    is_kept=index == self.kept,
                )
            )
        return tuple(rows)

    def _macs(self, loaded: LoadedModel) -> int:
        count = macs(loaded.module, loaded.config.input_size)
        assert count is not None  # a network of layers always has a count
        return count


def sweep(run: PruneRun) -> Sweep:
    """Make every candidate. Kept is the largest amount that loses at most a point of validation
    accuracy, or else the most accurate one."""
    candidates = [run.make(amount) for amount in run.spec.amounts]
    least = run.accuracy(run.original.module) - _SPARED_POINTS / 100

    def worth(index: int) -> tuple[bool, float]:
        made = candidates[index]
        accuracy = made.steps[-1].validation_accuracy
        return accuracy >= least, made.amount if accuracy >= least else accuracy

    return Sweep(run, candidates, max(range(len(candidates)), key=worth))
