"""Every operation of the OpenAPI document has a method of the SDK, which calls it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2
import pytest
from pydantic import BaseModel

from service.client import Client, ClientError, Comparison, Dataset, Job, Model, Retry
from service.client.jobs import Artifact
from service.client.upload import Files
from service.contract import comparisons as contract
from service.contract.datasets import DatasetRead
from service.contract.models import ModelRead
from service.contract.wire import ArtifactRead, FileRead, JobRead
from tests.client.service_double import BODY, JOB, MODEL, SHA256, WHEN, file, problem
from tools.reference.http import document

M = TypeVar("M", bound=BaseModel)
Call = Callable[[Client, Path], object]
_ULID: Final = JOB.removeprefix("job_")
DATASET, COMPARISON, ARTIFACT = f"dst_{_ULID}", f"cmp_{_ULID}", f"art_{_ULID}"
KEY, HOOK, MESSAGE = f"key_{_ULID}", f"whk_{_ULID}", f"msg_{_ULID}"


def _seen(kind: type[M], **fields: object) -> M:
    """A resource as far as its handle needs it."""
    construct: Any = kind.model_construct
    seen: M = construct(**fields)
    return seen


def _job(client: Client) -> Job:
    return Job(client._http, _seen(JobRead, id=JOB))


def _model(client: Client) -> Model:
    return Model(client._http, _seen(ModelRead, id=MODEL, name="mine"))


def _dataset(client: Client) -> Dataset:
    return Dataset(client._http, _seen(DatasetRead, id=DATASET))


def _comparison(client: Client) -> Comparison:
    return Comparison(client._http, _seen(contract.Comparison, id=COMPARISON))


def _artifact(client: Client) -> Artifact:
    return Artifact(client._http, _seen(ArtifactRead, id=ARTIFACT, name="a.txt", sha256=SHA256))


def _uploaded() -> FileRead:
    return _seen(FileRead, name="a.npz", sha256=SHA256)


def _file(folder: Path) -> Path:
    path = folder / "a.npz"
    path.write_bytes(BODY)
    return path


def _in_parts(client: Client, folder: Path) -> object:
    return Files(client._http, resumable_from_bytes=1).put(_file(folder))


CALLS: Final[dict[str, Call]] = {
    "submit_job": lambda c, _: c.train("mlp", "digits"),
    "list_jobs": lambda c, _: list(c.jobs.list()),
    "get_job": lambda c, _: c.jobs.get(JOB),
    "delete_job": lambda c, _: _job(c).delete(),
    "cancel_job": lambda c, _: _job(c).cancel(),
    "pause_job": lambda c, _: _job(c).pause(),
    "resume_job": lambda c, _: _job(c).resume(),
    "retry_job": lambda c, _: _job(c).retry(),
    "get_job_model": lambda c, folder: _job(c).download_model(folder / "model"),
    "get_job_metrics": lambda c, _: _job(c).metrics(),
    "get_job_logs": lambda c, _: _job(c).logs(),
    "list_job_checkpoints": lambda c, _: _job(c).checkpoints(),
    "list_job_artifacts": lambda c, _: _job(c).artifacts(),
    "get_artifact_content": lambda c, folder: _artifact(c).download(folder),
    "get_job_report": lambda c, _: _job(c).report(),
    "list_job_events": lambda c, _: list(_job(c).events()),
    "stream_events": lambda c, _: next(c.events()),
    "register_model": lambda c, folder: c.models.register(_file(folder)),
    "list_models": lambda c, _: list(c.models.list()),
    "get_model": lambda c, _: c.models.get(MODEL),
    "delete_model": lambda c, _: _model(c).delete(),
    "get_model_lineage": lambda c, _: _model(c).lineage(),
    "get_model_formats": lambda c, _: _model(c).formats(),
    "get_model_card": lambda c, _: _model(c).card(),
    "get_model_content": lambda c, folder: _model(c).download(folder / "model"),
    "register_dataset": lambda c, folder: c.datasets.register(_file(folder)),
    "list_datasets": lambda c, _: list(c.datasets.list()),
    "get_dataset": lambda c, _: c.datasets.get(DATASET),
    "delete_dataset": lambda c, _: _dataset(c).delete(),
    "get_contact_sheet": lambda c, folder: _dataset(c).contact_sheet(folder / "sheet.png"),
    "create_comparison": lambda c, _: c.comparisons.create([MODEL]),
    "list_comparisons": lambda c, _: list(c.comparisons.list()),
    "get_comparison": lambda c, _: _comparison(c).report(),
    "delete_comparison": lambda c, _: c.comparisons.delete(COMPARISON),
    "recommend": lambda c, _: c.recommend(MODEL, "digits"),
    "put_file": lambda c, folder: c.files.put(_file(folder)),
    "get_file": lambda c, folder: c.files.download(_uploaded(), folder),
    "delete_file": lambda c, _: c.files.delete("a.npz"),
    "list_files": lambda c, _: list(c.files.list()),
    "create_upload": _in_parts,
    "append_upload": _in_parts,
    "get_capabilities": lambda c, _: c.capabilities(),
    "list_workers": lambda c, _: c.workers(),
    "get_queue": lambda c, _: c.queue(),
    "create_key": lambda c, _: c.keys.create(),
    "list_keys": lambda c, _: list(c.keys.list()),
    "rotate_key": lambda c, _: c.keys.rotate(KEY),
    "revoke_key": lambda c, _: c.keys.revoke(KEY),
    "get_usage": lambda c, _: c.usage(),
    "get_limits": lambda c, _: c.limits.get("default"),
    "set_limits": lambda c, _: c.limits.set("default"),
    "create_webhook": lambda c, _: c.webhooks.create("https://hooks.example.com/"),
    "list_webhooks": lambda c, _: list(c.webhooks.list()),
    "get_webhook": lambda c, _: c.webhooks.get(HOOK),
    "delete_webhook": lambda c, _: c.webhooks.delete(HOOK),
    "rotate_webhook_secret": lambda c, _: c.webhooks.rotate(HOOK),
    "enable_webhook": lambda c, _: c.webhooks.enable(HOOK),
    "test_webhook": lambda c, _: c.webhooks.test(HOOK),
    "list_webhook_deliveries": lambda c, _: list(c.webhooks.deliveries(HOOK)),
    "redeliver_webhook_message": lambda c, _: c.webhooks.redeliver(HOOK, MESSAGE),
    "list_audit": lambda c, _: list(c.audit.list()),
    "livez": lambda c, _: c.is_alive(),
    "readyz": lambda c, _: c.health(),
    "metrics": lambda c, _: c.metrics(),
}
_UPLOAD: Final = {
    "id": f"upl_{_ULID}",
    "object": "upload",
    "name": "a.npz",
    "bytes": len(BODY),
    "offset": 0,
    "sha256": None,
    "created_at": WHEN,
}
# An upload asks with HEAD, which the document has not: test_uploads.py.
_OTHERWISE: Final = {"get_upload"}


def operations() -> Iterator[tuple[str, str, str]]:
    """Name, method and path of each."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield operation["operationId"], method.upper(), path


def test_every_operation_has_a_method() -> None:
    assert {name for name, _, _ in operations()} == set(CALLS) | _OTHERWISE


@pytest.mark.parametrize(("name", "method", "path"), list(operations()))
def test_a_method_calls_its_operation(name: str, method: str, path: str, tmp_path: Path) -> None:
    if name in _OTHERWISE:
        return
    sent: list[tuple[str, str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        request.read()
        sent.append((request.method, request.url.path))
        match sent[-1]:
            case "POST", "/v1/uploads":
                return httpx2.Response(201, json=_UPLOAD)
            case "PUT", str(where) if name != "put_file" and where.startswith("/v1/files/"):
                return httpx2.Response(201, json=file("a.npz", BODY))
        return problem(404, "not_found")  # enough: the request has been seen

    transport = httpx2.MockTransport(answer)
    with (
        Client("http://modelpress.test", transport=transport, retry=Retry(tries=1)) as client,
        pytest.raises(ClientError),
    ):
        CALLS[name](client, tmp_path)
    pattern = re.sub(r"\{\w+(:path)?\}", "[^/]+", path)
    assert any(m == method and re.fullmatch(pattern, p) for m, p in sent), sent
