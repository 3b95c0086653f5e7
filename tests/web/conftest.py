"""The dashboard in a real browser, over a real server; a test that wants a worker plays one."""

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from service.app import create_app
from service.auth import generate_key
from service.blobs import BlobStore, open_blobs
from service.config import Settings
from service.store.migrate import upgrade
from service.store.session import Database
from tests.waiting import wait_until

CHROMIUM = os.environ.get("MODELPRESS_TEST_CHROMIUM") or shutil.which("chromium")

expect.set_options(timeout=30_000)


@dataclass
class Nudges:
    """Keeps what would wake workers."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    def nudge(self, queue_name: str, job_id: str) -> None:
        self.sent.append((queue_name, job_id))


@dataclass
class Dashboard:
    """A server that listens, and what stands behind it."""

    url: str
    key: str
    settings: Settings
    database: Database
    blobs: BlobStore
    nudges: Nudges


@pytest.fixture(scope="module")
def dashboard(
    tmp_path_factory: pytest.TempPathFactory, charts_library: Path
) -> Iterator[Dashboard]:
    """A service with an empty store, for the tests of one file."""
    folder = tmp_path_factory.mktemp("dashboard")
    shutil.copytree(charts_library, folder / "cache")
    settings = Settings(
        data_dir=folder,
        bootstrap_key=generate_key(),
        sweep_s=3600.0,
        lease_s=3600.0,  # workers that tests play send no heartbeat
    )
    upgrade(settings.database)
    database = Database(settings.database)
    blobs, nudges = open_blobs(settings.blobs, settings.staging_dir), Nudges()
    app = create_app(settings, database=database, blobs=blobs, relay=nudges)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, 20, "the server to start")
    port = server.servers[0].sockets[0].getsockname()[1]
    assert settings.bootstrap_key is not None
    key = settings.bootstrap_key.get_secret_value()
    yield Dashboard(f"http://127.0.0.1:{port}", key, settings, database, blobs, nudges)
    app.hang_up()
    server.should_exit = True
    thread.join(timeout=20)
    database.close()


@pytest.fixture(scope="session")
def charts_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the charts library, which takes seconds to make, once for all."""
    from service.web.bundle import Bundle

    folder = tmp_path_factory.mktemp("charts")
    Bundle(folder).read()
    return folder


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, with no other tests' event loop beside it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium, or set MODELPRESS_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture
def context(browser: Browser, dashboard: Dashboard) -> Iterator[BrowserContext]:
    """A window of its own, cut off from everything but the dashboard."""
    opened = browser.new_context(
        base_url=dashboard.url, viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    opened.set_default_timeout(30_000)  # on a busy machine; what is there is found at once
    opened.route(
        lambda url: not url.startswith((dashboard.url, "data:", "blob:")),
        lambda route: route.abort(),
    )
    yield opened
    opened.close()


@dataclass
class Complaints:
    """What a page asked of others, and what the browser said of it: nothing, by the end."""

    heard: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of complaints that the test provokes."""

    def unexpected(self) -> list[str]:
        return [one for one in self.heard if not any(part in one for part in self.expected)]


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def stranger(
    context: BrowserContext, dashboard: Dashboard, complaints: Complaints
) -> Iterator[Page]:
    """A page of someone who is not signed in. Errors, broken policies and requests to anywhere
    else fail the test."""
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.heard.append(f"error: {error}"))
    page.on(
        "console",
        lambda message: (
            complaints.heard.append(f"console: {message.text}")
            if message.type in ("error", "warning")
            else None
        ),
    )
    page.on(
        "requestfailed",
        lambda request: (
            complaints.heard.append(f"external: {request.url}")
            if not request.url.startswith(dashboard.url)
            else None
        ),
    )
    yield page
    assert "\n".join(complaints.unexpected()) == ""


@pytest.fixture
def page(stranger: Page, dashboard: Dashboard) -> Page:
    """Signed in with an admin key, at the list of jobs."""
    stranger.goto(f"/ui/sign-in#key={dashboard.key}")
    stranger.wait_for_url("**/ui")
    return stranger


def accessibility_violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it stands: `rule: where`."""
    found = Axe().run(page)
    return [
        f"{violation['id']}: {node['target']} {node.get('failureSummary', '')}"
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ]


def eventually(page: Page, expression: str, within_s: float = 10.0) -> None:
    """Wait until a JavaScript expression holds. Playwright's own wait needs eval, which the page's
    policy forbids."""
    wait_until(lambda: bool(page.evaluate(expression)), within_s, expression)
