"""How much a channel matters. Shapes: U units of a group, N slices of a tensor, F values of each.

Every criterion scores the slices of one tensor; a group's unit gets the mean over all tensors that
it takes part in, then all units are divided by their mean, so that layers can be ranked together.
"""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worker.engine.data.batches import Batches, Normalizer
from worker.engine.data.split import Split
from worker.engine.prune.graph import Group, Member
from worker.engine.seeds import generator

Score = Callable[[Tensor, Tensor], Tensor]
"""(weights [N, F], gradients [N, F]) -> scores [N]; gradients are zero unless they are needed."""


def l1(weights_NF: Tensor, gradients_NF: Tensor) -> Tensor:
    """Σ |w| (Li et al. 2017, arXiv:1608.08710)."""
    return weights_NF.abs().sum(1)


def l2(weights_NF: Tensor, gradients_NF: Tensor) -> Tensor:
    """Σ w², the squared norm."""
    return weights_NF.square().sum(1)


def fpgm(weights_NF: Tensor, gradients_NF: Tensor) -> Tensor:
    """Σ of the distances to all others: near the geometric median, others can stand in
    (He et al. 2019, arXiv:1811.00250)."""
    return torch.cdist(weights_NF, weights_NF).sum(1)


def taylor(weights_NF: Tensor, gradients_NF: Tensor) -> Tensor:
    """Σ |w · ∂L/∂w|: what removing costs, to first order (Molchanov et al. 2019,
    arXiv:1906.10771)."""
    return (weights_NF * gradients_NF).abs().sum(1)


def hessian(weights_NF: Tensor, gradients_NF: Tensor) -> Tensor:
    """Σ w² · h with the diagonal of the empirical Fisher matrix for h (LeCun et al. 1989);
    here the gradients are roots of mean squares."""
    return (weights_NF * gradients_NF).square().sum(1)


SCORES: Final[Mapping[str, Score]] = {
    "magnitude": l2,
    "magnitude_l1": l1,
    "bn_scale": l1,
    "lamp": l2,
    "fpgm": fpgm,
    "taylor": taylor,
    "hessian": hessian,
}
CRITERIA: Final = (*SCORES, "random")
NEEDS_GRADIENTS: Final = frozenset({"taylor", "hessian"})
_EXAMPLES: Final = 256  # whose gradients are looked at


def importance(
    module: nn.Module,
    groups: tuple[Group, ...],
    criterion: str,
    *,
    gradients: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> tuple[Tensor, ...]:
    """Scores [U] of every group's units, float32 on the CPU, mean 1 in each group.

    `bn_scale` falls back on `magnitude_l1` for a group without batch norm. `lamp` is normalised
    by what would remain (Lee et al. 2021, arXiv:2010.07611). Gradient criteria need the
    `gradients` of `mean_gradients`.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"unknown importance {criterion!r}; known: {', '.join(CRITERIA)}")
    if criterion in NEEDS_GRADIENTS and gradients is None:
        raise ValueError(f"{criterion} needs gradients")
    if criterion == "random":
        draw = generator(seed, "importance")
        return tuple(torch.rand(group.size, generator=draw) + 0.5 for group in groups)
    tensors = {name: tensor.detach() for name, tensor in module.named_parameters()}
    return tuple(_of_group(group, criterion, tensors, gradients or {}) for group in groups)


def mean_gradients(
    module: nn.Module,
    split: Split,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    criterion: str,
    device: torch.device,
) -> dict[str, Tensor]:
    """Gradients of the cross-entropy of 256 examples: their mean, or, for `hessian`, the root of
    the mean square over examples. The module moves to `device`; its own gradients are dropped."""
    few = Split(split.x[:_EXAMPLES], split.y[:_EXAMPLES])
    one_by_one = criterion == "hessian"
    normalise = Normalizer.of(mean, std, few.x, device)
    module.to(device).eval()
    sums: dict[str, Tensor] = {}
    for batch in Batches(few, 1 if one_by_one else _EXAMPLES, device):
        module.zero_grad(set_to_none=True)
        torch.autograd.backward(F.cross_entropy(module(normalise(batch.x)), batch.y))
        for name, parameter in module.named_parameters():
            if parameter.grad is not None:
                here = parameter.grad.square() if one_by_one else parameter.grad
                sums[name] = sums[name] + here if name in sums else here.clone()
    module.zero_grad(set_to_none=True)
    if one_by_one:
        return {name: (total / len(few)).sqrt() for name, total in sums.items()}
    return sums


def _of_group(
    group: Group,
    criterion: str,
    tensors: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
) -> Tensor:
    norms = [member for member in group.members if member.role == "norm"]
    weights = [member for member in group.members if member.role in ("output", "input")]
    if criterion == "bn_scale" and norms:
        scored = norms
    elif criterion == "fpgm":
        scored = weights
    else:
        scored = weights + norms
    total = torch.zeros(int(group.units.max()) + 1)
    for member in scored:
        total.index_add_(0, member.roots, _of_member(member, criterion, tensors, gradients))
    scores_U = total[group.units].mean(1) / max(len(scored), 1)
    if criterion == "lamp":
        scores_U = _lamp(scores_U)
    return scores_U / scores_U.mean().clamp_min(1e-12)


def _of_member(
    member: Member,
    criterion: str,
    tensors: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
) -> Tensor:
    assert isinstance(member.axis, int)
    weight = tensors[member.name]
    gradient = gradients.get(member.name, torch.zeros_like(weight))
    rows, slopes = (
        tensor.float().movedim(member.axis, 0).flatten(1) if tensor.ndim > 1 else tensor[:, None]
        for tensor in (weight, gradient.to(weight.device))
    )
    return SCORES[criterion](rows, slopes).cpu()[member.indices]


def _lamp(scores_U: Tensor) -> Tensor:
    """Each score over the sum of itself and all that are larger."""
    order = scores_U.argsort()
    remaining = scores_U[order].flip(0).cumsum(0).flip(0)
    return torch.empty_like(scores_U).index_put((order,), scores_U[order] / remaining)
