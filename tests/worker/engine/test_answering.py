"""The fast copy of a teacher says what the teacher says."""

import pytest
import torch
from torch import Tensor, nn

from worker.engine.device import Precision
from worker.engine.models.registry import ARCHITECTURES
from worker.engine.train.answering import Answering


def trained(architecture: str) -> nn.Module:
    """With BatchNorm statistics that are not those of a fresh model."""
    torch.manual_seed(0)
    model = ARCHITECTURES[architecture].build(10, (3, 16, 16))
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(32, 3, 16, 16) * 2 + 1)
    return model.eval()


def images(count: int) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", ["cnn_teacher", "cifar_resnet8", "mlp"])
@pytest.mark.parametrize(("precision", "share"), [("fp32", 1e-4), ("bf16", 0.1)])
def test_the_copy_s_logits_are_the_model_s(
    architecture: str, precision: Precision, share: float
) -> None:
    model, x = trained(architecture), images(100)
    with torch.no_grad():
        expected = model(x)
    answering = Answering.of(model, x[:32], precision)
    assert answering.copied is not None
    with torch.autocast("cpu", torch.bfloat16):  # of whoever asks
        found = answering(x)
    assert not found.requires_grad
    assert float((found.float() - expected).abs().max()) < share * float(expected.std()) * 4


def test_batch_norm_is_gone_from_the_copy_and_stays_in_the_model() -> None:
    model = trained("cifar_resnet8")
    answering = Answering.of(model, images(8), "fp32")
    assert answering.copied is not None
    assert not any(isinstance(m, nn.BatchNorm2d) for m in answering.copied.modules())
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules())


def test_a_model_that_cannot_be_traced_is_copied_as_it_is() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.layer(x if float(x.sum()) > 0 else -x)
            return logits

    model, x = Branches().eval(), torch.ones(2, 4)
    answering = Answering.of(model, x, "fp32")
    assert isinstance(answering.copied, Branches)
    torch.testing.assert_close(answering(-x), model(x))


def test_a_model_that_does_not_survive_rounding_is_asked_itself() -> None:
    class Cancels(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x + 1000) - 1000

    x = torch.tensor([[0.1, 0.3, 0.2, 0.4]])
    assert Answering.of(Cancels(), x, "bf16").copied is None
