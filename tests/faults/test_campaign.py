"""A slice of the campaign of faults: `make bench BENCH=faults` runs the whole of it."""

import pytest

from benchmarks.faults.campaign import campaign
from benchmarks.faults.cluster import Backend

_SEED = 7


@pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_jobs_under_seeded_faults_end_once_and_leave_what_they_say(backend: Backend) -> None:
    done = campaign(backend, seconds=30, seed=_SEED, workers=3, every_s=0.8, faults=25, jobs=40)
    assert done.verdict.breaches == [], f"seed {_SEED}"
    assert done.faults.total() >= 25
    assert done.verdict.jobs >= 40
