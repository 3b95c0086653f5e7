"""Activation checkpointing changes what is kept, not what comes out."""

import pytest
import torch
from torch import Tensor, nn

from worker.engine.data.split import Data
from worker.engine.models.registry import ARCHITECTURES
from worker.engine.train.loop import fit
from worker.engine.train.stages import checkpointed


def built(architecture: str) -> nn.Module:
    torch.manual_seed(0)
    return ARCHITECTURES[architecture].build(3, (3, 8, 8)).train()


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    torch.manual_seed(5)  # for dropout
    model(x).square().sum().backward()
    found = [p.grad for p in model.parameters()]
    return [grad for grad in found if grad is not None]


@pytest.mark.parametrize("architecture", ["cnn_teacher", "cnn_student", "cifar_resnet8", "mlp"])
def test_gradients_and_statistics_are_those_of_the_plain_model(architecture: str) -> None:
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    plain, saving = built(architecture), built(architecture)
    expected = gradients(plain, x)
    with checkpointed(saving):
        found = gradients(saving, x)
    assert len(found) == len(expected) > 0
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, saving.state_dict()[name]), name


def test_less_is_kept_for_the_backward_pass() -> None:
    def kept(model: nn.Module) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(torch.ones(4, 3, 8, 8))
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        return sum(size for at, size in sizes.items() if at not in weights)

    model = built("cnn_teacher")
    plain = kept(model)
    with checkpointed(model):
        assert kept(model) < 0.5 * plain


def test_the_model_is_as_it_was_afterwards() -> None:
    model = built("cifar_resnet8")
    with checkpointed(model):
        assert any("forward" in vars(module) for module in model.modules())
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_run_ends_with_the_same_weights(data: Data) -> None:
    def trained(saves: bool) -> dict[str, Tensor]:
        model = built("cnn_teacher")
        fit(
            model, data, mean=(0.4,) * 3, std=(0.2,) * 3, epochs=1, batch_size=16, device="cpu",
            activation_checkpointing=saves,
        )  # fmt: skip
        return model.state_dict()

    plain, saving = trained(False), trained(True)
    assert all(torch.equal(tensor, saving[name]) for name, tensor in plain.items())
