"""Many requests at once with one Idempotency-Key. `benchmarks/idempotency.py` has the long run."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.app import create_app
from service.auth import generate_key
from service.blobs import open_blobs
from service.config import Settings
from service.store.session import Database
from tests.api.conftest import Nudges

SPEC = {"kind": "train", "model": {"architecture": "cnn_student"}, "dataset": "digits"}


def test_twenty_requests_at_once_with_one_key_make_one_job(
    database: Database, tmp_path: Path
) -> None:
    key = generate_key()
    settings = Settings(data_dir=tmp_path, bootstrap_key=SecretStr(key))
    blobs = open_blobs(settings.blobs, settings.staging_dir)
    app = create_app(settings, database=database, blobs=blobs, relay=Nudges())
    with TestClient(app, headers={"authorization": f"Bearer {key}"}) as http:

        def submit(round_: int) -> str:
            while True:
                headers = {"idempotency-key": f"round {round_}"}
                answer = http.post("/v1/jobs", json=SPEC, headers=headers)
                if answer.status_code == 202:
                    return str(answer.json()["id"])
                assert answer.json()["code"] == "idempotency_in_flight"

        with ThreadPoolExecutor(20) as pool:
            told = [set(pool.map(submit, [round_] * 20)) for round_ in range(3)]
        listed = http.get("/v1/jobs").json()["data"]
    assert [len(ids) for ids in told] == [1, 1, 1]
    assert len(listed) == 3
