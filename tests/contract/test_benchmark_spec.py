"""What the door makes of benchmark specs."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from service.contract.benchmark import BenchmarkSpec

_SPECS: TypeAdapter[BenchmarkSpec] = TypeAdapter(BenchmarkSpec)


def asked(models: int, **fields: Any) -> BenchmarkSpec:
    names = [f"job_{number:026d}" for number in range(models)]
    return _SPECS.validate_python({"models": names, "dataset": "digits", **fields})


def test_the_most_models_fit_with_as_many_processes_as_nobody_asked_for() -> None:
    assert asked(16).executions == 3


def test_more_processes_than_are_to_be_in_memory_at_once_are_refused() -> None:
    assert asked(4, executions=10).executions == 10
    with pytest.raises(ValidationError, match="at most 48") as refused:
        asked(5, executions=10)
    assert refused.value.errors()[0]["loc"] == ("executions",)
