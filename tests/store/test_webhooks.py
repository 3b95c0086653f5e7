"""Messages to webhooks: written with the end of a job, sent by one at a time, tried again."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.contract.lifecycle import TERMINAL
from service.contract.webhooks import ALL_EVENTS
from service.store.deliveries import RETRY_S, Answer, ClaimedDelivery, DeliveryStore
from service.store.errors import Conflict, NotFound
from service.store.jobs import JobStore
from service.store.session import Database
from service.store.tables import DeliveryRow, WebhookRow
from service.store.webhooks import WebhookStore
from tests.store.conftest import Jobs, Watch

LEASE_S = 60.0
TAKEN = Answer(204, None)
REFUSED = Answer(500, "answered 500")


class Hooks:
    """Each call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, project: str = "p", *events: str) -> str:
        with self.database.transaction() as session:
            return (
                WebhookStore(session)
                .add(
                    project,
                    name="hook",
                    url="https://hooks.example.com/",
                    events=events or ALL_EVENTS,
                    secret="whsec_AAAA",
                )
                .id
            )

    def row(self, webhook_id: str) -> WebhookRow:
        with self.database.read() as session:
            return WebhookStore(session).get(webhook_id, "p")

    def messages(self, webhook_id: str) -> list[DeliveryRow]:
        """Oldest first."""
        with self.database.read() as session:
            return [*reversed(DeliveryStore(session).list(webhook_id, 100))]

    def claim(self) -> ClaimedDelivery | None:
        with self.database.transaction() as session:
            return DeliveryStore(session).claim(LEASE_S)

    def claimed(self) -> ClaimedDelivery:
        found = self.claim()
        assert found is not None
        return found

    def do(self, what: Callable[[Session], object]) -> None:
        with self.database.transaction() as session:
            what(session)

    def finish(self, sent: ClaimedDelivery, answer: Answer) -> str | None:
        with self.database.transaction() as session:
            return DeliveryStore(session).finish(sent, answer)


@pytest.fixture
def hooks(jobs: Jobs) -> Hooks:
    return Hooks(jobs.database)


def end(jobs: Jobs, project: str = "p") -> str:
    """A job that was queued and cancelled."""
    job_id = jobs.add(project)
    jobs.do(lambda store: store.request_cancel(job_id, project))
    return job_id


def test_each_end_of_a_job_tells_who_asked_for_it_and_nobody_else(jobs: Jobs, hooks: Hooks) -> None:
    every, failures = hooks.add(), hooks.add("p", "job.failed")
    other = hooks.add("q")
    ids = [jobs.in_state(status).id for status in sorted(TERMINAL)]
    told = [(row.event, row.job_id) for row in hooks.messages(every)]
    assert told == list(zip(["job.cancelled", "job.failed", "job.succeeded"], ids, strict=True))
    assert [row.event for row in hooks.messages(failures)] == ["job.failed"]
    assert hooks.messages(other) == []


def test_a_dependent_that_fails_and_a_job_whose_workers_are_lost_are_told_of(
    jobs: Jobs, hooks: Hooks, watch: Watch
) -> None:
    hook = hooks.add()
    lost = jobs.add(max_attempts=1)
    dependent = jobs.add(references=(lost,))
    run = jobs.claimed().run
    watch.pass_(3600)
    jobs.do(lambda store: store.rescue(lost, run))
    told = {row.job_id: row.event for row in hooks.messages(hook)}
    assert told == {lost: "job.failed", dependent: "job.failed"}


def test_a_job_whose_end_is_rolled_back_is_not_told_of(jobs: Jobs, hooks: Hooks) -> None:
    hook = hooks.add()
    job_id = jobs.add()

    def stumble(store: JobStore) -> None:
        store.request_cancel(job_id, "p")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        jobs.do(stumble)
    assert hooks.messages(hook) == []
    assert jobs.row(job_id).status == "queued"


def test_a_webhook_is_told_although_the_job_was_deleted(jobs: Jobs, hooks: Hooks) -> None:
    hooks.add()
    job_id = end(jobs)
    jobs.do(lambda store: store.delete(job_id, "p"))
    body = json.loads(hooks.claimed().body)
    assert (body["type"], body["data"]["id"]) == ("job.cancelled", job_id)


def test_a_try_that_failed_is_made_again_by_the_schedule_until_it_is_given_up(
    jobs: Jobs, hooks: Hooks, watch: Watch
) -> None:
    hook = hooks.add()
    end(jobs)
    began = watch.time
    for number, wait_s in enumerate(RETRY_S, 1):
        sent = hooks.claimed()
        assert sent.try_ == number
        assert hooks.finish(sent, REFUSED) == "pending"
        watch.pass_(wait_s * 0.99)
        assert hooks.claim() is None  # not earlier
        watch.pass_(wait_s * 0.22)  # jitter is at most a fifth
    assert hooks.finish(hooks.claimed(), REFUSED) == "failed"
    assert hooks.claim() is None
    (row,) = hooks.messages(hook)
    assert (row.status, row.tries, row.response_status) == ("failed", 8, 500)
    assert timedelta(hours=34) < watch.time - began < timedelta(hours=43)
    assert hooks.row(hook).disabled_at is None  # not for one bad day


def test_a_message_is_claimed_by_one_and_again_when_its_lease_has_lapsed(
    jobs: Jobs, hooks: Hooks, watch: Watch
) -> None:
    hook = hooks.add()
    end(jobs)
    first = hooks.claimed()
    watch.pass_(LEASE_S - 1)
    assert hooks.claim() is None
    watch.pass_(2)
    second = hooks.claimed()
    assert (first.id, first.try_, second.id, second.try_) == (second.id, 1, first.id, 2)
    assert hooks.finish(first, REFUSED) is None  # a zombie's word changes nothing
    assert hooks.finish(second, TAKEN) == "succeeded"
    assert [row.status for row in hooks.messages(hook)] == ["succeeded"]


def test_a_webhook_is_sent_one_message_at_a_time_and_holds_up_no_other(
    jobs: Jobs, hooks: Hooks, watch: Watch
) -> None:
    slow, quick = hooks.add("p"), hooks.add("q")
    for project in ("p", "p", "p", "q"):
        end(jobs, project)
        watch.pass_(1)
    assert [hooks.claimed().webhook_id, hooks.claimed().webhook_id] == [slow, quick]
    assert hooks.claim() is None


def test_no_try_is_given_to_two_who_claim_at_once(database: Database) -> None:
    hooks = Hooks(database)
    for number in range(6):
        project = f"p{number}"
        hook = hooks.add(project)
        with database.transaction() as session:
            row = WebhookStore(session).get(hook, project)
            for _ in range(2):
                DeliveryStore(session).add_test(row)
    seen: list[tuple[str, int]] = []

    def work() -> None:
        while (sent := hooks.claim()) is not None:
            seen.append((sent.id, sent.try_))
            hooks.finish(sent, TAKEN)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert len(seen) == len(set(seen)) == 12


def test_days_without_a_success_disable_a_webhook_and_what_waits_for_it(
    jobs: Jobs, hooks: Hooks, watch: Watch
) -> None:
    hook = hooks.add()
    end(jobs)
    hooks.finish(hooks.claimed(), REFUSED)
    watch.pass_(4 * 86_400)
    end(jobs)
    while hooks.row(hook).disabled_at is None:
        sent = hooks.claim()
        if sent is None:
            watch.pass_(86_400)
        else:
            hooks.finish(sent, REFUSED)
    statuses = [row.status for row in hooks.messages(hook)]
    assert statuses == ["failed", "failed"]
    end(jobs)
    assert len(hooks.messages(hook)) == 2  # told of nothing more
    hooks.do(lambda session: WebhookStore(session).enable(hook, "p"))
    end(jobs)
    assert len(hooks.messages(hook)) == 3


def test_a_success_clears_what_was_held_against_a_webhook(
    jobs: Jobs, hooks: Hooks, watch: Watch
) -> None:
    hook = hooks.add()
    end(jobs)
    hooks.finish(hooks.claimed(), REFUSED)
    assert hooks.row(hook).failing_since == watch.time
    watch.pass_(60)
    hooks.finish(hooks.claimed(), TAKEN)
    row = hooks.row(hook)
    assert (row.failing_since, row.succeeded_at) == (None, watch.time)


def test_an_answer_of_410_disables_a_webhook_at_once(jobs: Jobs, hooks: Hooks) -> None:
    hook = hooks.add()
    end(jobs)
    assert hooks.finish(hooks.claimed(), Answer(410, "answered 410")) == "failed"
    assert hooks.row(hook).disabled_at is not None


def test_both_secrets_sign_while_a_rotation_overlaps(
    jobs: Jobs, hooks: Hooks, watch: Watch
) -> None:
    hook = hooks.add()
    hooks.do(lambda session: WebhookStore(session).rotate(hook, "p", "whsec_BBBB", 3600))
    end(jobs)
    sent = hooks.claimed()
    assert sent.secrets == ("whsec_BBBB", "whsec_AAAA")
    hooks.finish(sent, TAKEN)
    watch.pass_(3601)
    end(jobs)
    assert hooks.claimed().secrets == ("whsec_BBBB",)


def test_a_message_that_is_over_is_sent_again_on_request_under_its_old_id(
    jobs: Jobs, hooks: Hooks
) -> None:
    hook = hooks.add()
    end(jobs)
    first = hooks.claimed()
    hooks.finish(first, TAKEN)
    hooks.do(lambda session: DeliveryStore(session).redeliver(first.id, hook))
    again = hooks.claimed()
    assert (again.id, again.try_, again.body) == (first.id, 2, first.body)


def test_deleting_a_webhook_forgets_its_messages_also_while_one_is_sent(
    jobs: Jobs, hooks: Hooks
) -> None:
    hook = hooks.add()
    end(jobs)
    sent = hooks.claimed()
    hooks.do(lambda session: WebhookStore(session).delete(hook, "p"))
    assert hooks.finish(sent, TAKEN) is None
    with hooks.database.read() as session:
        assert session.execute(select(func.count()).select_from(DeliveryRow)).scalar_one() == 0


def test_old_messages_are_forgotten_and_waiting_ones_are_kept(
    jobs: Jobs, hooks: Hooks, watch: Watch
) -> None:
    hook = hooks.add()
    end(jobs)
    hooks.finish(hooks.claimed(), TAKEN)
    waiting = end(jobs)
    watch.pass_(8 * 86_400)
    hooks.do(lambda session: DeliveryStore(session).purge())
    assert [row.job_id for row in hooks.messages(hook)] == [waiting]


def test_a_project_has_a_limited_number_of_webhooks(hooks: Hooks) -> None:
    for _ in range(16):
        hooks.add()
    with pytest.raises(Conflict, match="16 webhooks at most"):
        hooks.add()
    hooks.add("q")


def test_a_webhook_of_another_project_is_not_there(hooks: Hooks) -> None:
    hook = hooks.add("q")
    with pytest.raises(NotFound):
        hooks.row(hook)
