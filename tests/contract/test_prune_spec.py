"""What a pruning may ask for."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.contract.ids import new_id
from service.contract.prune import PruneSpec

MODEL = new_id("mdl")


def spec(**fields: Any) -> PruneSpec:
    return PruneSpec.model_validate({"model": MODEL, "dataset": "digits", **fields})


@pytest.mark.parametrize(
    ("method", "targets"),
    [
        ("unstructured", {"size_bytes": 2000}),
        ("structured_mask", {"max_accuracy_drop_points": 0}),
        ("structured", {"latency_ms": 1.5, "batch_size": 8}),
    ],
)
def test_a_kept_spec_means_what_it_meant(method: str, targets: dict[str, float]) -> None:
    made = spec(method={"name": method}, targets=targets)
    # With every default filled in, as a job's row has it.
    assert PruneSpec.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("targets", [{}, {"batch_size": 4}, {"macs": None}])
def test_targets_promise_something(targets: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="one at least"):
        spec(targets=targets)


def test_zeros_promise_no_speed() -> None:
    for targets in ({"macs": 0.5}, {"latency_ms": 1.0}, {"min_speedup": 2.0}):
        with pytest.raises(ValidationError, match="zeros change neither"):
            spec(method={"name": "unstructured"}, targets=targets)


def test_a_schedule_may_name_its_end() -> None:
    cubic = {"name": "cubic", "initial_sparsity": 0.6, "final_sparsity": 0.9}
    made = spec(method={"name": "unstructured"}, schedule=cubic)
    assert made.amounts == (0.9,)
    assert PruneSpec.model_validate_json(made.model_dump_json()).amounts == (0.9,)
    with pytest.raises(ValidationError, match="must not exceed"):
        spec(schedule={**cubic, "final_sparsity": 0.5})
    with pytest.raises(ValidationError, match="the end of a linear or cubic"):
        spec(schedule={"final_sparsity": 0.9})
    with pytest.raises(ValidationError, match="one-shot"):
        spec(method={"name": "structured", "pruning_ratio": [0.3, 0.5]}, schedule=cubic)
