"""Comparisons over HTTP: what may be named, what is kept, in which forms it is shown."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from service.contract.ids import new_id
from service.drawing import TURNS
from service.reports import documents
from service.store.comparisons import ComparisonStore
from service.store.values import Succeeded
from tests.api.conftest import Service
from tests.api.test_jobs import TRAIN, a_model, fail, finish, pointers
from tests.comparisons.samples import benchmark, latency, measured
from tests.reports import samples
from tests.reports.pages import Page
from tests.waiting import wait_until


def benchmarked(service: Service, teacher: str, student: str) -> str:
    """A finished benchmark of two models, the second eight times faster."""
    spec = {"kind": "benchmark", "models": [teacher, student], "dataset": "digits"}
    job: str = service.http.post("/v1/jobs", json=spec).json()["id"]
    result = benchmark(
        measured(samples.TEACHER, 352, latency(4.0)),
        measured(samples.STUDENT, 350, latency(0.5), speedup=8.0),
    ).model_dump_json()
    result = result.replace(samples.TEACHER, teacher).replace(samples.STUDENT, student)
    assert finish(service, Succeeded(result=json.loads(result))) == job
    return job


@pytest.fixture
def pair(service: Service) -> tuple[str, str]:
    """Two models that a finished benchmark measured."""
    teacher, student = service.add_model(), service.add_model()
    benchmarked(service, teacher, student)
    return teacher, student


def compare(service: Service, *models: str, **asked: Any) -> Any:
    return service.http.post("/v1/comparisons", json={"models": list(models), **asked})


def test_two_models_are_compared_by_what_a_benchmark_measured(
    service: Service, pair: tuple[str, str]
) -> None:
    answer = compare(service, *pair, targets={"min_speedup": 6, "max_accuracy_drop_points": 0.1})
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/v1/comparisons/{made['id']}"
    values = made["values"]
    assert values["baseline"] == pair[0]
    student = values["models"][1]
    assert student["latencies"][0]["speedup"]["value"] == 8.0
    assert student["against"]["compression_ratio"] == pytest.approx(1_412_682 / 148_330)
    assert {one["name"]: one["outcome"] for one in student["verdict"]["targets"]} == {
        "min_speedup": "met",
        "max_accuracy_drop_points": "missed",  # 2 of 360 are 0.56 points
    }
    assert [table["id"] for table in made["tables"]][:2] == ["summary", "against"]
    assert [chart["id"] for chart in made["charts"]] == [
        "pareto",
        "class-change",
        "calibration",
        "sizes",
    ]


def test_a_benchmark_stands_for_what_it_measured_and_a_job_for_what_it_made(
    service: Service, pair: tuple[str, str]
) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    made = a_model()
    result = samples.train()[1].model_copy(update={"model": made.id})
    finish(service, Succeeded(result=result.model_dump(mode="json"), models=(made,)))
    measured_by = service.http.get("/v1/jobs", params={"kind": "benchmark"}).json()["data"][0]["id"]
    values = compare(service, measured_by, job, baseline=job).json()["values"]
    assert [one["model"] for one in values["models"]] == [*pair, made.id]
    assert values["baseline"] == made.id
    assert values["models"][2]["made_by"] == "train"
    alone = compare(service, measured_by)
    assert alone.status_code == 201
    assert [one["model"] for one in alone.json()["values"]["models"]] == [*pair]


def test_what_was_gathered_stays_when_the_jobs_are_gone(
    service: Service, pair: tuple[str, str]
) -> None:
    made = compare(service, *pair).json()
    for job in service.http.get("/v1/jobs").json()["data"]:
        assert service.http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert service.http.delete(f"/v1/models/{pair[1]}").status_code == 204
    assert service.http.get(f"/v1/comparisons/{made['id']}").json() == made
    again = compare(service, pair[0], service.add_model()).json()
    assert again["values"]["models"][0]["test"] is None


def test_what_is_not_there_is_404_and_pointed_at(service: Service, pair: tuple[str, str]) -> None:
    foreign = service.add_model("other")
    for unknown in (new_id("mdl"), new_id("job"), foreign):
        answer = compare(service, pair[0], unknown)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert pointers(answer) == ["#/models/1"]
    made = compare(service, *pair).json()["id"]
    stranger = service.key_for("other")
    path = f"/v1/comparisons/{made}"
    assert service.http.get(path, headers=stranger).status_code == 404
    reader = service.key_for("default", "read")
    assert service.http.get(path, headers=reader).status_code == 200
    asked = {"models": list(pair)}
    assert service.http.post("/v1/comparisons", json=asked, headers=reader).status_code == 403


def test_what_is_not_finished_is_a_conflict_and_what_failed_is_invalid(
    service: Service, pair: tuple[str, str]
) -> None:
    job = service.http.post("/v1/jobs", json=TRAIN).json()["id"]
    waiting = compare(service, pair[0], job)
    assert (waiting.status_code, waiting.json()["code"]) == (409, "not_finished")
    fail(service)
    failed = compare(service, pair[0], job)
    assert (failed.status_code, failed.json()["code"]) == (422, "unusable_reference")
    file = {"file": "weights.safetensors", "architecture": "cnn_student"}
    header = b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    content = len(header).to_bytes(8, "little") + header + b"\0"
    service.http.put("/v1/files/weights.safetensors", content=content)
    checking = service.http.post("/v1/models", json=file).json()["id"]
    unchecked = compare(service, pair[0], checking)
    assert (unchecked.status_code, unchecked.json()["code"]) == (409, "not_ready")


def test_requests_that_compare_nothing_are_refused(service: Service, pair: tuple[str, str]) -> None:
    assert pointers(compare(service, pair[0], pair[0])) == ["#/models"]
    assert pointers(compare(service, pair[0])) == ["#/models"]
    assert pointers(compare(service)) == ["#/models"]
    assert pointers(compare(service, *pair, baseline=service.add_model())) == ["#/baseline"]
    assert pointers(compare(service, *pair, targets={"batch_size": 4})) == ["#/targets"]
    assert pointers(compare(service, *pair, axes=["loss"]))[0] == "#/axes/0"
    job = service.http.get("/v1/jobs", params={"kind": "benchmark"}).json()["data"][0]["id"]
    assert pointers(compare(service, *pair, baseline=job)) == ["#/baseline"]


def test_one_comparison_comes_as_json_page_text_and_picture(
    service: Service, pair: tuple[str, str]
) -> None:
    path = f"/v1/comparisons/{compare(service, *pair, name='<b>two</b>').json()['id']}"
    read = service.http.get(path)
    assert documents.DOCUMENTS.validate_json(read.content).title == "<b>two</b>"
    page = service.http.get(path, headers={"accept": "text/html"})
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<b>two</b>" in Page(page.text).text
    again = service.http.get(path, headers={"accept": "text/html"})
    assert again.headers["etag"] == page.headers["etag"]
    assert "| #2 a model |".replace("#", "\\#") in service.http.get(path + "?format=md").text
    with Image.open(io.BytesIO(service.http.get(path + "?format=png").content)) as picture:
        assert picture.format == "PNG"
    svg = service.http.get(path, params={"format": "svg"})
    assert svg.headers["content-type"] == "image/svg+xml"
    assert svg.content.startswith(b"<svg")
    same = service.http.get(path, headers={"if-none-match": read.headers["etag"]})
    assert same.status_code == 304
    assert service.http.get(path, headers={"accept": "video/mp4"}).status_code == 406


def test_what_another_is_drawing_is_not_drawn_twice(
    service: Service, pair: tuple[str, str]
) -> None:
    made = compare(service, *pair).json()["id"]
    page = f"/v1/comparisons/{made}?format=html"
    with ThreadPoolExecutor(1) as pool:
        with TURNS.of(made):
            busy = service.http.get(page)
            assert (busy.status_code, busy.json()["code"]) == (503, "being_drawn")
            assert busy.headers["retry-after"] == "2"
            waiting = pool.submit(service.http.get, page)
            wait_until(lambda: TURNS.waiting == 1, 5, "the other request")
            blob = service.blobs.put_bytes(b"<html>drawn by the first</html>")
            with service.database.transaction() as session:
                files = {"report.html": (blob.sha256, blob.bytes)}
                ComparisonStore(session).keep_files(made, files)
        assert waiting.result(30).content == b"<html>drawn by the first</html>"


def test_head_draws_nothing(service: Service, pair: tuple[str, str]) -> None:
    made = compare(service, *pair).json()["id"]
    head = service.http.head(f"/v1/comparisons/{made}", headers={"accept": "text/html"})
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/html")
    assert "content-length" not in head.headers
    with service.database.read() as session:
        assert ComparisonStore(session).file(made, "report.html") is None


def test_comparisons_are_listed_newest_first_and_forgotten(
    service: Service, pair: tuple[str, str]
) -> None:
    first, second = (compare(service, *pair, name=name).json() for name in ("first", "second"))
    page = service.http.get("/v1/comparisons", params={"limit": 1}).json()
    assert (page["has_more"], page["last_id"]) == (True, second["id"])
    (listed,) = page["data"]
    assert (listed["title"], listed["headline"]) == ("second", second["headline"])
    assert listed["request"] == second["values"]["request"]
    assert listed["created_at"] == second["created_at"]
    rest = service.http.get("/v1/comparisons", params={"after": second["id"]}).json()
    assert [one["id"] for one in rest["data"]] == [first["id"]]
    assert rest["has_more"] is False
    path = f"/v1/comparisons/{first['id']}"
    stranger, reader = service.key_for("other"), service.key_for("default", "read")
    assert service.http.get("/v1/comparisons", headers=stranger).json()["data"] == []
    assert service.http.delete(path, headers=stranger).status_code == 404
    assert service.http.delete(path, headers=reader).status_code == 403
    assert service.http.delete(path).status_code == 204
    assert service.http.get(path).status_code == 404
    assert service.http.delete(path).status_code == 404
    assert service.http.get(f"/v1/models/{pair[0]}").status_code == 200


def test_benchmarks_are_32_in_all_and_those_that_are_named_among_them(
    service: Service, pair: tuple[str, str]
) -> None:
    (oldest,) = (job["id"] for job in service.http.get("/v1/jobs").json()["data"])
    newest = [benchmarked(service, *pair) for _ in range(32)]
    more = "There are more benchmarks of these models than are read: the newest count."
    by_age = compare(service, *pair).json()["values"]
    assert {one["job"] for one in by_age["sources"]} == {*newest}
    assert more in by_age["warnings"]
    named = compare(service, oldest).json()["values"]
    assert named["sources"][0]["job"] == oldest
    assert {one["job"] for one in named["sources"]} == {oldest, *newest[1:]}
    assert more in named["warnings"]
