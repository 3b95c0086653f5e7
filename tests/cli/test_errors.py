"""What goes wrong is said in words, with what to do next, and never as a traceback."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli.main import main
from tests.cli.answering import Answering, serving

NOBODY = "postgresql+psycopg://modelpress:secret@127.0.0.1:9/modelpress"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELPRESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def stranger() -> Iterator[str]:
    """The URL of a web server that is no Modelpress; under /down it is one that is not well."""

    class Handler(Answering):
        def do_GET(self) -> None:
            is_down = self.path.startswith("/down")
            parts = '"database": "down", "blobs": "up", "broker": "down"'
            body = f'{{"status": "unavailable", {parts}}}' if is_down else "<h1>It works!</h1>"
            self.send_response(503 if is_down else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

    with serving(Handler) as url:
        yield url


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


@pytest.mark.parametrize("command", ["health", "jobs list"])
def test_another_server_at_the_url_is_exit_code_3(
    stranger: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--url", stranger, *command.split()) == 3
    assert "Is the URL right?" in capsys.readouterr().err


def test_a_service_that_is_not_well_is_exit_code_1_and_says_what_is_down(
    stranger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--url", f"{stranger}/down", "health") == 1
    assert "down: database, broker" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["api", "up --data-dir new", "db upgrade", "keys create"])
def test_settings_that_cannot_be_are_named_as_the_environment_has_them(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELPRESS_LEASE_S", "-1")
    assert run(*command.split()) == 2
    assert "MODELPRESS_LEASE_S: Input should be greater than 0" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["db upgrade", "keys create", "worker-health"])
def test_a_database_that_is_away_is_exit_code_1_and_its_password_is_not_shown(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELPRESS_DATABASE_URL", NOBODY)
    assert run(*command.split()) == 1
    said = capsys.readouterr().err
    assert "Check MODELPRESS_DATABASE_URL" in said
    assert "secret" not in said


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/modelpress"])
def test_a_url_of_no_database_of_ours_is_wrong_usage(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPRESS_DATABASE_URL", url)
    assert run("db", "upgrade") == 2


def test_a_missing_extra_is_said_with_the_way_to_install_it() -> None:
    program = (
        "import sys\n"
        "sys.modules['uvicorn'] = None\n"  # as if it were not installed
        "from service.cli.main import main\n"
        "main(['api'])\n"
    )
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "pip install 'modelpress[all]'" in ran.stderr
    assert "Traceback" not in ran.stderr
