"""What a job's report costs: bytes of its page, seconds to draw it, requests that a browser makes.

One job of each kind runs on digits; its report is drawn again from its JSON, warm. The page is
opened from disk in headless Chromium, which can resolve no name; every request that its network
log tells of counts, the page's own file apart.
"""

import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.figures import Options, Report
from benchmarks.stack import running_stack
from service.client import Client, Job
from service.contract.reports import Report as JobReport
from service.reports.html import to_html
from service.reports.render import render_all

_DRAWN: Final = {"quick": 3, "full": 10}
_PAGES: Final = Path(".bench/reports")  # left there, to be looked at
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_REMOTE: Final = ("http", "https", "ws", "wss")
_CONTROL: Final = '<img src="http://127.0.0.1:9/one.png">'
_MOST_BYTES: Final = 2_000_000
_MOST_SECONDS: Final = 2.0


def run(options: Options) -> Report:
    """Starts the embedded stack; drawing needs a core for itself."""
    report = Report()
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        report.skip("external requests", "there is no Chromium")
    with running_stack() as (client, _):
        jobs = _jobs(client, options.seed)
        made = {job.data.kind: job.wait(timeout=600).report() for job in jobs}
    if browser is not None:
        control = _folder("control") / "report.html"
        control.write_text(_CONTROL)
        found = len(_requests(browser, control))
        report.at_least("a page with one foreign picture: requests", found, "", 1, "≥ 1")
    render_all(JobReport.model_validate_json(made["train"]), _folder("train"))  # warm from here on
    for kind, content in made.items():
        document = JobReport.model_validate_json(content)
        folder = _folder(kind)
        drawn = [_drawn_s(_anew(document, i), folder) for i in range(_DRAWN[options.budget])]
        page = folder / "report.html"
        report.at_most(f"{kind}: page", page.stat().st_size, "bytes", _MOST_BYTES, "≤ 2 MB")
        page_s, all_s, processor_s = map(statistics.median, zip(*drawn, strict=True))
        report.at_most(f"{kind}: page drawn", page_s, "s", _MOST_SECONDS, "≤ 2 s warm")
        report.at_most(f"{kind}: all files drawn", all_s, "s", _MOST_SECONDS, "≤ 2 s warm")
        report.told(f"{kind}: of it processor time", processor_s, "s")
        if browser is not None:  # which sees what a page asks for: `_CONTROL` shows it
            requests = _requests(browser, page)
            report.at_most(f"{kind}: requests of a browser", len(requests), "", 0, "0")
    return report


def _jobs(client: Client, seed: int) -> list[Job]:
    """One of each kind, in a chain."""
    short: dict[str, Any] = {"epochs": 3}
    teacher = client.train("cnn_simple", "digits", training=short, seed=seed)
    student = client.distill(teacher, "mlp", "digits", training=short, seed=seed)
    return [
        teacher,
        student,
        client.prune(teacher, "digits", allocation="adaptive", finetune=short, seed=seed),
        client.quantize(teacher, "digits", sensitivity=True, seed=seed),
        client.export(teacher, ["onnx", "safetensors", "openvino"], dataset="digits"),
        client.benchmark([teacher, student], "digits", runtimes=["eager", "onnxruntime"], blocks=4),
    ]


def _folder(kind: str) -> Path:
    folder = _PAGES / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _anew(document: JobReport, number: int) -> JobReport:
    """The same, with figures that were not drawn yet: those drawn last are remembered."""
    spec = {"description": f"drawing {number}"}
    fresh = tuple(one.model_copy(update={"spec": {**one.spec, **spec}}) for one in document.charts)
    return document.model_copy(update={"charts": fresh})


def _drawn_s(document: JobReport, folder: Path) -> tuple[float, float, float]:
    """Seconds for the page alone, for it and all other files, and of the processor for these."""
    start, start_cpu = time.perf_counter(), time.process_time()
    to_html(document)
    page = time.perf_counter() - start
    render_all(document, folder)
    # The page's figures are remembered, as they are within `render_all`.
    return page, time.perf_counter() - start, time.process_time() - start_cpu


def _requests(browser: str, page: Path) -> list[str]:
    """Addresses asked for while the page was shown."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "net.json"
        subprocess.run(
            [
                browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
                "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile",
                f"--log-net-log={log}", f"--screenshot={page.with_suffix('.seen.png')}",
                "--window-size=1280,4000", page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )  # fmt: skip
        events = json.loads(log.read_text())["events"]
    # The browser asks for things of its own, whose initiator is no origin; a page has one.
    asked = (event["params"] for event in events if "initiator" in event.get("params", {}))
    urls = (one.get("url", "") for one in asked if one["initiator"] != "not an origin")
    return [url for url in urls if urlsplit(url).scheme in _REMOTE]
