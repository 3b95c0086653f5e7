"""The dashboard in Chromium, offline: 10,000 jobs, live charts, accessibility, a newcomer's clicks.

The list and the charts are looked at over a real API process whose store is seeded; the newcomer
has a whole service of her own, as `modelpress up` starts it.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from benchmarks.figures import Options, Report, percentile
from benchmarks.seeding import JOBS, seed
from benchmarks.stack import api_process
from service.blobs import open_blobs
from service.config import Settings
from service.embedded import Stack
from service.store.session import Database
from service.store.values import Point
from tests.web.conftest import CHROMIUM, Dashboard, Nudges, accessibility_violations
from tests.web.seeding import start

_LOADS: Final = {"quick": 9, "full": 31}
_RECORDS: Final = {"quick": 40, "full": 200}
_CHART: Final = "#charts-overview .plot"
_WATCH: Final = f"""() => {{
  globalThis.drawn = [];
  const chart = document.querySelector("{_CHART}");
  new MutationObserver(() => drawn.push([Number(chart.dataset.lastStep), Date.now()]))
    .observe(chart, {{ attributes: true, attributeFilter: ["data-last-step"] }});
}}"""
_PAGES: Final = ("", "?status=failed", "/jobs/new", "/models", "/datasets", "/compare", "/workers")


def run(options: Options) -> Report:
    """Needs Chromium, and for the times both cores."""
    report = Report()
    if CHROMIUM is None:
        report.skip("the dashboard", "no Chromium: apt-get install chromium")
        return report
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        with _busy_team() as dashboard:
            with _window(browser, dashboard.url, dashboard.key) as (page, outside):
                _list(report, page, _LOADS[options.budget])
                job = _lag(report, page, dashboard, _RECORDS[options.budget], options.seed)
                _violations(report, page, job)
            report.at_most("requests to anywhere else", len(outside), "", 0, "0")
        _newcomer(report, browser)
        browser.close()
    return report


@contextmanager
def _busy_team() -> Iterator[Dashboard]:
    """A service whose store holds what a team leaves in a week; workers are played."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="mp-")))
        client = exits.enter_context(api_process(folder)).client
        settings = Settings(data_dir=folder)
        database = exits.enter_context(closing(Database(settings.database)))
        seed(database, "default")
        yield Dashboard(
            str(client.base_url).rstrip("/"),
            client.headers["authorization"].removeprefix("Bearer "),
            settings,
            database,
            open_blobs(settings.blobs, settings.staging_dir),
            Nudges(),
        )


@contextmanager
def _window(browser: Browser, url: str, key: str) -> Iterator[tuple[Page, list[str]]]:
    """A window that is signed in, and the requests that it made to anywhere else."""
    context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    outside = _cut_off(context, url)
    page = context.new_page()
    page.goto(f"/ui/sign-in#key={key}")
    page.wait_for_url("**/ui")
    yield page, outside
    context.close()


def _cut_off(context: BrowserContext, url: str) -> list[str]:
    outside: list[str] = []

    def refuse(route: object) -> None:
        outside.append(route.request.url)  # type: ignore[attr-defined]
        route.abort()  # type: ignore[attr-defined]

    context.route(lambda asked: not asked.startswith((url, "data:", "blob:")), refuse)
    return outside


def _list(report: Report, page: Page, loads: int) -> None:
    """Usable: its first rows are there, its scripts have run, and one can type into the filter."""
    times = []
    for number in range(loads + 1):
        started = time.perf_counter()
        page.goto("/ui", wait_until="domcontentloaded")
        page.locator("[data-job]").first.wait_for()
        page.get_by_label("Name or label").fill("vision")
        if number:  # the first load also fetches styles and scripts
            times.append(time.perf_counter() - started)
    middle = statistics.median(times)
    report.at_most(f"list of {JOBS:,} jobs, usable, median of {loads}", middle, "s", 0.5, "≤ 0.5 s")
    report.told("list, slowest", max(times), "s")


def _lag(report: Report, page: Page, dashboard: Dashboard, records: int, number: int) -> str:
    """From a point's commit to its being drawn, while a played worker writes. Returns the job."""
    job, chance = start(dashboard, name="watched"), random.Random(number)
    job.record([Point("loss", 1, 1.0)], step=1, total=10_000)
    page.goto(f"/ui/jobs/{job.id}")
    expect(page.locator(_CHART).first).to_have_attribute("data-last-step", "1", timeout=60_000)
    page.evaluate(_WATCH)
    written, step = [], 1
    for _ in range(records):
        step += 7
        points = [Point("loss", one, 1 / (one % 97 + 1)) for one in range(step - 6, step + 1)]
        job.record(points, step=step, total=10_000)
        written.append((step, 1000 * time.time()))
        page.wait_for_timeout(500 + 600 * chance.random())
    page.wait_for_timeout(3000)
    drawn = page.evaluate("drawn")
    lags = [
        (min((at for last, at in drawn if last >= step), default=float("inf")) - at_ms) / 1000
        for step, at_ms in written
    ]
    p95 = percentile(lags, 95)
    report.at_most(f"point written to drawn, p95 of {records}", p95, "s", 1.5, "p95 ≤ 1.5 s")
    report.told("point written to drawn, p50", percentile(lags, 50), "s")
    started = time.perf_counter()
    page.goto("/ui?status=running")
    page.get_by_role("row").filter(has=page.get_by_role("progressbar")).last.wait_for()
    report.told("list of what runs", time.perf_counter() - started, "s")
    return job.id


def _violations(report: Report, page: Page, job: str) -> None:
    """What axe-core finds, in light and dark."""
    found = []
    for path in (*_PAGES, f"/jobs/{job}", "/jobs/job_missing"):
        page.goto(f"/ui{path}")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            found += [f"/ui{path} {scheme} {one}" for one in accessibility_violations(page)]
    name = f"axe-core violations, {len(_PAGES) + 2} pages, light and dark"
    report.at_most(name, len(found), "", 0, "0")
    for one in found:
        report.told(one[:200], 1.0, "")


def _newcomer(report: Report, browser: Browser) -> None:
    """From the link that `modelpress up` prints to a compressed model on the disk."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="mp-")))
        stack = exits.enter_context(Stack(folder, port=0))
        page, _ = exits.enter_context(_window(browser, stack.url, stack.key))
        clicks, started = 0, time.perf_counter()
        page.get_by_role("button", name="Try it on handwritten digits").click()
        clicks += 1
        page.wait_for_url("**/ui/jobs/job_*")
        expect(page.locator("[data-status=succeeded]").first).to_be_visible(timeout=600_000)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").first.click()
            clicks += 1
        size = Path(download.value.path()).stat().st_size
        took = time.perf_counter() - started
    report.at_most("clicks to a compressed model", clicks, "", 5, "≤ 5")
    report.told("until it was downloaded", took, "s")
    report.told("size of what was downloaded", size / 1000, "kB")
