"""What a distillation may ask for."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.contract.distill import PRESETS, DistillSpec
from service.contract.ids import new_id
from service.contract.losses import AtLoss, KdLoss, MseLoss, mix_weights

TEACHER, OTHER = new_id("mdl"), new_id("job")


def spec(**fields: Any) -> DistillSpec:
    base = {"teacher": TEACHER, "student": {"architecture": "cnn_student"}, "dataset": "digits"}
    return DistillSpec.model_validate({**base, **fields})


def test_the_smallest_spec_is_kd() -> None:
    assert spec().losses == (KdLoss(),)
    assert [(t.model, t.weight) for t in spec().all_teachers] == [(TEACHER, 1.0)]


def test_a_loss_may_be_a_list() -> None:
    made = spec(loss=[{"name": "kd", "weight": 3}, {"name": "at", "power": 4}])
    assert made.losses == (KdLoss(weight=3), AtLoss(power=4))
    assert DistillSpec.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"loss": [{"name": "kd"}, {"name": "kd"}]}, "once"),
        ({"loss": []}, "at least 1"),
        ({"loss": {"name": "hinton"}}, "hinton"),
        ({"loss": {"name": "mse", "temperature": 2}}, "not permitted"),
        ({"teacher": None}, "one at least"),
        ({"teachers": [{"model": OTHER}]}, "either"),
        ({"teacher": None, "teachers": [{"model": OTHER}] * 2}, "once"),
        ({"views": 2}, "augmentation"),
        ({"seeds": [1, 1]}, "twice"),
        ({"preset": ["recommended"]}, "recommended"),
        ({"preset": "recommended", "loss": {"name": "mse"}}, "either"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(**fields)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_in_the_loss_and_can_be_sent_again(name: Any) -> None:
    made = spec(preset=name)
    assert made.losses == PRESETS[name]
    assert DistillSpec.model_validate_json(made.model_dump_json()) == made


def test_the_weights_of_one_loss_are_alpha_and_the_rest() -> None:
    weights = mix_weights([KdLoss(alpha=0.3)], 3)
    assert weights.hard == (0.3,) * 3
    assert weights.soft == ((0.7,) * 3,)


def test_alpha_moves_unless_it_is_given() -> None:
    assert mix_weights([KdLoss()], 3).hard == pytest.approx((0.7, 0.5, 0.3))
    assert mix_weights([KdLoss(alpha=0.6)], 3).hard == (0.6,) * 3
    assert mix_weights([KdLoss(alpha_end=0.5)], 3).hard == pytest.approx((0.7, 0.6, 0.5))
    kept = KdLoss.model_validate_json(KdLoss(alpha=0.6).model_dump_json())
    assert mix_weights([kept], 3).hard == (0.6,) * 3


def test_a_mix_is_the_mean_of_its_objectives() -> None:
    losses = [KdLoss(alpha=0.2, weight=3), MseLoss(alpha=1.0, weight=1)]
    weights = mix_weights(losses, 1)
    assert weights.hard[0] == pytest.approx((3 * 0.2 + 1 * 1.0) / 4)
    assert weights.soft[0][0] == pytest.approx(3 * 0.8 / 4)
    assert weights.soft[1][0] == 0.0


def test_alpha_moves_evenly_to_its_end_and_the_soft_loss_grows() -> None:
    weights = mix_weights([KdLoss(alpha=0.0, alpha_end=1.0, warmup_epochs=2)], 5)
    assert weights.hard == pytest.approx((0.0, 0.25, 0.5, 0.75, 1.0))
    assert weights.soft[0] == pytest.approx((0.5, 0.75, 0.5, 0.25, 0.0))


def test_one_epoch_has_the_alpha_it_began_with() -> None:
    assert mix_weights([KdLoss(alpha=0.4, alpha_end=1.0)], 1).hard == (0.4,)
