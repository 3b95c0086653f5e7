"""Malformed files: each gets an answer with a code, and nothing falls over."""

from collections.abc import Sequence
from functools import cache
from typing import Final

import httpx2
import numpy as np
import pytest
from safetensors.numpy import load

from modelpress import Client
from service.embedded import Stack
from tests.faults.case import Case
from tests.faults.corpus import corpus
from tests.faults.mutations import mutants
from tests.faults.seeds import seeds
from tests.faults.send import Verdict, send, send_all

_SLICE: Final = 150
_corpus = cache(corpus)  # it takes seconds to make
_PATIENCE_S: Final = 15.0  # the benchmark holds them to 2 s; a machine of tests may be busy


def _tried(stack: Stack, http: httpx2.Client, cases: Sequence[Case], at_once: int) -> list[Verdict]:
    verdicts = list(send_all(http, cases, at_once))
    stack.check()
    assert [str(verdict) for verdict in verdicts if not verdict.good] == []
    assert [str(verdict) for verdict in verdicts if verdict.seconds > _PATIENCE_S] == []
    for verdict in verdicts:
        if verdict.outcome == "ready" and verdict.case.kind == "model":
            assert is_finite(http, verdict), str(verdict)
    return verdicts


def is_finite(http: httpx2.Client, verdict: Verdict) -> bool:
    """Whether what was taken loads, with finite weights."""
    answer = http.get(f"/v1/models/{verdict.id}/content", params={"format": "safetensors"})
    if answer.status_code == 404:  # a graph, which the check has run
        return True
    return all(np.isfinite(array).all() for array in load(answer.content).values())


@pytest.mark.parametrize("case", seeds(), ids=lambda case: case.name)
def test_what_the_malformed_files_are_made_of_is_good(http: httpx2.Client, case: Case) -> None:
    assert send(http, case).outcome == "ready"


def test_a_slice_of_the_malformed_files_while_a_job_runs(
    stack: Stack, http: httpx2.Client, client: Client
) -> None:
    job = client.submit(
        {"kind": "train", "model": {"architecture": "mlp"}, "dataset": "digits",
         "training": {"epochs": 10_000}}
    )  # fmt: skip
    verdicts = _tried(stack, http, _corpus()[:_SLICE], at_once=2)
    assert job.refresh().data.status == "running"
    job.cancel()
    assert {verdict.outcome for verdict in verdicts} == {"refused", "rejected", "ready"}


def test_the_corpus_is_large() -> None:
    cases = _corpus()
    assert len(cases) >= 2000
    assert len({case.name for case in cases}) == len(cases)


def test_the_same_number_makes_the_same_mutants_and_another_makes_others() -> None:
    for seed in seeds():
        first, again, other = (list(mutants(seed, number)) for number in (1, 1, 2))
        assert first == again
        assert first != other


@pytest.mark.long
def test_all_of_the_malformed_files(stack: Stack, http: httpx2.Client) -> None:
    _tried(stack, http, _corpus(), at_once=2)
