"""The list of jobs in the browser, and where one begins."""

import pytest
from playwright.sync_api import Page, expect

from service.store.values import Succeeded
from tests.sample_worker import register
from tests.web.conftest import Dashboard, accessibility_violations
from tests.web.seeding import PLAN, start, submit


@pytest.fixture(scope="module", autouse=True)
def _a_worker(dashboard: Dashboard) -> None:
    register(dashboard.database, ("train", "distill", "quantize"))


def test_one_who_begins_starts_three_jobs_with_one_click(page: Page, dashboard: Dashboard) -> None:
    expect(page.get_by_role("heading", name="Make a model smaller and faster")).to_be_visible()
    assert accessibility_violations(page) == []
    page.get_by_role("button", name="Try it on handwritten digits").click()
    page.wait_for_url("**/ui/jobs/job_*")
    expect(page.get_by_role("heading", name="Digits: student in int8")).to_be_visible()
    page.goto("/ui")
    waiting = page.get_by_role("row", name="Digits: student in int8")
    expect(waiting.get_by_text("waits for")).to_be_visible()
    expect(waiting.get_by_role("link", name="Digits: student", exact=True)).to_be_visible()
    expect(page.get_by_text("3 wait")).to_be_visible()
    expect(page.get_by_text("The broker does not answer.")).to_be_visible()
    for name in ("student in int8", "student", "teacher"):
        page.get_by_role("button", name=f"Cancel Digits: {name}", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="cancelled")).to_have_count(3)


def test_the_list_follows_a_job_over_one_stream(page: Page, dashboard: Dashboard) -> None:
    streams: list[str] = []
    page.on("request", lambda r: streams.append(r.url) if "events" in r.url else None)
    page.goto("/ui")
    running = start(dashboard, name="live one", labels={"team": "vision"})
    row = page.get_by_role("row", name="live one")
    expect(row.get_by_text("running")).to_be_visible()
    running.record(step=25, total=100, phase="training")
    expect(row.get_by_text("training")).to_be_visible()
    bar = row.get_by_role("progressbar")
    expect(bar).to_have_js_property("value", 0.25)
    assert accessibility_violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert accessibility_violations(page) == []
    running.record(step=50, total=100, phase="training")
    expect(bar).to_have_js_property("value", 0.5)
    running.finish(Succeeded(PLAN, {"test_accuracy": 0.9725}))
    expect(row.get_by_text("Test accuracy 97.25 %")).to_be_visible()
    assert set(streams) == {f"{dashboard.url}/v1/events"}  # and none for each job


def test_a_job_is_paused_and_resumed_from_its_row(page: Page, dashboard: Dashboard) -> None:
    submit(dashboard, name="later")
    page.goto("/ui?q=later")
    page.get_by_role("button", name="Pause later").click()
    row = page.get_by_role("row", name="later")
    expect(row.get_by_text("paused", exact=True)).to_be_visible()
    page.get_by_role("button", name="Resume later").click()
    expect(row.get_by_text("queued", exact=True)).to_be_visible()


def test_jobs_are_found_by_name_label_kind_and_status(page: Page, dashboard: Dashboard) -> None:
    submit(dashboard, name="the needle", labels={"team": "speech"})
    page.goto("/ui")
    page.get_by_label("Name or label").fill("needle")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="team=speech").click()
    expect(page).to_have_url("/ui?label=team%3Dspeech")
    expect(page.get_by_role("row")).to_have_count(2)
    page.goto("/ui")
    page.get_by_label("Kind").select_option("benchmark")
    expect(page.get_by_role("heading", name="No job is like that")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.get_by_role("link", name="Queued").click()
    expect(page).to_have_url("/ui?status=queued")
    expect(page.get_by_role("row", name="the needle")).to_be_visible()


def test_a_long_list_is_read_page_by_page(page: Page, dashboard: Dashboard) -> None:
    for number in range(52):
        submit(dashboard, name=f"many {number:02}", labels={"row": "long"})
    page.goto("/ui?q=many")
    expect(page.get_by_role("row")).to_have_count(51)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="many 00")).to_be_visible()
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("link", name="many 51")).to_be_visible()


@pytest.mark.parametrize("width", [400, 1280])
def test_the_list_is_not_wider_than_the_window(
    page: Page, dashboard: Dashboard, width: int
) -> None:
    submit(dashboard, name="a name that goes on and on without a space" * 2)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/ui")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
