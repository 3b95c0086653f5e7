"""Projects do not see each other: every operation of the OpenAPI document, on another's thing."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from service.contract.ids import new_id
from service.store.jobs import JobStore
from service.store.values import NewArtifact, Succeeded
from tests.api.conftest import Service
from tests.api.test_comparisons import benchmarked, compare
from tests.api.test_datasets import a_zip, register
from tests.api.test_jobs import TRAIN

HOOK: Final = {"url": "https://93.184.215.14/hook"}  # an address: no name is looked up

# What else an operation has to be sent, so that it is the thing that is missing and nothing else.
SENT: Final[dict[str, dict[str, Any]]] = {
    "append_upload": {"headers": {"upload-offset": "0"}, "content": b"x"},
    "rotate_webhook_secret": {"json": {}},
}
# These belong to no project, and take the scope `admin`.
OF_ADMINS: Final = {"key_id", "project"}
# A name is each project's own: writing it makes a thing of one's own.
MAKES_OWN: Final = {"put_file"}


def _a_job(service: Service) -> str:
    job: str = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    return job


def _an_artifact(service: Service) -> str:
    _a_job(service)
    claimed = service.claim()
    blob = service.blobs.put_bytes(b"a report")
    made = NewArtifact("report.md", "report", "text/markdown", blob.sha256, blob.bytes)
    outcome = Succeeded(result={"kind": "train"}, artifacts=(made,))
    with service.database.transaction() as session:
        assert JobStore(session).finish(claimed.id, claimed.run, outcome) is not None
    artifacts = service.http.get(f"/v1/jobs/{claimed.id}/artifacts").json()["data"]
    found: str = artifacts[0]["id"]
    return found


def _a_file(service: Service) -> str:
    service.http.put("/v1/files/theirs.zip", content=a_zip())
    return "theirs.zip"


def _a_dataset(service: Service) -> str:
    made: str = register(service, file=_a_file(service)).json()["id"]
    return made


def _a_comparison(service: Service) -> str:
    pair = service.add_model(), service.add_model()
    benchmarked(service, *pair)
    made: str = compare(service, *pair).json()["id"]
    return made


def _an_upload(service: Service) -> str:
    body = {"name": "part.npz", "bytes": 10}
    made: str = service.http.post("/v1/uploads", json=body).json()["id"]
    return made


def _a_webhook(service: Service) -> str:
    made: str = service.http.post("/v1/webhooks", json=HOOK).json()["id"]
    return made


# Those that claim a job come before the job that stays queued.
MAKERS: Final[dict[str, Callable[[Service], str]]] = {
    "comparison_id": _a_comparison,
    "artifact_id": _an_artifact,
    "job_id": _a_job,
    "model_id": lambda service: service.add_model(),
    "dataset_id": _a_dataset,
    "name": _a_file,
    "upload_id": _an_upload,
    "webhook_id": _a_webhook,
    "delivery_id": lambda service: new_id("msg"),  # hidden with its webhook
}
PREFIXES: Final = {
    "job_id": "job",
    "model_id": "mdl",
    "dataset_id": "dst",
    "artifact_id": "art",
    "comparison_id": "cmp",
    "upload_id": "upl",
    "webhook_id": "whk",
    "delivery_id": "msg",
}


def _missing(parameter: str) -> str:
    return "absent.zip" if parameter == "name" else new_id(PREFIXES[parameter])  # type: ignore[arg-type]


def operations(service: Service) -> list[tuple[str, str, str]]:
    """Method, path and id of each operation whose path names a thing."""
    document = service.http.get("/openapi.json").json()
    return [
        (method.upper(), path, operation["operationId"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "{" in path
    ]


def parameters_of(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def test_another_projects_thing_looks_like_one_that_is_not_there(service: Service) -> None:
    """A new operation is among them by itself; one with a new parameter fails until it can be
    made here."""
    stranger = service.key_for("other", "read", "write")
    made = {name: maker(service) for name, maker in MAKERS.items()}
    seen = 0
    for method, path, operation in operations(service):
        names = parameters_of(path)
        if OF_ADMINS & set(names) or operation in MAKES_OWN:
            continue
        theirs = path.format(**{name: made[name] for name in names})
        absent_ids = {name: _missing(name) for name in names}
        for verb in (method, *(["HEAD"] if method == "GET" else [])):
            sent = SENT.get(operation, {})
            headers = stranger | sent.get("headers", {})
            options = {key: value for key, value in sent.items() if key != "headers"}
            hidden = service.http.request(verb, theirs, headers=headers, **options)
            absent = service.http.request(
                verb, path.format(**absent_ids), headers=headers, **options
            )
            where = f"{verb} {path}"
            if verb == "HEAD" and hidden.status_code == absent.status_code == 405:
                continue
            assert hidden.status_code == absent.status_code == 404, (where, hidden.text)
            if verb != "HEAD":
                assert _shown(hidden.json(), made) == _shown(absent.json(), absent_ids), where
            seen += 1
    assert seen >= 40


# The comparison claims its own job: none may be queued before it.
PAGES: Final = {
    "compare": "comparison_id",
    "jobs": "job_id",
    "models": "model_id",
    "datasets": "dataset_id",
}


def test_a_page_of_another_projects_thing_is_the_page_of_what_is_not_there(
    service: Service,
) -> None:
    stranger = service.key_for("other", "read", "write")
    headers = stranger | {"x-request-id": "the-same"}
    for folder, name in PAGES.items():
        theirs, absent = MAKERS[name](service), _missing(name)
        assert service.http.get(f"/ui/{folder}/{theirs}").status_code == 200
        hidden, missing = (
            service.http.get(f"/ui/{folder}/{one}", headers=headers) for one in (theirs, absent)
        )
        assert hidden.status_code == missing.status_code == 404
        assert hidden.headers["content-type"].startswith("text/html")
        assert hidden.text.replace(theirs, "") == missing.text.replace(absent, "")
        shown = "/ui" if folder == "jobs" else f"/ui/{folder}"
        assert theirs not in service.http.get(shown, headers=headers).text


def _shown(problem: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """A problem without what is the request's own."""
    text = {key: str(value) for key, value in problem.items() if key != "request_id"}
    for name, value in ids.items():
        text = {key: shown.replace(value, f"<{name}>") for key, shown in text.items()}
    return text


def test_only_an_admin_reaches_what_belongs_to_no_project(service: Service) -> None:
    key = service.http.post("/v1/keys", json={}).json()["id"]
    writer = service.key_for("other", "read", "write")
    for method, path, _ in operations(service):
        if OF_ADMINS & set(parameters_of(path)):
            body: dict[str, str] | None = {} if method in ("POST", "PUT") else None
            asked = path.format(key_id=key, project="default")
            answer = service.http.request(method, asked, json=body, headers=writer)
            assert answer.status_code == 403, (method, path)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/jobs", {"kind": "prune", "model": "mdl", "dataset": "digits"}),
        ("/v1/jobs", {"kind": "export", "model": "mdl", "formats": ["onnx"]}),
        ("/v1/jobs", {**TRAIN, "dataset": "dst"}),
        ("/v1/comparisons", {"models": ["mdl", "mdl2"]}),
        ("/v1/recommendations", {"model": "mdl", "targets": {"min_speedup": 2}}),
        ("/v1/datasets", {"file": "theirs.zip", "format": "image_zip"}),
    ],
)
def test_a_body_cannot_name_another_projects_thing(
    service: Service, path: str, body: dict[str, Any]
) -> None:
    stranger = service.key_for("other", "read", "write")
    real = {
        "mdl": service.add_model(),
        "mdl2": service.add_model(),
        "dst": _a_dataset(service),
        "theirs.zip": "theirs.zip",
    }
    absent = {"mdl": new_id("mdl"), "mdl2": new_id("mdl"), "dst": new_id("dst")}
    answers = []
    for ids in (real, absent | {"theirs.zip": "absent.zip"}):
        sent = {key: _named(value, ids) for key, value in body.items()}
        answer = service.http.post(path, json=sent, headers=stranger)
        assert answer.status_code in (404, 422)
        answers.append(_shown(answer.json(), ids))
    assert answers[0] == answers[1]


def _named(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_named(item, ids) for item in value]
    return ids.get(value, value) if isinstance(value, str) else value


def test_lists_show_a_project_its_own_things_only(service: Service) -> None:
    made = {name: maker(service) for name, maker in MAKERS.items()}
    stranger = service.key_for("other", "read", "write")
    document = service.http.get("/openapi.json").json()
    lists = [
        path
        for path, methods in document["paths"].items()
        if "get" in methods and "{" not in path and path.startswith("/v1/")
    ]
    assert {"/v1/jobs", "/v1/models", "/v1/datasets", "/v1/files"} <= set(lists)
    for path in set(lists) - {"/v1/events"}:  # a stream: `Feed` compares projects, see its tests
        text = service.http.get(path, headers=stranger).text
        assert not [value for value in made.values() if value in text], path
