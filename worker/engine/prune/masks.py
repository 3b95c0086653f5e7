"""Zeros in place of weights: nothing gets smaller or faster, but the zeros are exact and stay.

Shapes: O outputs (filters), I inputs, G groups of M weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from worker.engine.errors import NotPrunable
from worker.engine.seeds import generator

Masks = Mapping[str, Tensor]
"""By the name of a weight: true where it stays."""
MaskImportance = Literal["magnitude", "random"]
_GONE: Final = -1.0  # below every importance: what is zero already goes first


def maskable(module: nn.Module, ignored_layers: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the weights of convolutions and linear layers, but not of ignored ones (by name or
    glob). Raises `NotPrunable` if there are none, or for a pattern that means no layer."""
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd)
    }
    for pattern in ignored_layers:
        if not any(_within(name, pattern) for name in layers):
            raise NotPrunable(
                f"there is no layer {pattern!r} to ignore",
                hint="Mend `ignored_layers`: convolutions and linear layers of the model.",
            )
    names = tuple(
        f"{name}.weight" if name else "weight"
        for name in layers
        if not any(_within(name, pattern) for pattern in ignored_layers)
    )
    if not names:
        raise NotPrunable("there is no convolution or linear layer to prune")
    return names


def weight_masks(
    module: nn.Module,
    names: Sequence[str],
    sparsity: float,
    *,
    importance: MaskImportance = "magnitude",
    is_global: bool = True,
    seed: int = 0,
    held: Masks | None = None,
) -> dict[str, Tensor]:
    """Masks with the least important weights false: `sparsity` of all named weights together, or
    of each tensor, to the nearest weight. What `held` has false stays false."""
    _check(sparsity)
    scores = {
        name: _scores(name, module.get_parameter(name), importance, seed, (held or {}).get(name))
        for name in names
    }
    if not is_global:
        return {name: _lowest_false(score, sparsity) for name, score in scores.items()}
    flat = torch.cat([score.reshape(-1) for score in scores.values()])
    parts = torch.split(_lowest_false(flat, sparsity), [s.numel() for s in scores.values()])
    return {name: part.reshape(scores[name].shape) for name, part in zip(names, parts, strict=True)}


def n_m_masks(module: nn.Module, names: Sequence[str], n: int, m: int) -> dict[str, Tensor]:
    """The `n` largest of every `m` consecutive inputs stay (Mishra et al. 2021, arXiv:2104.08378).

    Layers whose inputs are no multiple of `m` are left out. Raises `NotPrunable` if all are.
    """
    if not 0 < n < m:
        raise ValueError(f"n must be in [1, m), got {n}:{m}")
    masks = {}
    for name in names:
        weight = module.get_parameter(name).detach()
        if weight.shape[1] % m:
            continue
        rows = weight.abs().movedim(1, -1).contiguous()
        groups_GM = rows.reshape(-1, m)
        best_GN = groups_GM.topk(n, dim=1).indices
        mask_GM = torch.zeros_like(groups_GM, dtype=torch.bool).scatter_(1, best_GN, True)
        masks[name] = mask_GM.reshape(rows.shape).movedim(-1, 1).contiguous()
    if not masks:
        raise NotPrunable(
            f"no layer has a multiple of {m} inputs for {n}:{m} sparsity, nor has {names[0]}",
            hint="Choose an `m` that divides the inputs of a layer.",
        )
    return masks


def filter_masks(module: nn.Module, names: Sequence[str], ratio: float) -> dict[str, Tensor]:
    """In each layer the filters with the smallest L2 norm are false, `ratio` of them.

    Raises `NotPrunable` naming a layer of which none would be left.
    """
    _check(ratio)
    masks = {}
    for name in names:
        weight = module.get_parameter(name).detach()
        norms_O = weight.flatten(1).norm(dim=1)
        stays_O = _lowest_false(norms_O, ratio)
        if not stays_O.any():
            raise NotPrunable(f"a ratio of {ratio:g} leaves no filter of {name}")
        masks[name] = (
            stays_O.reshape(-1, *[1] * (weight.ndim - 1)).expand(weight.shape).contiguous()
        )
    return masks


@torch.no_grad()
def apply_masks(module: nn.Module, masks: Masks) -> None:
    """Write the zeros into the weights, on whatever device they are."""
    for name, mask in masks.items():
        parameter = module.get_parameter(name)
        parameter.masked_fill_(~mask.to(parameter.device), 0)


@contextmanager
def keep_masks(module: nn.Module, masks: Masks) -> Iterator[None]:
    """While this is open, every optimizer step in the process leaves the zeros of `module` zero."""

    here = dict(masks)

    def restore(optimizer: torch.optim.Optimizer, *call: Any) -> None:
        # Training moves the module to its device after this was opened; masks follow it once.
        for name, mask in here.items():
            here[name] = mask.to(module.get_parameter(name).device)
        apply_masks(module, here)

    handle = register_optimizer_step_post_hook(restore)
    try:
        yield
    finally:
        handle.remove()


def held_masks(module: nn.Module, names: Sequence[str]) -> dict[str, Tensor]:
    """The masks of the weights that are not zero now."""
    return {name: module.get_parameter(name).detach() != 0 for name in names}


def sparsity_of(module: nn.Module, names: Sequence[str]) -> float:
    """The share of zeros among the named weights."""
    weights = [module.get_parameter(name) for name in names]
    total = sum(weight.numel() for weight in weights)
    return 1 - sum(int(weight.count_nonzero()) for weight in weights) / total


def _scores(
    name: str, weight: Tensor, importance: MaskImportance, seed: int, held: Tensor | None
) -> Tensor:
    # Contiguous: flattening a channels-last weight as a view is refused, and must not reorder it.
    magnitude = weight.detach().abs().contiguous()
    score = magnitude
    if importance == "random":
        draw = generator(seed, "mask", name)
        score = torch.rand(weight.shape, generator=draw).to(weight.device)
    return score if held is None else score.masked_fill(~held.to(score.device), _GONE)


def _lowest_false(scores: Tensor, share: float) -> Tensor:
    flat = scores.reshape(-1)
    gone = flat.topk(round(share * flat.numel()), largest=False, sorted=False).indices
    return torch.ones_like(flat, dtype=torch.bool).index_fill_(0, gone, False).reshape(scores.shape)


def _check(share: float) -> None:
    if not 0 <= share < 1:
        raise ValueError(f"sparsity must be in [0, 1), got {share}")


def _within(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
