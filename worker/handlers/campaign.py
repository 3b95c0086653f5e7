"""Several trainings in one job: seeds, born-again rounds, a control; resumed within any of them.

Each is a leg. A job of one leg keeps the loop's own checkpoints. Of several legs each checkpoint
holds what the finished ones left and the loop's state of the present one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final, Literal

from torch import Tensor

from service.contract.training import SeedResult, SeedsSummary, TrainingSpec
from worker.engine.checkpoint import checkpoint_path, load, save
from worker.engine.data.split import Data
from worker.engine.models.folder import LoadedModel
from worker.engine.observer import EpochRecord
from worker.engine.train.loop import FitOutcome
from worker.engine.train.settings import FitOptions
from worker.handlers.common import Job
from worker.handlers.parts import PartObserver, plain_outcome, restored_outcome
from worker.order import CHECKPOINTS

_LEGS: Final = "legs"
Role = Literal["student", "control"]


@dataclass(frozen=True)
class Leg:
    """One training of the job; `round` counts from 1."""

    seed: int
    role: Role = "student"
    round: int = 1

    @property
    def title(self) -> str:
        """For who watches."""
        doing = "training" if self.role == "student" else "training the control"
        return f"{doing}, seed {self.seed}" + (f", round {self.round}" if self.round > 1 else "")


@dataclass(frozen=True)
class Finished:
    """What a leg left. `test_accuracy` is known where there are several legs; `weights` are on
    the CPU, and dropped as soon as nobody can want them any more."""

    leg: Leg
    outcome: FitOutcome
    test_accuracy: float | None
    weights: Mapping[str, Tensor] | None

    @property
    def best(self) -> EpochRecord:
        """The epoch that was kept."""
        return self.outcome.history[self.outcome.best_epoch - 1]

    @property
    def kept_weights(self) -> Mapping[str, Tensor]:
        """The weights of a leg that may be kept."""
        assert self.weights is not None
        return self.weights


Train = Callable[[Leg, Mapping[str, Tensor] | None, FitOptions], tuple[LoadedModel, FitOutcome]]
"""Trains a leg; given the weights of the student of the round before, and the loop's options."""


@dataclass(frozen=True)
class Campaign:
    """The legs of a job, in order."""

    job: Job
    legs: Sequence[Leg]
    training: TrainingSpec

    def run(self, data: Data, train: Train) -> list[Finished]:
        """Train what is not finished yet. Raises what the loop raises."""
        if len(self.legs) == 1:
            (leg,) = self.legs
            loaded, outcome = train(leg, None, self.job.fit_options(self.training, leg.seed))
            return [Finished(leg, outcome, None, loaded.module.state_dict())]
        finished, state = self._resumed()
        for leg in self.legs[len(finished) :]:
            previous = finished[-1].weights if leg.round > 1 else None
            loaded, outcome = train(leg, previous, self._options(leg, finished, state))
            test, _ = self.job.evaluate(loaded, data.test)
            weights = {name: t.cpu() for name, t in loaded.module.state_dict().items()}
            finished.append(Finished(leg, outcome, test.accuracy, weights))
            finished, state = _light(finished), None
            if len(finished) < len(self.legs):
                self.job.observer.on_checkpoint(self.write(finished, {}, 0), _steps(finished))
        return finished

    def write(self, finished: Sequence[Finished], state: Mapping[str, Any], step: int) -> Path:
        """A checkpoint of everything, `step` steps into the present leg."""
        path = checkpoint_path(self.job.folder / CHECKPOINTS, _steps(finished) + step)
        save(path, {_LEGS: [_plain(one) for one in finished], "state": dict(state)})
        return path

    def _resumed(self) -> tuple[list[Finished], dict[str, Any] | None]:
        """The finished legs, and the loop's state of the next one if it had begun."""
        if self.job.order.checkpoint is None:
            return [], None
        kept = load(self.job.folder / self.job.order.checkpoint)
        finished = [_restored(leg, one) for leg, one in zip(self.legs, kept[_LEGS], strict=False)]
        return finished, kept["state"] or None

    def _options(
        self, leg: Leg, finished: Sequence[Finished], state: dict[str, Any] | None
    ) -> FitOptions:
        folder = self.job.folder / _LEGS / str(len(finished))
        options = self.job.fit_options(self.training, leg.seed)
        options["checkpoint_dir"] = folder
        options["resume_from"] = None
        if state is not None:
            options["resume_from"] = folder / "resumed.ckpt"
            save(folder / "resumed.ckpt", state)
        left = len(self.legs) - len(finished)
        options["observer"] = PartObserver(
            self.job.observer,
            _steps(finished),
            lambda total: total * left,
            partial(self.write, tuple(finished)),
            leg.title,
        )
        return options


def students(finished: Sequence[Finished]) -> list[Finished]:
    """The students of the last round, one a seed."""
    last = max(one.leg.round for one in finished)
    return [one for one in finished if one.leg.role == "student" and one.leg.round == last]


def best_student(finished: Sequence[Finished]) -> Finished:
    """The one to keep: best on validation, then the earliest."""
    return max(
        students(finished), key=lambda f: (f.best.validation_accuracy, -f.best.validation_loss)
    )


def summary(finished: Sequence[Finished]) -> SeedsSummary | None:
    """Test accuracy over seeds; None for one seed."""
    runs = students(finished)
    if len(runs) == 1:
        return None
    accuracies = [known(run.test_accuracy) for run in runs]
    return SeedsSummary(
        n=len(runs),
        mean=fmean(accuracies),
        std=stdev(accuracies),
        runs=tuple(
            SeedResult(
                seed=run.leg.seed,
                best_epoch=run.outcome.best_epoch,
                validation_accuracy=run.best.validation_accuracy,
                test_accuracy=known(run.test_accuracy),
            )
            for run in runs
        ),
    )


def known(accuracy: float | None) -> float:
    """Of a leg among several, which has one."""
    assert accuracy is not None
    return accuracy


def _light(finished: Sequence[Finished]) -> list[Finished]:
    """Without the weights that nobody can want: all but the best student's and the last leg's,
    which may teach the next round."""
    wanted = {id(best_student(finished)), id(finished[-1])}
    return [one if id(one) in wanted else replace(one, weights=None) for one in finished]


def _steps(finished: Sequence[Finished]) -> int:
    return sum(one.outcome.steps for one in finished)


def _plain(finished: Finished) -> dict[str, Any]:
    return {
        "outcome": plain_outcome(finished.outcome),
        "test_accuracy": finished.test_accuracy,
        "weights": None if finished.weights is None else dict(finished.weights),
    }


def _restored(leg: Leg, plain: Mapping[str, Any]) -> Finished:
    outcome = restored_outcome(plain["outcome"])
    return Finished(leg, outcome, plain["test_accuracy"], plain["weights"])
