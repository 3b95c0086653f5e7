"""The model of the job's life finds what it is there to find: guards of the store that are gone."""

from typing import Final

import pytest

from service.store import claims, dependencies, finishing, leases
from service.store.moves import close_attempt, move
from tests.store.life import live
from tests.store.mutation import Mutation, applied

_HOLD: Final = "held = _hold(session, job_id, run)"
_ANY_RUN: Final = "held = _hold(session, job_id, session.get_one(JobRow, job_id).run)"

MUTATIONS: Final = (
    Mutation("finish_by_any_run", finishing.finish, _HOLD, _ANY_RUN),
    Mutation("record_by_any_run", finishing.record, _HOLD, _ANY_RUN),
    Mutation("checkpoint_of_any_run", finishing.add_checkpoint, _HOLD, _ANY_RUN),
    Mutation("heartbeat_of_any_run", leases._held, "JobRow.run == run", "JobRow.run > 0"),
    Mutation("rescue_of_any_run", claims.rescue, "JobRow.run == run", "JobRow.run > 0"),
    Mutation("a_lost_worker_too_many", claims.rescue, "row.attempt >= row.max_attempts", "False"),
    Mutation("an_attempt_too_many", finishing._fail, "held.attempt < held.max_attempts", "True"),
    Mutation("attempts_end_together", close_attempt, ", AttemptRow.run == job.run", ""),
    Mutation("a_move_from_any_state", move, ", JobRow.status.in_(sources)", ""),
    Mutation(
        "nobody_fails_with_another",
        dependencies.break_,
        "fail_dependent(session, job_id, cause, now)",
        "False",
    ),
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_model_finds_a_store_without_its_guard(fast_sqlite: str, mutation: Mutation) -> None:
    with applied(mutation), pytest.raises(AssertionError):
        live(fast_sqlite, shrinks=False)
