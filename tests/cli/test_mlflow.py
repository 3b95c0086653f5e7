"""`modelpress mlflow`: what waits, and what is taken up again."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from service.cli.main import app
from service.store.session import Database
from service.store.tables import ExportRow
from tests.mlflow import jobs


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["mlflow", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_was_given_up_is_taken_up_again(
    tmp_path: Path, sqlite_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    shutil.copy(sqlite_tables, tmp_path / "test.db")
    monkeypatch.setenv("MODELPRESS_DATABASE_URL", url)
    assert run("status") == "0 wait; 0 were given up\n"
    database = Database(url)
    jobs.expect(database)
    job_id = jobs.cancelled(database)
    created = jobs.export_row(database, job_id).created_at
    with database.transaction() as session:
        values = {"status": "failed", "created_at": created - timedelta(days=8)}
        session.execute(update(ExportRow).values(values))
    assert json.loads(run("status", "--json")) == {"pending": 0, "failed": 1, "oldest_s": 0.0}
    assert run("retry") == "1 are tried again\n"
    row = jobs.export_row(database, job_id)
    assert (row.status, row.created_at >= created) == ("pending", True)
    assert run("status").startswith("1 wait, the oldest for ")
    database.close()
