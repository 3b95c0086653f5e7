"""From the units that groups keep to cuts, or to zeros in the same places."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from worker.engine.errors import NotPrunable
from worker.engine.prune.cuts import ChannelMap, Cut, Place
from worker.engine.prune.graph import Group, Member


def cuts_for(groups: Sequence[Group], kept: Sequence[Tensor]) -> tuple[Cut, ...]:
    """Every axis that loses something; those that keep the same indices make one cut.

    `kept` holds the kept units of each group. Raises `NotPrunable` naming a tensor that would
    lose all.
    """
    removed: dict[tuple[str, int | str], Tensor] = {}
    for member, indices in _removed(groups, kept):
        flags = removed.setdefault(
            (member.name, member.axis), torch.zeros(member.size, dtype=torch.bool)
        )
        flags[indices] = True
    together: dict[tuple[tuple[int, ...], int], list[Place]] = {}
    for (name, axis), flags in removed.items():
        left = tuple((~flags).nonzero().flatten().tolist())
        if not left:
            raise NotPrunable(f"nothing would be left of {name}")
        together.setdefault((left, len(flags)), []).append(Place(name, axis))
    return tuple(Cut(left, of, tuple(places)) for (left, of), places in together.items())


@torch.no_grad()
def zero_out(module: nn.Module, groups: Sequence[Group], kept: Sequence[Tensor]) -> None:
    """Zero, in place, every slice that `cuts_for` would remove."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for member, indices in _removed(groups, kept):
        if isinstance(member.axis, int):
            tensors[member.name].index_fill_(member.axis, indices, 0)
        elif member.axis == "out":
            layer = module.get_submodule(member.name)
            assert isinstance(layer, ChannelMap)
            for index in indices.tolist():
                layer.sources[index] = -1


def _removed(groups: Sequence[Group], kept: Sequence[Tensor]) -> Iterator[tuple[Member, Tensor]]:
    for group, units in zip(groups, kept, strict=True):
        gone = torch.ones(int(group.units.max()) + 1, dtype=torch.bool)
        gone[group.units[units].flatten()] = False
        for member in group.members:
            indices = member.indices[gone[member.roots]]
            if len(indices):
                yield member, indices
