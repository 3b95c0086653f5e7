"""A slice of the campaign of faults: `make bench BENCH=faults` runs the whole of it."""

import pytest

from benchmarks.faults.campaign import campaign

_SEED = 7


@pytest.mark.long  # a minute and a half on two free cores: the suite has no room for it yet
@pytest.mark.timeout(600)
def test_jobs_under_seeded_faults_end_once_and_leave_what_they_say() -> None:
    done = campaign("sqlite", seconds=20, seed=_SEED, workers=3, every_s=1.0)
    assert done.verdict.breaches == [], f"seed {_SEED}"
    assert done.faults.total() >= 5
    assert done.verdict.jobs >= 5
