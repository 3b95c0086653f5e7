"""Which groups can really be cut: tried before anything is promised."""

import copy
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from worker.engine.prune.cuts import apply_cuts
from worker.engine.prune.graph import Group
from worker.engine.prune.removal import cuts_for, zero_out
from worker.engine.seeds import generator

# Sums of other lengths round otherwise: relative to the largest output. A wrong index shows as a
# difference as large as what the removal itself changes.
_ROUNDING: Final = 1e-5
_SHARE: Final = 0.05


def safe_groups(
    module: nn.Module, shadow: nn.Module, groups: Sequence[Group], input_size: tuple[int, ...]
) -> tuple[Group, ...]:
    """The groups that stand two tests, made with one unit cut of each.

    The cut network must run, tried on `shadow`, a copy without weights; and where removing a unit
    is to equal zeroing it, both must give the same outputs. All groups are tried at once, and
    fewer of them only where that fails.
    """
    runs = _passing(groups, lambda some: _runs(shadow, some, input_size))
    exact = [group for group in runs if group.exact]
    example = torch.randn(1, *input_size, generator=generator(0, "prune"))
    same = _passing(exact, lambda some: _agrees(module, some, example))
    good = {group.name for group in same}
    return tuple(group for group in runs if not group.exact or group.name in good)


def _passing(
    groups: Sequence[Group],
    test: Callable[[Sequence[Group]], bool],
    beside: Sequence[Group] = (),
) -> tuple[Group, ...]:
    """Those that pass beside one another: halves are tried where the whole fails, the second half
    beside what passed of the first, since two groups may be fine alone and wrong together."""
    if not groups or test([*beside, *groups]):
        return tuple(groups)
    if len(groups) == 1:
        return ()
    middle = len(groups) // 2
    first = _passing(groups[:middle], test, beside)
    return first + _passing(groups[middle:], test, [*beside, *first])


def _one_less(groups: Sequence[Group]) -> list[Tensor]:
    # The second of three: a gap in the middle shows an index that is off by one.
    return [
        torch.tensor([i for i in range(group.size) if i != group.size // 3]) for group in groups
    ]


def _runs(shadow: nn.Module, groups: Sequence[Group], input_size: tuple[int, ...]) -> bool:
    cut = copy.deepcopy(shadow)
    example = torch.zeros(1, *input_size, device=next(cut.parameters()).device)
    # The networks are anybody's, and so is what they raise.
    try:
        apply_cuts(cut, cuts_for(groups, _one_less(groups)))
        with torch.no_grad():
            return bool(cut(example).shape == shadow(example).shape)
    except Exception:
        return False


def _agrees(module: nn.Module, groups: Sequence[Group], example: Tensor) -> bool:
    kept = _one_less(groups)
    changed = copy.deepcopy(module).to("cpu").eval()
    with torch.no_grad():
        whole = changed(example)
        zero_out(changed, groups, kept)
        zeroed = changed(example)
        apply_cuts(changed, cuts_for(groups, kept))
        cut = changed(example)
    allowed = _ROUNDING * whole.abs().max() + _SHARE * (zeroed - whole).abs().max()
    return bool((cut - zeroed).abs().max() <= allowed)
