"""What a run does where memory, precision or numbers fail it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.worker.engine.recorder import Recorder
from worker.engine.data.batches import Batch
from worker.engine.data.split import Data
from worker.engine.errors import Diverged, OutOfMemory, Stopped
from worker.engine.train.loop import FitOutcome, fit
from worker.engine.train.objective import CrossEntropy, Loss
from worker.engine.train.precision import agreed_precision

MEAN, STD = (0.4, 0.4, 0.4), (0.2, 0.2, 0.2)


class Hungry(nn.Module):
    """Runs out of memory at its `call`-th training batch, in the forward or the backward pass."""

    def __init__(self, call: int, where: str, error: type[Exception] = torch.OutOfMemoryError):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 3))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.call, self.where, self.error = call, where, error
        self.failed = 0
        self.calls: Tensor

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(x)
        if not self.training:
            return logits
        self.calls += 1
        if int(self.calls) == self.call and not self.failed:
            self.failed += 1
            if self.where == "forward":
                raise self.error("[enforce fail] DefaultCPUAllocator: can't allocate memory")
            logits.register_hook(self._fail)  # type: ignore[no-untyped-call]
        return logits

    def _fail(self, gradient: Tensor) -> Tensor:
        raise self.error("[enforce fail] DefaultCPUAllocator: can't allocate memory")


def run(model: nn.Module, data: Data, **options: object) -> FitOutcome:
    return fit(
        model, data, mean=MEAN, std=STD, epochs=5, batch_size=16, device="cpu", precision="fp32",
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("call", range(1, 21))
def test_a_step_that_runs_out_of_memory_is_taken_again_in_halves(data: Data, call: int) -> None:
    where = "forward" if call % 2 else "backward"
    plain, hungry, recorder = Hungry(0, ""), Hungry(call, where), Recorder()
    expected = run(plain, data)
    found = run(hungry, data, observer=recorder)
    assert (hungry.failed, found.micro_batches) == (1, 2)
    assert len(recorder.warnings) == len(found.warnings) == 1
    for one, other in zip(plain.parameters(), hungry.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(found.history, expected.history, strict=True):
        assert ours.losses["total"] == pytest.approx(theirs.losses["total"], rel=1e-5)
        assert ours.train_accuracy == theirs.train_accuracy
    # Its calls were counted in a buffer, which went back with the step: two for each step since.
    assert int(hungry.calls) == (call - 1) + 2 * (20 - call + 1)


def test_the_cpu_s_allocator_is_understood_too(data: Data) -> None:
    assert run(Hungry(3, "forward", RuntimeError), data).micro_batches == 2


def test_what_does_not_fit_one_example_at_a_time_is_out_of_memory(data: Data) -> None:
    class Insatiable(Hungry):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                raise torch.OutOfMemoryError("no")
            logits: Tensor = self.body(x)
            return logits

    recorder = Recorder()
    with pytest.raises(OutOfMemory):
        run(Insatiable(0, ""), data, observer=recorder)
    assert len(recorder.warnings) == 4  # 2, 4, 8 and 16 micro-batches of 16 examples


def test_a_run_that_had_to_halve_its_steps_goes_on_with_halves(data: Data, tmp_path: Path) -> None:
    unbroken = Hungry(3, "forward")
    run(unbroken, data)
    recorder = Recorder(stop_at_question=6)
    with pytest.raises(Stopped):
        run(Hungry(3, "forward"), data, checkpoint_dir=tmp_path, observer=recorder)
    resumed = Hungry(0, "")
    found = run(resumed, data, resume_from=recorder.checkpoints[-1])
    assert found.micro_batches == 2
    assert len(found.warnings) == 1
    for one, other in zip(unbroken.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


class Poisoned(CrossEntropy):
    """Not a number at the steps of that number, counted over all attempts."""

    def __init__(self, *steps: int) -> None:
        super().__init__()
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "seen", [])

    def __call__(self, logits_BK: Tensor, batch: Batch, inputs: Tensor) -> Loss:
        seen: list[int] = vars(self)["seen"]
        seen.append(len(seen) + 1)
        loss = super().__call__(logits_BK, batch, inputs)
        return Loss(loss.total * float("nan"), {}) if seen[-1] in vars(self)["steps"] else loss


def test_a_run_that_diverges_goes_back_once_to_a_tenth_of_the_rate(data: Data) -> None:
    recorder, model = Recorder(), Hungry(0, "")
    found = run(
        model, data, objective=Poisoned(7), observer=recorder, scheduler="constant",
        learning_rate=1e-2,
    )  # fmt: skip
    (warning,) = recorder.warnings
    assert warning == found.warnings[0]
    assert "step 7" in warning
    assert "step 4" in warning  # an epoch is 4 steps
    assert [r.learning_rate for r in found.history] == pytest.approx([1e-2, 1e-3, 1e-3, 1e-3, 1e-3])
    assert found.steps == 20
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_a_run_that_diverges_twice_has_diverged(data: Data) -> None:
    recorder = Recorder()
    with pytest.raises(Diverged, match="step 5, epoch 2"):
        run(Hungry(0, ""), data, objective=Poisoned(*range(7, 99)), observer=recorder)
    assert len(recorder.warnings) == 1


def test_auto_takes_fp32_where_bf16_gives_another_loss() -> None:
    cancels = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 2))
    first, second = cancels[0], cancels[1]
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    with torch.no_grad():
        first.weight.fill_(1.0)
        first.bias.fill_(1000.0)  # 1000.4 is 1000 in bf16
        second.weight.copy_(torch.tensor([[10.0], [-10.0]]))
        second.bias.copy_(torch.tensor([-10000.0, 10000.0]))
    x, y = torch.full((4, 1), 0.4), torch.ones(4, dtype=torch.int64)
    if agreed_precision("auto", nn.Linear(1, 2), x, y)[0] == "fp32":
        pytest.skip("bf16 is nothing that auto would choose here")
    precision, warning = agreed_precision("auto", cancels, x, y)
    assert precision == "fp32"
    assert warning is not None
    assert agreed_precision("bf16", cancels, x, y) == ("bf16", None)
