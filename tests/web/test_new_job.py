"""Starting a job by the form."""

import json
from urllib.parse import quote

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.sample_worker import register
from tests.web.conftest import Complaints, Dashboard, accessibility_violations
from tests.web.seeding import submit


@pytest.fixture(scope="module", autouse=True)
def _a_worker(dashboard: Dashboard) -> None:
    register(dashboard.database, ("train", "distill", "prune", "quantize", "benchmark", "export"))


@pytest.fixture(autouse=True)
def _refusals(complaints: Complaints) -> None:
    complaints.expected = ("422",)  # what is not filled in yet is refused, by design


def _job(dashboard: Dashboard, page: Page) -> dict[str, object]:
    page.wait_for_url("**/ui/jobs/job_*")
    answer = httpx2.get(
        f"{dashboard.url}/v1/jobs/{page.url.rpartition('/')[2]}",
        headers={"Authorization": f"Bearer {dashboard.key}"},
    )
    spec: dict[str, object] = answer.json()["spec"]
    return spec


def test_a_job_is_started_by_filling_in_the_form(page: Page, dashboard: Dashboard) -> None:
    page.goto("/ui/jobs/new?kind=train")
    expect(page.get_by_text("Still to fill in: Architecture, Dataset.")).to_be_visible()
    assert accessibility_violations(page) == []
    page.get_by_label("Architecture", exact=True).fill("cnn_student")
    page.get_by_label("Dataset", exact=True).fill("digits")
    page.get_by_label("Epochs", exact=True).fill("7")
    page.get_by_label("Scheduler").select_option("cosine")
    expect(page.get_by_text("The service would take it.")).to_be_visible()
    yaml = page.get_by_role("region", name="YAML")
    expect(yaml).to_contain_text("architecture: cnn_student")
    expect(yaml).to_contain_text("epochs: 7")
    with page.expect_request(lambda request: request.url.endswith("/v1/jobs")) as sent:
        page.get_by_role("button", name="Start").click()
    assert len(sent.value.headers["idempotency-key"]) >= 32
    spec = _job(dashboard, page)
    training = spec["training"]
    assert isinstance(training, dict)
    assert (spec["kind"], spec["dataset"]) == ("train", "digits")
    assert (training["epochs"], training["scheduler"], training["batch_size"]) == (7, "cosine", 128)


def test_what_is_wrong_stands_beside_its_field_and_is_gone_to(page: Page) -> None:
    page.goto("/ui/jobs/new?kind=prune")
    page.locator("#panel-form > div > details > summary").click()
    page.get_by_label("Priority").fill("12")
    page.get_by_label("Priority").blur()
    expect(page.get_by_text("Input should be less than or equal to 9")).to_be_visible()
    expect(page.get_by_text("Field required")).to_have_count(0)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("Field required")).to_have_count(2)
    expect(page.get_by_label("Model", exact=True)).to_be_focused()
    page.emulate_media(color_scheme="dark")
    assert accessibility_violations(page) == []


def test_a_preset_fills_in_a_method_and_keeps_the_model(page: Page, dashboard: Dashboard) -> None:
    teacher = submit(dashboard, name="to be cut")
    page.goto(f"/ui/jobs/new?spec={quote(json.dumps({'kind': 'prune', 'model': teacher}))}")
    expect(page.get_by_role("status").filter(has_text="to be cut · queued")).to_be_visible()
    page.get_by_role("button", name="80 % zeros").click()
    page.get_by_label("Dataset", exact=True).fill("digits")
    expect(page.get_by_label("Sparsity", exact=True)).to_have_value("0.8")
    expect(page.get_by_text("The service would take it.")).to_be_visible()
    page.get_by_role("tab", name="JSON").click()
    assert json.loads(page.get_by_label("Spec of the job").input_value()) == {
        "kind": "prune",
        "model": teacher,
        "dataset": "digits",
        "method": {"name": "unstructured", "sparsity": 0.8},
        "allocation": "global",
    }


def test_the_form_follows_what_is_written_as_json(page: Page, dashboard: Dashboard) -> None:
    page.goto("/ui/jobs/new?kind=distill")
    page.get_by_role("tab", name="JSON").click()
    text = page.get_by_label("Spec of the job")
    text.fill('{"kind": "distill"')
    expect(page.get_by_text("This is no JSON yet")).to_be_visible()
    spec = {
        "kind": "distill",
        "teacher": submit(dashboard),
        "student": {"architecture": "cnn_student"},
        "dataset": "digits",
        "loss": [{"name": "kd", "alpha": 0.5, "alpha_end": None}, {"name": "dkd"}],
        "labels": {"team": "vision"},
        "training": {"epochs": 3},
    }
    text.fill(json.dumps(spec))
    page.get_by_role("tab", name="Form").click()
    expect(page.get_by_label("Alpha", exact=True).first).to_have_value("0.5")
    expect(page.get_by_label("Alpha end").first).to_have_value("")
    page.get_by_role("tab", name="JSON").click()
    assert json.loads(text.input_value()) == spec


def test_run_again_begins_with_what_was_asked_before(page: Page, dashboard: Dashboard) -> None:
    earlier = submit(dashboard, name="once", training={"epochs": 4})
    page.goto(f"/ui/jobs/new?from={earlier}")
    expect(page.get_by_label("Name", exact=True)).to_have_value("once")
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("4")
    page.get_by_label("Name", exact=True).fill("twice")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/ui/jobs/job_*")
    expect(page.get_by_role("heading", name="twice")).to_be_visible()


def test_another_kind_takes_along_the_model_and_the_data(page: Page, dashboard: Dashboard) -> None:
    model = submit(dashboard)
    spec = {"kind": "prune", "model": model, "dataset": "digits"}
    page.goto(f"/ui/jobs/new?spec={quote(json.dumps(spec))}")
    page.get_by_role("link", name="Benchmark").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(model)
    expect(page.get_by_label("Dataset", exact=True)).to_have_value("digits")
    expect(page.get_by_text("The service would take it.")).to_be_visible()


@pytest.mark.parametrize("kind", ["distill", "benchmark"])
def test_the_form_is_not_wider_than_a_telephone(page: Page, kind: str) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(f"/ui/jobs/new?kind={kind}")
    expect(page.get_by_label("Name", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_spec_that_is_none_is_refused_in_words(page: Page, complaints: Complaints) -> None:
    page.goto("/ui/jobs/new?spec=nonsense")
    expect(page.get_by_text("The spec is no JSON")).to_be_visible()
