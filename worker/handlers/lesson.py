"""What a distillation trains, and from whom: the spec in the engine's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from service.contract.distill import DistillSpec, LogitsSource, TeacherSpec
from service.contract.losses import AnyLoss, FeatureLossBase, LossBase, mix_weights
from worker.engine.data.split import Data
from worker.engine.distill.distill import distill
from worker.engine.distill.objective import Term
from worker.engine.distill.teachers import Teacher
from worker.engine.models.features import LayerPair
from worker.engine.models.folder import LoadedModel
from worker.engine.train.loop import FitOutcome, fit
from worker.engine.train.settings import FitOptions
from worker.handlers.campaign import Leg
from worker.handlers.common import Job, check_fits
from worker.handlers.underfit import UnderfitWatch
from worker.order import TEACHER_LOGITS, ModelInput, ProducedFile


@dataclass(frozen=True)
class LoadedTeacher:
    """A teacher of the spec, and where it came from."""

    spec: TeacherSpec
    source: ModelInput
    loaded: LoadedModel

    def for_engine(self, logits_file: Path | None) -> Teacher:
        """Its logits are read from `logits_file`, or left there."""
        config = self.loaded.config
        return Teacher(
            self.loaded.module,
            config.mean,
            config.std,
            self.spec.weight,
            logits_file,
            self.source.sha256,
        )


def load_teacher(job: Job, spec: TeacherSpec, data: Data) -> LoadedTeacher:
    """Raises IncompatibleDataset unless it takes the data."""
    loaded = job.load(spec.model)
    check_fits(loaded.config, data)
    return LoadedTeacher(spec, job.input(spec.model), loaded)


def legs(spec: DistillSpec) -> list[Leg]:
    """For each seed its rounds, then its control."""
    made = []
    for seed in spec.all_seeds:
        made += [Leg(seed, round=number + 1) for number in range(spec.rounds)]
        if spec.control:
            made.append(Leg(seed, "control"))
    return made


@dataclass(frozen=True)
class Lesson:
    """Trains the legs of a distillation."""

    job: Job
    spec: DistillSpec
    data: Data
    teachers: Sequence[LoadedTeacher]
    watch: UnderfitWatch

    def train(
        self, leg: Leg, previous: Mapping[str, Tensor] | None, options: FitOptions
    ) -> tuple[LoadedModel, FitOutcome]:
        """`previous` are the weights of the student of the round before: the teacher of this."""
        student = self.job.start_from(self.spec.student, self.data, leg.seed)
        mean, std = student.config.mean, student.config.std
        if self.spec.views:
            options["views"] = self.spec.views
        if leg.role == "control":
            outcome = fit(student.module, self.data, mean=mean, std=std, **options)
            return student, outcome
        options["observer"] = self.watch.over(options["observer"])
        weights = mix_weights(self.spec.losses, self.spec.training.epochs)
        outcome = distill(
            student.module,
            self._teachers(leg, previous),
            self.data,
            student_mean=mean,
            student_std=std,
            losses=[
                term_of(loss, weight)
                for loss, weight in zip(self.spec.losses, weights.soft, strict=True)
            ],
            hard_weight=weights.hard,
            teacher_mode=self.spec.teacher_mode,
            **options,
        )
        return student, outcome

    def _teachers(self, leg: Leg, previous: Mapping[str, Tensor] | None) -> list[Teacher]:
        if previous is None:
            return [teacher.for_engine(self.logits_file(teacher)) for teacher in self.teachers]
        born = self.job.start_from(self.spec.student, self.data, leg.seed)
        born.module.load_state_dict(previous)
        return [Teacher(born.module, born.config.mean, born.config.std)]

    def logits_file(self, teacher: LoadedTeacher) -> Path | None:
        """Where the logits of a teacher lie or will lie; None where they cannot be known."""
        asked = self.job.order.teacher_logits.get(teacher.spec.model)
        if asked is None:
            return None
        if asked.path is not None:
            return self.job.folder / asked.path
        return self.job.folder / asked.name

    def computed_logits(self) -> tuple[ProducedFile, ...]:
        """The files of logits that were not there before the job."""
        return tuple(
            ProducedFile(
                name=asked.name,
                kind=TEACHER_LOGITS,
                media_type="application/octet-stream",
                path=asked.name,
            )
            for asked in self.job.order.teacher_logits.values()
            if (self.job.folder / asked.name).exists()
        )

    def source_of_logits(self) -> LogitsSource:
        """How the teachers were listened to."""
        orders = [self.job.order.teacher_logits.get(one.spec.model) for one in self.teachers]
        if self.computed_logits():
            return "computed"
        return "reused" if all(one is not None and one.path for one in orders) else "live"


def term_of(loss: AnyLoss, weight: Sequence[float]) -> Term:
    base = FeatureLossBase if isinstance(loss, FeatureLossBase) else LossBase
    layers = loss.layers if isinstance(loss, FeatureLossBase) else None
    return Term(
        loss.name,
        # What is not common to losses of this sort are the engine's keywords; a test holds them
        # together.
        options=loss.model_dump(exclude={"name", *base.model_fields}),
        weight=weight,
        scale=loss.scale if isinstance(loss, FeatureLossBase) else 1.0,
        layers=None
        if layers is None
        else tuple(LayerPair(pair.student, pair.teacher) for pair in layers),
    )
