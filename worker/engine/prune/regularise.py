"""Training that makes some channels small before they are cut. Shapes: U units of a group.

To the gradient of every slice w of a unit k comes strength · γ_k · w: an L2 penalty of the unit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, assert_never

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from worker.engine.prune.graph import Group
from worker.engine.prune.importance import importance

Regulariser = Literal["group_norm", "growing_reg"]
_STEEPNESS: Final = 4.0


@contextmanager
def regularised(
    module: nn.Module,
    groups: Sequence[Group],
    *,
    kind: Regulariser = "group_norm",
    strength: float = 1e-4,
    steps_per_update: int = 100,
) -> Iterator[None]:
    """While this is open, every optimizer step in the process shrinks the weaker units of `module`.

    With s from 0 for the strongest unit of a group to 1 for the weakest, `group_norm` has
    γ = 2^(4s) (Fang et al. 2023, arXiv:2301.12900), and `growing_reg` adds s to γ at every update
    (Wang et al. 2021, arXiv:2012.09243). Strengths are looked at anew every `steps_per_update`.
    """
    if strength < 0:
        raise ValueError(f"strength must not be negative, got {strength}")
    gammas = [torch.zeros(group.size) for group in groups]
    penalties: dict[str, Tensor] = {}
    steps = 0

    def add_gradients(optimizer: torch.optim.Optimizer, *call: Any) -> None:
        nonlocal steps
        if steps % steps_per_update == 0:
            _update(gammas, _weakness(module, groups), kind)
            penalties.update(_by_tensor(module, groups, gammas, strength))
        steps += 1
        for name, factors in penalties.items():
            parameter = module.get_parameter(name)
            if parameter.grad is not None:
                parameter.grad.addcmul_(factors, parameter.detach())

    handle = register_optimizer_step_pre_hook(add_gradients)
    try:
        yield
    finally:
        handle.remove()


def _weakness(module: nn.Module, groups: Sequence[Group]) -> list[Tensor]:
    scores = importance(module, tuple(groups), "magnitude")
    spans = [(score_U.max() - score_U.min()).clamp_min(1e-12) for score_U in scores]
    return [(score_U.max() - score_U) / span for score_U, span in zip(scores, spans, strict=True)]


def _update(gammas: list[Tensor], weak: Sequence[Tensor], kind: Regulariser) -> None:
    for index, weak_U in enumerate(weak):
        match kind:
            case "group_norm":
                gammas[index] = 2 ** (_STEEPNESS * weak_U)
            case "growing_reg":
                gammas[index] = gammas[index] + weak_U
            case _:
                assert_never(kind)


def _by_tensor(
    module: nn.Module, groups: Sequence[Group], gammas: Sequence[Tensor], strength: float
) -> dict[str, Tensor]:
    """What each weight is multiplied by, in a shape that broadcasts to it."""
    factors: dict[str, Tensor] = {}
    for group, gamma_U in zip(groups, gammas, strict=True):
        by_root = torch.zeros(int(group.units.max()) + 1)
        by_root[group.units] = gamma_U[:, None].expand(group.units.shape)
        for member in group.members:
            if member.role == "other" or not isinstance(member.axis, int):
                continue
            weight = module.get_parameter(member.name)
            along = torch.zeros(member.size)
            along[member.indices] = strength * by_root[member.roots]
            shape = [1] * weight.ndim
            shape[member.axis] = member.size
            part = along.reshape(shape).to(weight.device)
            factors[member.name] = factors[member.name] + part if member.name in factors else part
    return factors
