"""What names a sensitivity scan."""

from typing import Any

from service.contract.ids import new_id
from service.contract.prune import PruneSpec
from worker.sensitivity import sensitivity_key

MODEL = new_id("mdl")


def key(model: str = "a" * 64, data: str = "digits", **changes: Any) -> str | None:
    spec = {"model": MODEL, "dataset": "digits", "allocation": "adaptive", **changes}
    return sensitivity_key(PruneSpec.model_validate(spec), model, data)


def test_the_amount_and_the_repair_do_not_change_the_scan() -> None:
    for changes in (
        {"method": {"name": "structured", "pruning_ratio": 0.7}},
        {"targets": {"macs": 0.5}, "seed": 3},
        {"finetune": None},
    ):
        assert key(**changes) == key()


def test_what_changes_the_scan_changes_its_name() -> None:
    by_chance = {"name": "structured", "importance": "random"}
    keys = [
        key(),
        key(model="b" * 64),
        key(data="b" * 64),
        key(method={"name": "structured", "ignored_layers": ["stem"]}),
        key(method=by_chance),
        key(method=by_chance, seed=1),
    ]
    assert len(set(keys)) == len(keys)


def test_there_is_no_scan_to_know_without_one_or_after_training() -> None:
    assert key(allocation="uniform") is None
    assert key(sparsify={"name": "group_norm"}) is None
