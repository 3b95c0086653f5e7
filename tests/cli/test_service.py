"""Commands against the real API: what people read, and what programs read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import completion
from service.cli.main import main
from service.client import Client, Job
from tests.client.running import Running, running_api

SPEC = "kind: train\nname: mine\nmodel: {architecture: mlp}\ndataset: digits\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_api(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def job(service: Running) -> Job:
    with Client(service.url, service.key) as client:
        return client.train("mlp", "digits", name="mine", labels={"team": "vision"})


@pytest.fixture(autouse=True)
def _environment(service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MODELPRESS_URL", service.url)
    monkeypatch.setenv("MODELPRESS_KEY", service.key)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("jobs list --label team=vision --created-after 2020-01-01", "mine"),
        ("jobs show JOB", "team=vision"),
        ("jobs events JOB", "queued"),
        ("jobs metrics JOB", ""),
        ("jobs checkpoints JOB", ""),
        ("jobs artifacts JOB", ""),
        ("workers", ""),
        ("queue", "Workers"),
        ("capabilities", "Version"),
        ("keys list", "admin"),
        ("comparisons list", ""),
        ("models list", ""),
        ("datasets list", ""),
        ("webhooks list", ""),
        ("usage", "no limit"),
        ("audit --action submit_job", "submit_job"),
    ],
)
def test_a_command_prints_words_and_json(
    command: str, expected: str, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.replace("JOB", job.id).split()
    assert run(*words) == 0
    said = capsys.readouterr()
    assert expected in said.out
    assert expected or said.err, "an empty list is said in words"
    assert run(*words, "--json") == 0
    json.loads(capsys.readouterr().out)


def test_a_watch_for_programs_is_a_line_of_json_for_each_event(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path.cwd() / "spec.yaml").write_text(SPEC)
    assert run("jobs", "submit", "-f", "spec.yaml") == 0
    made = capsys.readouterr().out.strip()
    assert run("jobs", "cancel", made) == 0
    capsys.readouterr()
    assert run("jobs", "watch", made, "--json") == 1  # cancelled is not what was waited for
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["data"]["status"] for line in lines] == ["queued", "cancelled"]


def test_the_service_itself_makes_and_rotates_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("keys", "create", "--by-service", "--name", "ci", "--read-only") == 0
    assert capsys.readouterr().out.startswith("mp_")
    assert run("keys", "list", "--json") == 0
    [made] = [key for key in json.loads(capsys.readouterr().out) if key["name"] == "ci"]
    assert made["scopes"] == ["read"]
    assert run("keys", "rotate", made["id"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "ci"


def test_a_shell_completes_the_ids_there_are(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (job.id, "train queued mine") in completion.jobs("job_")
    assert completion.jobs("mdl_") == []
    monkeypatch.setenv("MODELPRESS_URL", "http://127.0.0.1:9")
    assert completion.jobs("job_") == []


def test_what_is_refused_is_said_with_the_next_step(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("jobs", "delete", job.id) == 1
    assert "modelpress jobs watch" in capsys.readouterr().err
    assert run("report", job.id) == 1
    assert "not_finished" in capsys.readouterr().err


def test_the_model_of_an_unfinished_job_is_refused_in_words(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("models", "pull", job.id) == 1
    assert "has made no model" in capsys.readouterr().err


def test_ctrl_c_is_exit_code_130(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("service.cli.jobs.follow", interrupted)
    assert run("jobs", "watch", job.id) == 130
