"""What the page of a job says, as values."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from service.contract.lifecycle import STATUSES, JobStatus
from service.contract.specs import SPECS
from service.web.job_facts import Moves, figure_label
from service.web.page import prose
from service.web.snippets import shortest, snippets

JOB = "job_01JD8Z6Q5T3V9X7B2C4D6F8G0H"
ASKED: tuple[dict[str, Any], ...] = (
    {"kind": "train", "model": {"architecture": "cnn_teacher"}, "dataset": "digits"},
    {
        "kind": "distill",
        "teacher": JOB,
        "student": {"architecture": "cnn_student"},
        "dataset": "digits",
        "loss": {"name": "kd", "temperature": 3.0, "alpha": 0.2},
        "name": 'it\'s "mine" $(echo)',
        "labels": {"team": "a: b"},
    },
    {"kind": "prune", "model": JOB, "dataset": "digits", "finetune": {"epochs": 2}},
    {"kind": "quantize", "model": JOB, "dataset": "digits", "method": {"name": "dynamic_int8"}},
    {"kind": "benchmark", "models": [JOB, JOB[:-1] + "J"], "dataset": "digits"},
    {"kind": "export", "model": JOB, "formats": ["onnx", "pt2"]},
)


@pytest.mark.parametrize("body", ASKED, ids=lambda body: body["kind"])
def test_each_way_to_ask_again_asks_for_the_same(body: dict[str, Any]) -> None:
    spec = SPECS.validate_python(body)
    texts = {one.id: one.text for one in snippets(spec, "http://127.0.0.1:8000")}
    assert SPECS.validate_python(yaml.safe_load(texts["yaml"])) == spec
    assert SPECS.validate_python(json.loads(texts["json"])) == spec
    shown = subprocess.run(  # what a shell makes of the command
        [
            "sh",
            "-c",
            'curl() { for last in "$@"; do :; done; printf %s "$last"; }\n' + texts["curl"],
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert SPECS.validate_python(json.loads(shown.stdout)) == spec
    sent: list[dict[str, Any]] = []
    _run(texts["python"], sent)
    assert SPECS.validate_python(sent[0]) == spec


def _run(code: str, sent: list[dict[str, Any]]) -> None:
    class Client:
        def __init__(self, url: str) -> None:
            assert url == "http://127.0.0.1:8000"

        def submit(self, spec: dict[str, Any]) -> "Client":
            sent.append(spec)
            return self

        def wait(self) -> None:
            pass

    exec(code.replace("from modelpress import Client", ""), {"Client": Client})


def test_defaults_are_left_out_of_what_one_types() -> None:
    assert shortest(SPECS.validate_python(ASKED[0])) == ASKED[0]


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ("queued", {"cancel", "pause"}),
        ("running", {"cancel", "pause"}),
        ("cancelling", set()),
        ("pausing", {"cancel"}),
        ("paused", {"cancel", "resume"}),
        ("succeeded", {"delete"}),
        ("failed", {"retry", "delete"}),
        ("cancelled", {"retry", "delete"}),
    ],
)
def test_a_state_offers_what_the_api_takes(status: JobStatus, allowed: set[str]) -> None:
    moves = Moves.of(status)
    assert {name for name in Moves.__dataclass_fields__ if getattr(moves, name)} == allowed
    assert status in STATUSES


def test_code_in_a_hint_is_code_and_everything_is_escaped() -> None:
    assert prose("Set `a<b>`, or <i>.") == "Set <code>a&lt;b&gt;</code>, or &lt;i&gt;."
    assert figure_label("accuracy_retention") == "Accuracy retention"
