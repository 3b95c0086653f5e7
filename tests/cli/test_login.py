"""Logging in: what is kept, who may read it, and what counts before it."""

import io
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli.connect import client_for
from service.cli.main import main
from service.cli.saved import Login, login_file, save, saved
from service.client import Client
from tests.client.running import Running, running_api


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_api(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MODELPRESS_URL", raising=False)
    monkeypatch.delenv("MODELPRESS_KEY", raising=False)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def heard_by(client: Client) -> tuple[str, str | None]:
    """Where it would ask, with which key."""
    return client.url, client._http._client.headers.get("authorization")


def test_a_login_is_checked_kept_for_its_user_alone_and_used(
    service: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, f"{service.key}\n")
    assert run("login", f"{service.url}/") == 0
    assert service.key not in capsys.readouterr().out
    assert stat.S_IMODE(login_file().stat().st_mode) == 0o600
    assert login_file().parent == Path.cwd() / "config" / "modelpress"
    assert run("jobs", "list") == 0
    assert run("logout") == 0
    assert saved() is None
    assert run("logout") == 0


def test_a_key_that_is_refused_is_not_kept(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "mp_wrong\n")
    assert run("login", service.url) == 1
    assert saved() is None


@pytest.mark.parametrize("arguments", [["login"], ["login", "http://127.0.0.1:9"]])
def test_what_is_missing_without_a_terminal_is_wrong_usage(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "")
    assert run(*arguments) == 2


def test_options_count_before_the_environment_and_that_before_a_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save(Login("http://kept.test", "mp_kept"))
    assert heard_by(client_for(None, None)) == ("http://kept.test", "Bearer mp_kept")
    monkeypatch.setenv("MODELPRESS_URL", "http://environment.test")
    monkeypatch.setenv("MODELPRESS_KEY", "mp_environment")
    assert heard_by(client_for(None, None)) == ("http://environment.test", "Bearer mp_environment")
    said = client_for("http://said.test", "mp_said")
    assert heard_by(said) == ("http://said.test", "Bearer mp_said")


def test_a_key_that_was_kept_goes_to_no_other_service() -> None:
    save(Login("http://kept.test", "mp_kept"))
    assert heard_by(client_for("http://other.test", None)) == ("http://other.test", None)
    assert heard_by(client_for("http://kept.test/", None)) == ("http://kept.test", "Bearer mp_kept")


def test_a_file_that_holds_no_login_is_said_with_the_way_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    save(Login("http://kept.test", "mp_kept")).write_text("[]")
    assert run("jobs", "list") == 1
    assert "modelpress logout" in capsys.readouterr().err
