"""Which entries of the audit log a time chooses."""

from datetime import timedelta

from service.store.audit import AuditFilter, AuditStore, NewEntry
from tests.store.conftest import Jobs


def test_an_entry_is_chosen_by_its_time_and_not_by_the_clock_that_made_its_id(jobs: Jobs) -> None:
    jobs.watch.time = jobs.watch.time.now(jobs.watch.time.tzinfo) + timedelta(minutes=5)
    with jobs.database.transaction() as session:
        AuditStore(session).add(NewEntry("submit_job", "done"))
        at = jobs.watch.time
        later = at + timedelta(seconds=1)
        for chosen, found in (
            (AuditFilter(since=at), 1),
            (AuditFilter(since=later), 0),
            (AuditFilter(until=at), 0),
            (AuditFilter(until=later), 1),
        ):
            assert len(AuditStore(session).list(chosen, 10)) == found
