"""Whatever is sent, the answer is as the OpenAPI document has it: Schemathesis, every check."""

from pathlib import Path
from typing import Final

import pytest

from tests.fuzzing.campaign import Outcome, run

_SEED: Final = 0
_QUICK_PHASES: Final = "examples,fuzzing,stateful"


def _tells(outcome: Outcome) -> str:
    return f"seed {_SEED}: {outcome.cases} cases, {len(outcome.failures)} failures"


def test_a_slice_of_generated_requests_is_answered_as_documented(tmp_path: Path) -> None:
    outcome = run(tmp_path, "--phases", _QUICK_PHASES, "-n", "1", chains=6, seed=_SEED, limit_s=150)
    assert outcome.failures == [], outcome.output
    assert outcome.phases["stateful"] == "success"
    assert outcome.cases >= 100


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_thousands_of_generated_requests_are_answered_as_documented(tmp_path: Path) -> None:
    outcome = run(tmp_path, "-n", "40", chains=300, seed=_SEED, limit_s=3500)
    print(_tells(outcome), outcome.phases)
    assert outcome.failures == [], outcome.output
    assert set(outcome.phases.values()) == {"success"}
    assert outcome.cases >= 5_000
