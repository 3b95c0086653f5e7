"""What names a teacher's logits."""

from typing import Any

import pytest

from service.contract.distill import DistillSpec
from service.contract.ids import new_id
from worker.teacher_logits import logits_key

TEACHER = new_id("mdl")
AUGMENTED = {"epochs": 2, "augmentation": "flip_and_crop"}


def key(teacher: str = "a" * 64, data: str = "digits", **changes: Any) -> str | None:
    spec = {"teacher": TEACHER, "student": {"architecture": "mlp"}, "dataset": "digits", **changes}
    return logits_key(DistillSpec.model_validate(spec), teacher, data)


def test_what_does_not_change_the_logits_does_not_change_the_key() -> None:
    for changes in (
        {"loss": {"name": "mse"}},
        {"seed": 3},
        {"training": {"epochs": 7}},
        {"student": {"architecture": "cnn_student"}},
    ):
        assert key(**changes) == key()


def test_what_changes_the_logits_changes_the_key() -> None:
    keys = [
        key(),
        key(teacher="b" * 64),
        key(data="b" * 64),
        key(precision="bf16"),
        key(views=2, training=AUGMENTED),
        key(views=3, training=AUGMENTED),
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": {"name": "at"}},
        {"loss": [{"name": "kd"}, {"name": "crd"}]},
        {"training": AUGMENTED},
        {"training": {"epochs": 2, "mixup_alpha": 0.2}},
    ],
)
def test_logits_that_cannot_be_known_have_no_key(changes: dict[str, Any]) -> None:
    assert key(**changes) is None
