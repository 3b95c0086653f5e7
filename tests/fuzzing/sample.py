"""A store with one of everything, and with some to lose: requests that are made up delete, too."""

from pathlib import Path
from typing import Final

from service.store.jobs import JobStore
from service.store.values import NewArtifact, Succeeded
from tests.api.conftest import Service, open_service
from tests.api.test_comparisons import benchmarked, compare
from tests.api.test_datasets import a_zip, register, settle
from tests.api.test_isolation import HOOK
from tests.api.test_jobs import TRAIN, a_model, fail
from tests.reports import samples

_OF_EACH: Final = 4


def fill(folder: Path) -> str:
    """Make the store that an API in `folder` starts with. Returns a key that may do everything."""
    with open_service(folder, lease_s=3600.0) as service:
        service.add_worker()
        for number in range(_OF_EACH):
            _finished(service)
            pair = service.add_model(), service.add_model()
            benchmarked(service, *pair)
            compare(service, *pair)
            service.http.post("/v1/jobs", json=TRAIN)
            fail(service)
            _incoming(service, number)
        for _ in range(_OF_EACH):  # last: these stay queued, and the ones above claim the next
            service.http.post("/v1/jobs", json=TRAIN)
        service.http.post("/v1/jobs", json=TRAIN)
        service.claim()
        return service.key


def _finished(service: Service) -> None:
    """A training with its model, metrics and report."""
    service.http.post("/v1/jobs", json=TRAIN)
    job = service.claim()
    made = a_model()
    result = samples.train()[1].model_copy(update={"model": made.id})
    report = service.blobs.put_bytes(b"# What came out\n")
    document = service.blobs.put_bytes(b"{}")
    artifacts = (
        NewArtifact("report.md", "report", "text/markdown", report.sha256, report.bytes),
        NewArtifact("report.json", "report", "application/json", document.sha256, document.bytes),
    )
    outcome = Succeeded(
        result=result.model_dump(mode="json"),
        metrics={"accuracy": 0.97},
        artifacts=artifacts,
        models=(made,),
    )
    with service.database.transaction() as session:
        assert JobStore(session).finish(job.id, job.run, outcome) is not None


def _incoming(service: Service, number: int) -> None:
    """What comes from outside: files, an upload, a dataset, a webhook with a message."""
    http = service.http
    http.put(f"/v1/files/data-{number}.zip", content=a_zip())
    http.post("/v1/uploads", json={"name": f"part-{number}.npz", "bytes": 10})
    dataset = register(service, file=f"data-{number}.zip").json()["id"]
    sheet = service.blobs.put_bytes(b"a picture")
    settle(service, dataset, "ready", sheet.sha256)
    hook = http.post("/v1/webhooks", json=HOOK).json()["id"]
    http.post(f"/v1/webhooks/{hook}/test")
    http.post("/v1/keys", json={"name": f"key {number}", "project": "other", "scopes": ["read"]})
