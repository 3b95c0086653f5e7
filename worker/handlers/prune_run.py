"""The work of a `prune` job: cut, repair, train, in one step or several."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, assert_never

from torch import Tensor, nn

from service.contract.prune import PruneSpec, StructuredMethod
from service.contract.prune_result import StageName, StepResult
from service.contract.training import TrainingSpec
from worker.engine.data.split import Data
from worker.engine.measure.size import nonzero_parameters
from worker.engine.models.config import ModelConfig
from worker.engine.models.folder import LoadedModel
from worker.engine.prune.adaptive import Sensitivity
from worker.engine.prune.cuts import Cut
from worker.engine.prune.masks import Masks, sparsity_of
from worker.engine.prune.pruner import Pruned, Pruner, make_pruner
from worker.engine.prune.recalibrate import recalibrate
from worker.engine.prune.recipe import Recipe
from worker.engine.prune.regularise import regularised
from worker.engine.prune.repair import Mentor, finetune
from worker.engine.prune.schedule import levels, step_ratio
from worker.engine.prune.structured import trace
from worker.engine.train.loop import FitOutcome
from worker.handlers.common import Job
from worker.handlers.prune_sensitivity import known_sensitivity

Weights = Mapping[str, Tensor]


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
    def pruner(self) -> Pruner:
        """Prunes what there is to start from; tracing and scanning happen here."""
        start = self._sparsified() if self.spec.sparsify is not None else self.original.module
        self.job.observer.on_phase("tracing")
        return self._pruner_of(start, None, known_sensitivity(self.job))

    def _sparsified(self) -> nn.Module:
        """A copy of the original, its weak channels made weaker by training."""
        penalty = self.spec.sparsify
        assert penalty is not None
        self.job.observer.on_phase("sparsifying")
        module = copy.deepcopy(self.original.module)
        method = self.spec.method
        groups = trace(module, self.data.input_size, tuple(method.ignored_layers)).groups
        with regularised(module, groups, kind=penalty.name, strength=penalty.strength):
            self._fit(Pruned(module), {"epochs": penalty.epochs, "warmup_epochs": 0}, False)
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

    def make(self, final: float, *, is_only: bool = True) -> Candidate:
        """Cut, repair and train, step by step. Only the last training of a job's only candidate
        is checkpointed and resumed: what comes before it is done again, with the same result."""
        steps: list[StepResult] = []
        outcomes: list[FitOutcome] = []
        cuts: list[tuple[Cut, ...]] = []
        module, masks, before = self.original.module, None, 0.0
        asked = self.amounts(final)
        for number, level in enumerate(asked, start=1):
            pruner = self.pruner if number == 1 else self._pruner_of(module, masks)
            self.job.observer.on_phase("pruning" if len(asked) == 1 else f"pruning, step {number}")
            is_structured = isinstance(self.spec.method, StructuredMethod)
            pruned = pruner.prune(step_ratio(before, level) if is_structured else level)
            stages = self._repair(pruned)
            is_last = number == len(asked)
            outcomes += self._train(pruned, is_last, is_last and is_only)
            module, masks, before = pruned.module, pruned.masks, level
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
            self._fit(pruned, {"epochs": epochs, "scheduler": "constant", "milestones": ()}, False)
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

    def _train(self, pruned: Pruned, is_last: bool, is_kept: bool) -> list[FitOutcome]:
        if self.spec.finetune is None:
            return []
        if is_last:
            return [self._fit(pruned, {}, is_kept)]
        short = {"epochs": self.spec.schedule.epochs_per_step, "warmup_epochs": 0}
        return [self._fit(pruned, short, False)]

    def _fit(self, pruned: Pruned, changed: Mapping[str, Any], is_kept: bool) -> FitOutcome:
        tuning = self.spec.finetune
        assert tuning is not None
        training = TrainingSpec.model_validate(
            {name: getattr(tuning, name) for name in TrainingSpec.model_fields} | dict(changed)
        )
        options = self.job.fit_options(training)
        if not is_kept:
            options["checkpoint_dir"] = options["resume_from"] = None
        mentor = None
        if tuning.teacher == "original":
            # A copy: a teacher is frozen where it stands.
            before = copy.deepcopy(self.original.module)
            mentor = Mentor(before, tuning.temperature, tuning.alpha)
        mean, std = self.config.mean, self.config.std
        outcome = finetune(pruned, mentor, self.data, mean=mean, std=std, **options)
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
        held: Masks | None,
        measured: tuple[Sensitivity, ...] | None = None,
    ) -> Pruner:
        return make_pruner(
            module.to("cpu"),
            recipe_of(self.spec),
            self.data,
            mean=self.config.mean,
            std=self.config.std,
            device=self.job.device,
            held=held,
            measured=measured,
        )


def recipe_of(spec: PruneSpec) -> Recipe:
    """A spec in the engine's words."""
    method = spec.method
    base = Recipe(
        method=method.name,
        allocation=spec.allocation,
        ignored_layers=tuple(method.ignored_layers),
        seed=spec.seed,
    )
    match method.name:
        case "structured":
            return replace(
                base,
                importance=method.importance,
                layer_ratios=dict(method.layer_ratios),
                max_pruning_ratio=method.max_pruning_ratio,
                round_to=method.round_to,
                # A search asks for amounts that nobody named: small layers must not end it.
                keep_one=spec.targets is not None,
            )
        case "unstructured":
            return replace(base, importance=method.importance)
        case "n_m":
            return replace(base, n=method.n, m=method.m)
        case "structured_mask":
            return base
        case _:
            assert_never(method)


def with_weights(module: nn.Module, weights: Weights) -> nn.Module:
    """A copy of the module with other weights."""
    other = copy.deepcopy(module).to("cpu")
    other.load_state_dict(weights)
    return other.eval()


def _snapshot(module: nn.Module) -> Weights:
    return {name: t.detach().to("cpu", copy=True) for name, t in module.state_dict().items()}
