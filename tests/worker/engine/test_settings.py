"""The options of a run, and the engine's closed list of codes."""

from dataclasses import fields
from typing import get_args

import pytest

from service.contract.job_errors import JobErrorCode
from service.contract.training import TrainingSpec
from worker.engine.errors import EngineError
from worker.engine.train.settings import FitOptions, Settings


def test_fit_takes_the_options_that_settings_explain() -> None:
    assert {item.name for item in fields(Settings)} == set(FitOptions.__annotations__)


def test_the_contract_and_the_engine_agree_on_names_and_defaults() -> None:
    ours = {item.name: item.default for item in fields(Settings)}
    theirs = TrainingSpec().model_dump()
    assert theirs == {name: ours[name] for name in theirs}


def test_every_code_of_the_engine_is_a_code_of_the_contract() -> None:
    codes = {error.code for error in EngineError.__subclasses__()}
    assert len(codes) == 15
    assert codes <= set(get_args(JobErrorCode))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"label_smoothing": 1.0},
        {"epochs": 3, "warmup_epochs": 3},
        {"optimizer": "lion"},
        {"scheduler": "random"},
        {"scheduler": "multistep", "milestones": ()},
        {"scheduler": "multistep", "milestones": (3, 3)},
        {"scheduler": "step", "milestones": (3,)},
        {"scheduler": "one_cycle", "warmup_epochs": 1},
        {"warmup_share": 1.0},
        {"ema_decay": 1.0},
        {"augmentation": "mixup"},
    ],
)
def test_an_option_that_cannot_be_is_the_caller_s_mistake(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(reversed(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]
