"""Datasets in the browser: uploading one, and what is seen of it."""

import io
import json
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.contract.job_errors import JobError
from service.store.datasets import DatasetStore
from service.store.values import AcceptedDataset
from tests.web.conftest import Complaints, Dashboard, accessibility_violations, eventually

LABELS = ("daisy", "dandelion", "rose", "sunflower", "tulip")


def an_npz(folder: Path, name: str = "flowers.npz") -> Path:
    """A file whose directory looks like arrays; what is in them, nobody reads here."""
    import numpy as np

    path, rows = folder / name, np.zeros((10, 3, 8, 8), np.float32)
    labels = np.arange(10) % 5
    np.savez(path, x_train=rows, y_train=labels, x_test=rows, y_test=labels)
    return path


def a_png() -> bytes:
    """A grey square."""
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (64, 64), (120, 140, 160)).save(data, "PNG")
    return data.getvalue()


def settle(dashboard: Dashboard, *, rejected: bool = False) -> str:
    """What a worker does with the dataset that waits."""
    sheet = dashboard.blobs.put_bytes(a_png())
    with dashboard.database.transaction() as session:
        store = DatasetStore(session)
        row = store.claim_check("wrk_" + "0" * 26, 60.0)
        assert row is not None
        if rejected:
            error = JobError.of("invalid_dataset", "y_train has 3 labels for 10 examples")
            assert store.reject(row.id, row.check_run, error)
            return row.id
        found = AcceptedDataset(
            classes=5,
            input_size=(3, 8, 8),
            labels=LABELS,
            splits={"train": 900, "validation": 100, "test": 200},
            class_counts={"train": (180,) * 5, "validation": (20,) * 5, "test": (40,) * 5},
            normalisation={"mean": [0.5] * 3, "std": [0.25] * 3},
            findings={
                "duplicates": [{"splits": ["train", "test"], "count": 3}],
                "undecodable": 0,
                "undecodable_names": [],
            },
            contact_sheet_sha256=sheet.sha256,
            digest="d" * 64,
            sha256=sheet.sha256,
            bytes=1_500_000,
        )
        assert store.accept(row.id, row.check_run, found) is not None
        return row.id


def upload(page: Page, path: Path) -> None:
    page.goto("/ui/datasets")
    page.get_by_role("button", name="Upload data").click()
    page.get_by_label("File", exact=True).set_input_files(path)
    page.get_by_role("button", name="Upload", exact=True).click()


def open_dataset(page: Page, name: str) -> None:
    page.get_by_role("link", name=name).click()
    page.wait_for_url("**/ui/datasets/dst_*")  # its scripts have run


def test_an_upload_is_followed_until_it_is_ready(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    upload(page, an_npz(tmp_path))
    row = page.get_by_role("row", name="flowers")
    expect(row.get_by_text("checking")).to_be_visible()
    settle(dashboard)
    expect(row.get_by_text("ready")).to_be_visible()
    expect(row.get_by_text("3 × 8 × 8")).to_be_visible()
    open_dataset(page, "flowers")
    expect(page.get_by_text("3 examples of test are also in train")).to_be_visible()
    expect(page.locator("#balance canvas")).to_be_visible()
    shown = page.get_by_role("img", name="Examples of the first classes")
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    assert accessibility_violations(page) == []
    drawn = "document.querySelector('#balance canvas')?.toDataURL()"
    light = page.evaluate(drawn)
    page.emulate_media(color_scheme="dark")
    eventually(page, f"![undefined, {json.dumps(light)}].includes({drawn})")
    assert accessibility_violations(page) == []


def test_what_is_wrong_with_a_file_is_said_in_the_form(
    page: Page, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.expected = ("422", "415")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"no zip at all")
    upload(page, broken)
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("numpy.savez")
    assert accessibility_violations(page) == []


def test_a_page_that_waits_turns_to_the_reason_of_a_rejection(
    page: Page, dashboard: Dashboard, tmp_path: Path
) -> None:
    upload(page, an_npz(tmp_path, "three.npz"))
    open_dataset(page, "three")
    expect(page.get_by_text("A worker reads it now")).to_be_visible()
    settle(dashboard, rejected=True)
    expect(page.get_by_role("alert")).to_contain_text("3 labels for 10 examples")


def test_deleting_asks_first(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    upload(page, an_npz(tmp_path, "gone.npz"))
    open_dataset(page, "gone")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/ui/datasets")
    expect(page.get_by_role("link", name="gone")).to_have_count(0)


def test_a_list_that_is_longer_than_a_page_goes_on(page: Page, dashboard: Dashboard) -> None:
    from service.store.values import NewDataset

    with dashboard.database.transaction() as session:
        for index in range(51):
            asked = NewDataset(
                name=f"many {index:02}", format="npz", source_sha256=f"{zlib.crc32(b'x'):064x}"
            )
            DatasetStore(session).add("default", asked)
    page.goto("/ui/datasets")
    expect(page.get_by_role("link", name="many 50")).to_be_visible()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="many 00")).to_be_visible()


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/ui/datasets", "/ui/workers"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
