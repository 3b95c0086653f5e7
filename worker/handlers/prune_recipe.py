"""What a `prune` spec asks for, in the engine's words."""

from dataclasses import replace
from typing import assert_never

from service.contract.prune import PruneSpec
from worker.engine.prune.recipe import Recipe


def recipe_of(spec: PruneSpec) -> Recipe:
    """Everything but the amount."""
    method = spec.method
    base = Recipe(
        method=method.name,
        allocation=spec.allocation,
        ignored_layers=tuple(method.ignored_layers),
        seed=spec.seed,
    )
    match method.name:
        case "structured":
            return replace(
                base,
                importance=method.importance,
                layer_ratios=dict(method.layer_ratios),
                max_pruning_ratio=method.max_pruning_ratio,
                round_to=method.round_to,
                # A search asks for amounts that nobody named: small layers must not end it.
                keep_one=spec.targets is not None,
            )
        case "unstructured":
            return replace(base, importance=method.importance)
        case "n_m":
            return replace(base, n=method.n, m=method.m)
        case "structured_mask":
            return base
        case _:
            assert_never(method)
