"""The store and the model of the job's life agree, whatever people, workers and sweeps do."""

import pytest

from tests.store.life import live


def test_any_interleaving_leads_a_job_to_one_legal_end(fast_sqlite: str) -> None:
    live(fast_sqlite)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_five_hundred_lives_end_legally(database_url: str) -> None:
    live(database_url, examples=500, steps=60)
