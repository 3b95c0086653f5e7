"""Distillation: what a student is charged for, which teachers it hears, and when they are asked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax
from torch import nn

from tests.worker.engine.conftest import MakeData
from tests.worker.engine.recorder import Recorder
from worker.engine.data.batches import Batch
from worker.engine.data.split import Data, Split
from worker.engine.data.views import view
from worker.engine.distill.distill import distill
from worker.engine.distill.losses import LOSSES, FeatureLoss
from worker.engine.distill.objective import Distillation, Term
from worker.engine.distill.teachers import KnownTeachers, Teacher, combined
from worker.engine.errors import IncompatibleModels, Stopped
from worker.engine.models.features import LayerPair
from worker.engine.train.loop import FitOutcome
from worker.engine.train.settings import FitOptions

MEAN, STD = (0.4, 0.4, 0.4), (0.2, 0.2, 0.2)


class Net(nn.Module):
    """Two stages of maps; counts how often it was asked."""

    def __init__(self, width: int = 4, classes: int = 3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.first = nn.Sequential(self.stem, nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(2 * width, classes)
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        logits: torch.Tensor = self.head(self.second(self.first(images)).mean((2, 3)))
        return logits


def options(**changes: object) -> FitOptions:
    base = FitOptions(epochs=2, batch_size=16, learning_rate=1e-2, seed=3, device="cpu")
    base.update(changes)  # type: ignore[typeddict-item]
    return base


def run(
    student: nn.Module,
    teachers: list[nn.Module],
    data: Data,
    terms: tuple[Term, ...] = (Term("kd"),),
    *,
    hard_weight: float = 0.3,
    files: list[Path] | None = None,
    **changes: object,
) -> FitOutcome:
    return distill(
        student,
        [
            Teacher(t, MEAN, STD, logits_file=None if files is None else files[i], digest=f"t{i}")
            for i, t in enumerate(teachers)
        ],
        data,
        student_mean=MEAN,
        student_std=STD,
        losses=terms,
        hard_weight=hard_weight,
        **options(**changes),
    )


def test_a_mix_weighs_the_labels_and_each_loss() -> None:
    rng = np.random.default_rng(3)
    student, teacher = rng.normal(size=(2, 8, 4))
    labels = np.arange(8) % 4
    hard = -log_softmax(student, axis=1)[np.arange(8), labels].mean()
    p, q = softmax(teacher / 2, axis=1), softmax(student / 2, axis=1)
    kd = 4 * rel_entr(p, q).sum(axis=1).mean()
    mse = np.mean((student - teacher) ** 2)
    objective = Distillation(
        [
            Term("kd", {"temperature": 2.0}, weight=0.5),
            Term("mse", {"scale": 1.0}, weight=0.2, scale=10.0),
        ],
        KnownTeachers(torch.tensor(teacher)[None]),
        hard_weight=[0.3, 0.6],
    )
    batch = Batch(torch.zeros(8, 1), torch.tensor(labels), torch.arange(8))
    objective.start_epoch(0, 2)
    loss = objective(torch.tensor(student), batch, batch.x)
    terms = {name: value.item() for name, value in loss.terms.items()}
    expected = {
        "hard": hard, "kd": kd, "mse": 10 * mse, "soft": (0.5 * kd + 0.2 * 10 * mse) / 0.7
    }  # fmt: skip
    assert terms == pytest.approx(expected, rel=1e-5)
    assert loss.total.item() == pytest.approx(0.3 * hard + 0.5 * kd + 2 * mse, rel=1e-5)
    objective.start_epoch(1, 2)
    later = objective(torch.tensor(student), batch, batch.x)
    assert later.total.item() == pytest.approx(0.6 * hard + 0.5 * kd + 2 * mse, rel=1e-5)


def test_teachers_average_by_weight_or_speak_for_what_they_know_best() -> None:
    one = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    other = torch.tensor([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]])
    labels = torch.tensor([0, 1, -1])
    mean = combined([one, other], [3.0, 1.0], "average", labels)
    assert mean.tolist() == [[3.0, 0.5]] * 3
    best = combined([one, other], [3.0, 1.0], "best_per_sample", labels)
    assert best.tolist() == [[4.0, 0.0], [0.0, 2.0], [4.0, 0.0]]


def test_a_distillation_reports_its_terms_and_leaves_the_teacher_alone(data: Data) -> None:
    teacher = Net(8)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    outcome = run(Net(), [teacher], data, hard_weight=0.3)
    for record in outcome.history:
        assert set(record.losses) == {"total", "hard", "soft"}
        mixed = 0.3 * record.losses["hard"] + 0.7 * record.losses["soft"]
        assert record.losses["total"] == pytest.approx(mixed, rel=1e-4)
    assert all(torch.equal(t, before[n]) for n, t in teacher.state_dict().items())
    assert not teacher.training


def test_teacher_and_student_must_agree_on_classes(data: Data) -> None:
    with pytest.raises(IncompatibleModels, match="4"):
        run(Net(), [Net(classes=4)], data)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_a_student(data: Data, name: str) -> None:
    student, teacher = Net(), Net(8, seed=1)
    before = student.stem.weight.detach().clone()
    term = Term(name, layers=(LayerPair("first", "first"), LayerPair("second", "second")))
    outcome = run(student, [teacher], data, (term,), hard_weight=0.0)
    assert outcome.history[-1].losses["soft"] < outcome.history[0].losses["soft"]
    assert not torch.equal(student.stem.weight, before)
    assert not any(module._forward_hooks for net in (student, teacher) for module in net.modules())


def test_layers_are_paired_without_being_named(data: Data) -> None:
    terms = (Term("kd", weight=0.5), Term("fitnet", weight=0.2))
    losses = run(Net(), [Net(8)], data, terms).history[0].losses
    assert set(losses) == {"total", "hard", "soft", "kd", "fitnet"}


def test_a_layer_that_is_not_there_is_named(data: Data) -> None:
    term = Term("fitnet", layers=(LayerPair("first", "third"),))
    with pytest.raises(IncompatibleModels, match="third"):
        run(Net(), [Net(8)], data, (term,))


def test_an_unknown_option_is_the_callers_mistake(data: Data) -> None:
    with pytest.raises(ValueError, match="heat"):
        run(Net(), [Net()], data, (Term("kd", {"heat": 2.0}),))


def test_the_teacher_is_asked_once_where_images_do_not_change(data: Data) -> None:
    teacher = Net(8)
    run(Net(), [teacher], data, epochs=5)
    assert teacher.calls == 2  # to count its outputs, and once for all 60 examples


def test_the_teacher_is_asked_for_every_batch_where_images_change(data: Data) -> None:
    asked: list[int] = []

    class Heard(Net):
        """Heard in copies of it too; what depends on values cannot be traced."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if float(images.sum()) < float("inf"):
                asked.append(len(images))
            return super().forward(images)

    run(Net(), [Heard(8)], data, epochs=5, augmentation="flip_and_crop")
    # 60 examples in batches of 16, after one to count the outputs and 32 to check the copy with.
    assert asked == [1, 32, 32, *[16, 16, 16, 12] * 5]


def test_fixed_views_are_asked_once_each(data: Data) -> None:
    teacher = Net(8)
    run(Net(), [teacher], data, epochs=6, augmentation="flip_and_crop", views=3)
    assert teacher.calls == 1 + 3


def test_a_view_is_the_same_each_time_and_differs_from_the_next(data: Data) -> None:
    one = view(data.train, "flip_and_crop", 1)
    assert torch.equal(one.x, view(data.train, "flip_and_crop", 1).x)
    assert not torch.equal(one.x, view(data.train, "flip_and_crop", 2).x)
    assert torch.equal(one.y, data.train.y)


def test_known_views_train_as_the_live_teacher_on_them_would(data: Data) -> None:
    known, live = Net(), Net()
    run(known, [Net(8)], data, epochs=4, augmentation="flip_and_crop", views=2)
    # a loss of features keeps the teacher live; at no weight it changes nothing else
    terms = (Term("kd"), Term("fitnet", weight=0.0))
    run(live, [Net(8)], data, terms, epochs=4, augmentation="flip_and_crop", views=2)
    for one, other in zip(known.parameters(), live.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=2e-3)  # float16 logits


def test_a_file_of_logits_spares_the_next_run_the_teacher(data: Data, tmp_path: Path) -> None:
    files = [tmp_path / "logits.safetensors"]
    first, second = Net(), Net()
    run(first, [Net(8)], data, files=files)
    teacher = Net(8)
    run(second, [teacher], data, files=files)
    assert teacher.calls == 1
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )


def test_logits_of_other_images_or_a_torn_file_are_not_used(data: Data, tmp_path: Path) -> None:
    file = tmp_path / "logits.safetensors"
    run(Net(), [Net(8)], data, files=[file])
    teacher = Net(8)
    run(Net(), [teacher], data, files=[file], augmentation="flip_and_crop", views=1)
    assert teacher.calls == 2
    file.write_bytes(file.read_bytes()[:100])
    run(Net(), [teacher], data, files=[file])
    assert teacher.calls == 4


def test_examples_without_a_label_are_learnt_from_the_teacher_alone(make_data: MakeData) -> None:
    data = make_data()
    labels = data.train.y.clone()
    labels[::2] = -1
    partly = Data.of(Split(data.train.x, labels), data.validation, data.test)
    logits = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    objective = Distillation([Term("kd")], KnownTeachers(logits[None] + 1), hard_weight=0.3)
    batch = Batch(partly.train.x, partly.train.y, torch.arange(60))
    loss = objective(logits, batch, batch.x)
    labelled = -log_softmax(logits.numpy()[1::2], axis=1)[np.arange(30), labels[1::2]].sum()
    assert loss.terms["hard"].item() == pytest.approx(labelled / 60, rel=1e-5)
    assert run(Net(), [Net(8)], partly).history[-1].losses["hard"] > 0


@pytest.mark.parametrize("name", [n for n, loss in LOSSES.items() if isinstance(loss, FeatureLoss)])
def test_a_run_with_an_adapter_goes_on_as_if_it_had_never_stopped(
    data: Data, tmp_path: Path, name: str
) -> None:
    terms = (Term("kd"), Term(name, weight=0.5))
    unbroken = Net()
    run(unbroken, [Net(8)], data, terms)
    recorder = Recorder(stop_at_question=3)
    with pytest.raises(Stopped):
        run(Net(), [Net(8)], data, terms, checkpoint_dir=tmp_path, observer=recorder)
    resumed = Net(seed=9)
    run(resumed, [Net(8)], data, terms, resume_from=recorder.checkpoints[-1])
    for one, other in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
