"""The page of a job, while it waits, runs and after its end."""

import json

import httpx2
from playwright.sync_api import Page, expect

from service.auth import generate_key, new_key
from service.contract.job_errors import JobError
from service.store.keys import KeyStore
from service.store.values import Failed, NewArtifact, NewEvent, Paused, Point, Succeeded
from tests.web.conftest import Complaints, Dashboard, accessibility_violations, eventually
from tests.web.seeding import PLAN, Running, epoch, start, submit

HEADLINE = "It keeps 98.00 % of the accuracy."


def points(name: str, *steps: int) -> list[Point]:
    """A series that falls as 1 ÷ step."""
    return [Point(name, step, 1 / step) for step in steps]


def reports(dashboard: Dashboard) -> tuple[NewArtifact, ...]:
    """Those of a job, as short as they may be."""
    made = []
    for suffix, media_type, text in (
        ("json", "application/json", json.dumps({"headline": HEADLINE})),
        ("html", "text/html", f"<!doctype html><title>R</title><h1>{HEADLINE}</h1>"),
    ):
        blob = dashboard.blobs.put_bytes(text.encode())
        made.append(NewArtifact(f"report.{suffix}", "report", media_type, blob.sha256, blob.bytes))
    return tuple(made)


def succeed(job: Running) -> None:
    job.finish(
        Succeeded(
            result=PLAN | {"of": "train"},
            metrics={"test_accuracy": 0.9725, "speedup": 3.5},
            artifacts=reports(job.dashboard),
        )
    )


def show_all(page: Page) -> None:
    """Every panel at once, for a look at all of them."""
    page.evaluate(
        "document.querySelectorAll('[role=tabpanel]').forEach((one) => { one.hidden = false; })"
    )


def test_curves_grow_and_the_page_turns_to_the_end_without_a_reload(
    page: Page, dashboard: Dashboard
) -> None:
    job = start(dashboard, name="Student <b>one</b>", labels={"team": "vision"})
    job.record([*points("loss", 1, 2, 4), Point("validation_loss", 4, 0.3)], step=4)
    page.goto(f"/ui/jobs/{job.id}")
    page.evaluate("globalThis.sameDocument = true")
    last = "document.querySelector('#charts-overview .plot')?.dataset.lastStep"
    eventually(page, f"{last} === '4'")
    job.record(points("loss", 5, 8), step=8, events=[epoch(1, 0.25)])
    job.record([Point("validation_loss", 8, 0.2), Point("accuracy", 8, 0.5)], step=9)
    eventually(page, f"{last} === '8'")
    expect(page.get_by_role("img", name="Loss by step")).to_have_attribute(
        "aria-label",
        "Loss by step. Training 0.1250 at step 8; lowest 0.1250, highest 1.000. "
        "Validation 0.2000 at step 8; lowest 0.2000, highest 0.3000.",
    )
    expect(page.get_by_text("step 9 of 100")).to_be_visible()
    succeed(job)
    expect(page.locator("h1 .badge")).to_have_text("succeeded")
    expect(page.get_by_text(HEADLINE)).to_be_hidden()  # of a plan it says the same
    expect(page.locator(".figures")).to_contain_text("97.25 %")
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    page.get_by_role("tab", name="Events").click()
    expect(page.locator("#event-list li").last).to_contain_text("Succeeded")
    expect(page.locator("#event-list")).to_contain_text("Epoch 1: loss 0.2500")
    assert page.evaluate("globalThis.sameDocument")


def test_a_finished_job_opens_no_stream_and_shows_its_report_in_a_frame(
    page: Page, dashboard: Dashboard
) -> None:
    job = start(dashboard)
    job.record(points("loss", 1, 2), step=2, log="ünï\n".encode())
    succeed(job)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/ui/jobs/{job.id}#report")
    frame = page.frame_locator("iframe.report")
    expect(frame.get_by_role("heading", name=HEADLINE)).to_be_visible()
    page.get_by_role("tab", name="Report").press("Home")
    expect(page.get_by_role("tab", name="Overview")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(f"/ui/jobs/{job.id}#log")
    expect(page.locator("#log-text")).to_have_text("ünï\n")
    assert not [url for url in asked if "/events" in url]


def test_every_tab_can_be_read_and_reached(page: Page, dashboard: Dashboard) -> None:
    job = start(dashboard)
    job.record(points("loss", 1, 2), step=2, events=[NewEvent("warning", {"message": "a `b`"})])
    job.keep_checkpoint(2)
    job.finish(Failed(JobError.of("diverged", "loss is not finite at step 3"), retry=False))
    page.goto(f"/ui/jobs/{job.id}")
    eventually(page, "document.querySelector('.plot')?.dataset.lastStep === '2'")
    show_all(page)
    assert accessibility_violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert accessibility_violations(page) == []


def test_a_failed_job_says_what_to_do_and_is_tried_again_from_its_checkpoint(
    page: Page, dashboard: Dashboard
) -> None:
    job = start(dashboard)
    job.keep_checkpoint(1500)
    job.finish(Failed(JobError.of("diverged", "loss is not finite at step 1501"), retry=False))
    page.goto(f"/ui/jobs/{job.id}")
    expect(page.get_by_text("Lower training.learning_rate, or set")).to_be_visible()
    page.get_by_role("tab", name="Files").click()
    expect(page.get_by_role("rowheader", name="1,500")).to_be_visible()
    page.get_by_role("button", name="Retry from step 1,500").click()
    expect(page.locator("h1 .badge")).to_have_text("queued")
    expect(page.get_by_text("retry of")).to_be_visible()


def test_a_queued_job_says_what_it_waits_for_and_is_cancelled_when_one_is_sure(
    page: Page, dashboard: Dashboard
) -> None:
    first = submit(dashboard, name="the teacher")
    waiting = submit(dashboard, model=first)
    page.goto(f"/ui/jobs/{waiting}")
    waits = page.get_by_label("Why it waits")
    expect(waits.get_by_role("link", name="the teacher")).to_have_attribute(
        "href", f"/ui/jobs/{first}"
    )
    expect(waits).to_contain_text("for a worker: none is alive")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Let it go on").click()
    expect(page.locator("h1 .badge")).to_have_text("queued")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator("h1 .badge")).to_have_text("cancelled")
    expect(page.get_by_text("It was cancelled before it began.")).to_be_visible()


def test_a_job_is_paused_and_resumed_and_the_button_keeps_the_focus_near(
    page: Page, dashboard: Dashboard
) -> None:
    job = start(dashboard)
    job.record(step=3)
    page.goto(f"/ui/jobs/{job.id}")
    page.get_by_role("button", name="Pause").press("Enter")
    expect(page.locator("h1 .badge")).to_have_text("pausing")
    job.keep_checkpoint(3)
    job.finish(Paused())
    expect(page.locator("h1 .badge")).to_have_text("paused")
    expect(page.get_by_text("Resuming goes on from step 3 of 100.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("h1 .badge")).to_have_text("queued")


def test_a_log_begins_with_its_end_and_follows(page: Page, dashboard: Dashboard) -> None:
    job = start(dashboard)
    lines = "".join(f"line {number} é\n" for number in range(8000))
    job.record(log=lines.encode())
    page.goto(f"/ui/jobs/{job.id}#log")
    log = page.locator("#log-text")
    expect(log).to_contain_text("line 7999 é")
    assert "line 1 é" not in log.inner_text()
    job.record(log=b"the last word\n", step=1)
    expect(log).to_contain_text("the last word")
    eventually(
        page,
        "(() => { const l = document.getElementById('log-text');"
        " return l.scrollTop + l.clientHeight > l.scrollHeight - 5; })()",
    )
    page.get_by_role("button", name="Load earlier lines").click()
    expect(log).to_have_text(lines + "the last word\n")
    expect(page.get_by_role("button", name="Load earlier lines")).to_be_hidden()


def test_a_job_of_others_is_not_there(
    page: Page, dashboard: Dashboard, complaints: Complaints
) -> None:
    complaints.expected = ("404",)
    with dashboard.database.transaction() as session:
        secret = generate_key()
        KeyStore(session).create(new_key(secret, "others", "test", ("read",)))
    mine = submit(dashboard)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/sign-in")
    page.goto(f"/ui/sign-in#key={secret}")
    page.wait_for_url("**/ui")
    answer = page.goto(f"/ui/jobs/{mine}")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading")).to_have_text("Not found")


def test_each_state_says_what_happens_next(dashboard: Dashboard) -> None:
    def shown(job_id: str) -> str:
        answer = httpx2.get(
            f"{dashboard.url}/ui/jobs/{job_id}",
            headers={"Authorization": f"Bearer {dashboard.key}"},
        )
        assert answer.status_code == 200
        return " ".join(answer.text.split())

    lost = start(dashboard)
    lost.finish(Failed(JobError.of("worker_lost", "no word for 10 s"), retry=True))
    assert "<strong>The attempt before:</strong> no word for 10 s" in shown(lost.id)
    forgotten = start(dashboard)
    forgotten.finish(Failed(JobError.of("timeout", "after 60 s"), retry=False))
    page = shown(forgotten.id)
    assert "they are forgotten 7 days after a job's end" in page
    assert "A retry begins at the start." in page
    assert "Retry from the start" in page
    assert "Retry from step" not in page
    hostile = start(dashboard, name='</script><img src="x">')
    hostile.record(events=[NewEvent("warning", {"message": "</script><b>"})], step=50)
    page = shown(hostile.id)
    assert "<img src=" not in page.replace('<img src="/ui/assets', "")
    assert "</script><b>" not in page
    assert "step 50 of 100" in page
    hostile.finish(Succeeded(result=PLAN, metrics={"parameters": 148330}))
    page = shown(hostile.id)
    assert "It would train for a step." in page
    assert "148,330" in page
    assert "It has no report." in page


def test_a_key_that_may_only_read_sees_no_buttons(page: Page, dashboard: Dashboard) -> None:
    with dashboard.database.transaction() as session:
        secret = generate_key()
        KeyStore(session).create(new_key(secret, "default", "test", ("read",)))
    job = submit(dashboard)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/ui/sign-in")
    page.goto(f"/ui/sign-in#key={secret}")
    page.wait_for_url("**/ui")
    page.goto(f"/ui/jobs/{job}")
    expect(page.locator("h1 .badge")).to_have_text("queued")
    assert page.locator("#job-head button").count() == 0
    assert page.locator("#job-head .button").count() == 0
