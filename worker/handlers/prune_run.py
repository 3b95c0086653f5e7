"""The work of a `prune` job: cut, repair, train, in one step or several."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from torch import Tensor, nn

from service.contract.prune import PruneSpec
from service.contract.prune_result import StageName, StepResult
from service.contract.training import TrainingSpec
from worker.engine.data.split import Data
from worker.engine.measure.size import nonzero_parameters
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel
from worker.engine.prune.adaptive import Sensitivity
from worker.engine.prune.allocate import NOTHING_BEFORE
from worker.engine.prune.cuts import Cut
from worker.engine.prune.masks import Masks, sparsity_of
from worker.engine.prune.pruner import Pruned, Pruner, StructuredPruner, make_pruner
from worker.engine.prune.recalibrate import recalibrate
from worker.engine.prune.recipe import Recipe
from worker.engine.prune.regularise import regularised
from worker.engine.prune.repair import Mentor, finetune
from worker.engine.prune.schedule import levels
from worker.engine.prune.structured import trace
from worker.engine.train.loop import FitOutcome
from worker.handlers.common import Job
from worker.handlers.fits import Fits
from worker.handlers.prune_recipe import recipe_of
from worker.handlers.prune_sensitivity import known_sensitivity

Weights = Mapping[str, Tensor]
_MOST_NAMES: Final = 8


@dataclass(frozen=True)
class Candidate:
    """A pruned and repaired model. `stages` are its weights straight after the last cut and after
    recalibration, where they differ from the end; `cuts` has an entry for each cut of channels."""

    amount: float
    module: nn.Module
    cuts: tuple[tuple[Cut, ...], ...]
    masks: Masks | None
    stages: Mapping[StageName, Weights]
    steps: tuple[StepResult, ...]
    outcomes: tuple[FitOutcome, ...] = ()
    is_finetuned: bool = False

    @property
    def outcome(self) -> FitOutcome | None:
        """The fine-tuning after the last cut."""
        return self.outcomes[-1] if self.is_finetuned else None


@dataclass(frozen=True)
class PruneRun:
    """A job's model, data and recipe."""

    job: Job
    spec: PruneSpec
    data: Data
    original: LoadedModel
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def fits(self) -> Fits:
        """The trainings of the job, those of an earlier attempt too."""
        return Fits(self.job, self.epochs)

    @cached_property
    def pruner(self) -> Pruner:
        """Prunes what there is to start from; tracing and scanning happen here."""
        start = self._sparsified() if self.spec.sparsify is not None else self.original.module
        self.job.observer.on_phase("tracing")
        made = self._pruner_of(start, measured=known_sensitivity(self.job))
        if isinstance(made, StructuredPruner) and made.traced.left_out:
            self.warnings.append(_left_whole(made.traced.left_out))
        return made

    def check(self) -> None:
        """Raise `NotPrunable` for an amount that cannot be, before anything is trained."""
        if self.spec.targets is not None:
            return  # the search asks for none that cannot be
        for amount in self.spec.amounts:
            self.planner.estimate(amount)

    @cached_property
    def planner(self) -> Pruner:
        """Cuts as many channels as the job will, though not the same ones where training comes
        before the cut."""
        if self.spec.sparsify is None:
            return self.pruner
        recipe = recipe_of(self.spec)
        if recipe.allocation == "adaptive":
            recipe = replace(recipe, allocation="uniform")
        return self._pruner_of(self.original.module, recipe=replace(recipe, importance="magnitude"))

    @property
    def epochs(self) -> int | None:
        """Of all trainings of the job; None where a search decides on them."""
        spec = self.spec
        if spec.finetune is None or spec.targets is not None:
            return None
        between = spec.schedule.epochs_per_step * (len(self.amounts(spec.amounts[0])) - 1)
        before = 0 if spec.sparsify is None else spec.sparsify.epochs
        return before + len(spec.amounts) * (between + spec.finetune.epochs)

    def _sparsified(self) -> nn.Module:
        """A copy of the original, its weak channels made weaker by training."""
        penalty = self.spec.sparsify
        assert penalty is not None
        self.job.observer.on_phase("sparsifying")
        module = copy.deepcopy(self.original.module)
        method = self.spec.method
        groups = trace(module, self.data.input_size, tuple(method.ignored_layers)).groups
        with regularised(module, groups, kind=penalty.name, strength=penalty.strength):
            short = {"epochs": penalty.epochs, "warmup_epochs": 0}
            self._fit("sparsify", Pruned(module), short)
        return module.to("cpu")

    @property
    def config(self) -> ModelConfig:
        """The original's."""
        return self.original.config

    def amounts(self, final: float) -> tuple[float, ...]:
        """What is gone of the original after each step of the schedule."""
        plan = self.spec.schedule
        initial = plan.initial_sparsity if plan.name != "one_shot" else 0.0
        return levels(plan.name, final, initial=initial, steps=plan.steps)

    def make(self, final: float) -> Candidate:
        """Cut, repair and train, step by step. Trainings that an earlier attempt finished are not
        done again; what lies between them is, with the same result."""
        steps: list[StepResult] = []
        outcomes: list[FitOutcome] = []
        cuts: list[tuple[Cut, ...]] = []
        pruner, masks = self.pruner, None
        module = pruner.module
        asked = self.amounts(final)
        for number, level in enumerate(asked, start=1):
            if number > 1:
                pruner = self._pruner_of(module, held=masks, before=self.pruner.sizes)
            self.job.observer.on_phase("pruning" if len(asked) == 1 else f"pruning, step {number}")
            progress = level / final if final else 1.0
            if len(asked) == 1 or pruner.can(level, progress):
                pruned = pruner.prune(level, progress)
            else:  # a step of less than one more channel
                pruned = Pruned(copy.deepcopy(pruner.module).to("cpu").eval())
            stages = self._repair(pruned)
            outcomes += self._train(pruned, is_last=number == len(asked))
            module, masks = pruned.module, pruned.masks
            cuts += [pruned.cuts] if pruned.cuts else []
            steps.append(self._step(number, level, pruned))
        return Candidate(
            amount=asked[-1],
            module=module.to("cpu"),
            cuts=tuple(cuts),
            masks=masks,
            stages=stages,
            steps=tuple(steps),
            outcomes=tuple(outcomes),
            is_finetuned=self.spec.finetune is not None,
        )

    def config_after(self, amount: float, cuts: Sequence[tuple[Cut, ...]]) -> ModelConfig:
        """The config of a pruned model: the indices of every cut. Masks leave none: their zeros
        are in the weights."""
        method = self.spec.method
        told = method.model_dump(mode="json", exclude_defaults=True)
        step: dict[str, Any] = {"kind": "prune"}
        step["method"] = {**told, "name": method.name, "amount": amount}
        steps = [{**step, "cuts": [cut.to_json() for cut in one]} for one in cuts if one] or [step]
        compression = (*self.config.compression, *steps)
        return replace(self.config, compression=compression)

    def accuracy(self, module: nn.Module) -> float:
        """On the validation split."""
        seen, _ = self.job.evaluate(LoadedModel(module, self.config), self.data.validation)
        return seen.accuracy

    def recover(self, pruned: Pruned, epochs: int) -> nn.Module:
        """A short repair, to judge a candidate by: recalibrated, trained for a few epochs."""
        self._repair(pruned)
        if self.spec.finetune is not None and epochs:
            short = {"epochs": epochs, "scheduler": "constant", "milestones": ()}
            self._fit("recovery", pruned, short)
        return pruned.module

    def _repair(self, pruned: Pruned) -> dict[StageName, Weights]:
        stages: dict[StageName, Weights] = {"cut": _snapshot(pruned.module)}
        if self.spec.recalibrate:
            self.job.observer.on_phase("recalibrating")
            config = self.config
            if recalibrate(
                pruned.module,
                self.data.train,
                config.mean,
                config.std,
                device=self.job.device,
                seed=self.spec.seed,
            ):
                stages["recalibrated"] = _snapshot(pruned.module)
        return stages

    def _train(self, pruned: Pruned, *, is_last: bool) -> list[FitOutcome]:
        if self.spec.finetune is None:
            return []
        if is_last:
            return [self._fit("finetune", pruned, {})]
        short = {"epochs": self.spec.schedule.epochs_per_step, "warmup_epochs": 0}
        return [self._fit("step", pruned, short)]

    def _fit(self, purpose: str, pruned: Pruned, changed: Mapping[str, Any]) -> FitOutcome:
        tuning = self.spec.finetune
        assert tuning is not None
        training = TrainingSpec.model_validate(
            {name: getattr(tuning, name) for name in TrainingSpec.model_fields} | dict(changed)
        )
        mentor = None
        if tuning.teacher == "original":
            # A copy: a teacher is frozen where it stands.
            before = copy.deepcopy(self.original.module)
            mentor = Mentor(before, tuning.temperature, tuning.alpha)
        mean, std = self.config.mean, self.config.std
        outcome = self.fits.run(
            pruned.module,
            {"purpose": purpose, "training": training.model_dump(mode="json")},
            self.job.fit_options(training),
            lambda own: finetune(pruned, mentor, self.data, mean=mean, std=std, **own),
        )
        self.warnings.extend(outcome.warnings)
        return outcome

    def _step(self, number: int, asked: float, pruned: Pruned) -> StepResult:
        if pruned.masks is not None:
            sparsity = sparsity_of(pruned.module, tuple(pruned.masks))
        else:
            left = nonzero_parameters(pruned.module)
            sparsity = max(1 - left / nonzero_parameters(self.original.module), 0.0)
        accuracy = self.accuracy(pruned.module)
        return StepResult(step=number, asked=asked, sparsity=sparsity, validation_accuracy=accuracy)

    def _pruner_of(
        self,
        module: nn.Module,
        *,
        recipe: Recipe | None = None,
        held: Masks | None = None,
        measured: tuple[Sensitivity, ...] | None = None,
        before: Mapping[str, int] = NOTHING_BEFORE,
    ) -> Pruner:
        return make_pruner(
            module.to("cpu"),
            recipe or recipe_of(self.spec),
            self.data,
            mean=self.config.mean,
            std=self.config.std,
            device=self.job.device,
            held=held,
            measured=measured,
            before=before,
        )


def with_weights(module: nn.Module, weights: Weights) -> nn.Module:
    """A copy of the module with other weights."""
    other = copy.deepcopy(module).to("cpu")
    other.load_state_dict(weights)
    return other.eval()


def _left_whole(layers: Sequence[str]) -> str:
    told = ", ".join(layers[:_MOST_NAMES])
    more = len(layers) - _MOST_NAMES
    return f"left whole, since not all that reads their channels can be followed: {told}" + (
        f" and {more} more" if more > 0 else ""
    )


def _snapshot(module: nn.Module) -> Weights:
    return {name: t.detach().to("cpu", copy=True) for name, t in module.state_dict().items()}
