"""A slice of the campaign of faults: `make bench BENCH=faults` runs the whole of it."""

import pytest

from benchmarks.faults.campaign import campaign

_SEED = 7


@pytest.mark.long  # two minutes of both cores, which the tests beside it would wait for
@pytest.mark.timeout(600)
def test_jobs_under_seeded_faults_end_once_and_leave_what_they_say() -> None:
    done = campaign("sqlite", seconds=15, seed=_SEED, workers=3, every_s=0.6, faults=25, jobs=40)
    assert done.verdict.breaches == [], f"seed {_SEED}"
    assert done.faults.total() >= 25
    assert done.verdict.jobs >= 40
