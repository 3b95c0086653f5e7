"""Pictures of the dashboard for the documentation: a chain of real jobs on a service of its own.

`make docs` runs it when the pages have changed. Nothing is committed: the pictures lie in
docs/screenshots/, and the documentation builds without them.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from playwright.sync_api import Browser, FloatRect, Page, sync_playwright
from sklearn.datasets import load_digits

from service.client import Client, Dataset, Job
from service.embedded import Stack

FOLDER: Final = Path(__file__).parents[1] / "docs" / "screenshots"
TAKEN: Final = FOLDER / ".taken"  # make compares its age with that of the pages
_WIDE: Final = (1280, 800)
_NARROW: Final = (400, 800)
_LONGEST_S: Final = 600.0
_POLL_S: Final = 0.2
_EPOCHS: Final = 12
_WANTED_EPOCHS: Final = 6  # before a curve looks like one

Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Chain:
    """What the pictures show."""

    dataset: Dataset
    teacher: Job
    student: Job
    pruned: Job
    small: Job
    benchmark: Job

    @property
    def jobs(self) -> tuple[Job, ...]:
        """In the order in which they run."""
        return (self.teacher, self.student, self.pruned, self.small, self.benchmark)


@dataclass(frozen=True)
class Shot:
    """A page, and what must stand on it before it is taken."""

    name: str
    path: str
    awaited: str
    size: tuple[int, int] = _WIDE
    scheme: Scheme = "light"
    inside: str | None = None
    """A selector within the awaited frame."""


def chromium() -> str | None:
    """The browser that the tests use too."""
    return os.environ.get("MODELPRESS_TEST_CHROMIUM") or shutil.which("chromium")


def submit(client: Client, folder: Path) -> Chain:
    """Queue all of it at once: a job waits for those it names."""
    digits, labels = load_digits(return_X_y=True)
    images = np.round(digits.reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8)
    large = images.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)
    path = folder / "digits.npz"
    parts = {"x_train": large[:1438], "y_train": labels[:1438]}
    np.savez(path, **parts, x_test=large[1438:], y_test=labels[1438:])
    dataset = client.datasets.register(path, format="npz", name="handwritten digits")
    training = {"batch_size": 32, "scheduler": "cosine"}
    teacher = client.train(
        "cnn_teacher", dataset, name="teacher", training={**training, "epochs": 3}
    )
    student = client.distill(
        teacher,
        "cnn_student",
        dataset,
        name="student",
        training={**training, "epochs": _EPOCHS, "learning_rate": 3e-3},
    )
    pruned = client.prune(
        student,
        dataset,
        name="half the channels",
        method={"name": "structured", "pruning_ratio": 0.5},
        finetune={"epochs": 6, "batch_size": 32},
    )
    small = client.quantize(pruned, dataset, name="int8", method={"name": "static_int8"})
    benchmark = client.benchmark(
        [teacher, student, pruned, small],
        dataset,
        name="all four",
        batch_sizes=[1, 32],
        runtimes=["onnxruntime"],
        blocks=6,
        block_s=0.15,
        executions=1,
    )
    return Chain(dataset, teacher, student, pruned, small, benchmark)


def shots(chain: Chain, comparison: str) -> Iterator[Shot]:
    """The pictures of what is finished."""
    student = f"/ui/jobs/{chain.student.id}"
    model = f"/ui/models/{chain.pruned.model.id}"
    yield Shot("jobs", "/ui", "main table")
    yield Shot("jobs-dark", "/ui", "main table", scheme="dark")
    yield Shot("jobs-narrow", "/ui", "main h1", size=_NARROW)
    yield Shot("new-job", "/ui/jobs/new", "main form")
    yield Shot("job", student, "#charts-overview canvas")
    yield Shot("job-dark", student, "#charts-overview canvas", scheme="dark")
    yield Shot("job-narrow", student, "#charts-overview canvas", size=_NARROW)
    yield Shot("report", f"{student}#report", "#panel-report iframe", inside="table")
    yield Shot("models", "/ui/models", "main table")
    yield Shot("model", model, "svg.lineage")
    yield Shot("comparison", f"/ui/compare/{comparison}", "#front canvas")
    yield Shot("dataset", f"/ui/datasets/{chain.dataset.id}", "main h1")
    yield Shot("workers", "/ui/workers", "main .card")


def take(browser: Browser, stack: Stack, shot: Shot) -> None:
    """Sign in, open the page, and keep what a window of that size shows of it."""
    with _signed_in(browser, stack, shot) as page:
        answer = page.goto(shot.path, wait_until="load")
        if answer is None or not answer.ok:
            raise SystemExit(f"{shot.path} answers {answer and answer.status}: no {shot.name}.png")
        page.locator(shot.awaited).first.wait_for()
        if shot.inside is not None:
            page.frame_locator(shot.awaited).locator(shot.inside).first.wait_for()
        _until_still(page)
        _keep(page, shot)
    sys.stdout.write(f"docs/screenshots/{shot.name}.png\n")


@contextmanager
def _signed_in(browser: Browser, stack: Stack, shot: Shot) -> Iterator[Page]:
    width, height = shot.size
    context = browser.new_context(
        base_url=stack.url,
        viewport={"width": width, "height": height},
        color_scheme=shot.scheme,
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.goto(f"/ui/sign-in#key={stack.key}")
        page.wait_for_url("**/ui")
        yield page
    finally:
        context.close()


def _keep(page: Page, shot: Shot) -> None:
    """Without the strip at the right that is kept free for a scroll bar."""
    width = page.evaluate("document.body.getBoundingClientRect().width")
    clip: FloatRect = {"x": 0, "y": 0, "width": width, "height": shot.size[1]}
    page.screenshot(path=FOLDER / f"{shot.name}.png", clip=clip)


def _until_still(page: Page) -> None:
    """Two pictures in a row that are the same: fonts, images and charts are there. What counts
    seconds never stands still, so this gives up after a few."""
    before = b""
    for _ in range(10):
        now = page.screenshot()
        if now == before:
            return
        before = now
        page.wait_for_timeout(300)


def _wait(stack: Stack, holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _LONGEST_S
    while not holds():
        stack.check()
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} took longer than {_LONGEST_S:.0f} s")
        time.sleep(_POLL_S)


def _has_curves(job: Job) -> bool:
    counts = [series.count for series in job.metrics(["validation_loss"])]
    return max(counts, default=0) >= _WANTED_EPOCHS or job.refresh().is_done


def _photograph(browser: Browser, folder: Path) -> None:
    with Stack(folder / "data", port=0) as stack, Client(stack.url, stack.key) as client:
        chain = submit(client, folder)
        _wait(stack, lambda: _has_curves(chain.student), "the student's first epochs")
        path = f"/ui/jobs/{chain.student.id}"
        take(browser, stack, Shot("running", path, "#charts-overview canvas"))
        _wait(stack, lambda: chain.benchmark.refresh().is_done, "the chain of jobs")
        for job in chain.jobs:
            job.wait()
        compared = client.comparisons.create([chain.benchmark], name="a chain of four")
        for shot in shots(chain, compared.id):
            take(browser, stack, shot)


def main() -> None:
    """Take them all; without a browser say so and leave the documentation without pictures."""
    executable = chromium()
    if executable is None:
        sys.stderr.write(
            "No Chromium, so the documentation has no pictures of the dashboard: "
            "apt-get install chromium, or set MODELPRESS_TEST_CHROMIUM\n"
        )
        return
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="modelpress-") as folder, sync_playwright() as drivers:
        browser = drivers.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        _photograph(browser, Path(folder))
        browser.close()
    TAKEN.touch()


if __name__ == "__main__":
    main()
