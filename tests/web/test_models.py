"""Models and comparisons in the browser."""

import hashlib
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.store.models import ModelStore
from service.store.values import ModelFile, NewModel
from service.web.card import card_html
from tests.sample_worker import register
from tests.web.conftest import Complaints, Dashboard, accessibility_violations

CARD = """---
library_name: modelpress
---
# Student

| figure | value |
|---|---|
| accuracy | 97 % |

<script>alert(1)</script> ![out](https://example.org/x.png) [a link](https://example.org)
"""


def add_model(dashboard: Dashboard, name: str, parent: str | None = None, size: int = 4096) -> str:
    """A model that is ready, with a card."""
    contents = {
        "README.md": CARD.encode(),
        "config.json": b'{"architecture":"cnn_student"}',
        "model.safetensors": name.encode().ljust(size, b"\0"),
    }
    files = []
    for file, data in contents.items():
        blob = dashboard.blobs.put_bytes(data)
        files.append(ModelFile(file, blob.sha256, blob.bytes, zlib.crc32(data)))
    model = NewModel(
        name=name,
        architecture="cnn_student",
        options={},
        classes=10,
        input_size=(3, 32, 32),
        normalisation={"mean": [0.0] * 3, "std": [1.0] * 3},
        parameters=size // 4,
        macs=1_250_000,
        size_bytes=size,
        sha256=hashlib.sha256(contents["model.safetensors"]).hexdigest(),
        metrics={"test_accuracy": 0.9725},
        parent_id=parent,
        files=tuple(files),
    )
    with dashboard.database.transaction() as session:
        return ModelStore(session).add("default", model).id


@pytest.fixture(scope="module")
def family(dashboard: Dashboard) -> list[str]:
    """A teacher, its student, and what was made of that."""
    teacher = add_model(dashboard, "teacher", size=40_960)
    student = add_model(dashboard, "student of the teacher", teacher)
    pruned = add_model(dashboard, "pruned", student, size=2048)
    return [teacher, student, pruned]


def test_the_list_leads_to_a_comparison_of_what_is_ticked(page: Page, family: list[str]) -> None:
    page.goto("/ui/models")
    expect(page.get_by_role("row", name="teacher").first).to_contain_text("97.25 %")
    assert accessibility_violations(page) == []
    page.get_by_label("Compare teacher").check()
    page.get_by_label("Compare pruned").check()
    page.get_by_role("link", name="Compare 2").click()
    picked = page.get_by_role("list", name="Models to compare").get_by_role("listitem")
    expect(picked).to_have_count(2)


def test_a_model_tells_what_it_is_and_where_it_comes_from(page: Page, family: list[str]) -> None:
    student = family[1]
    page.goto(f"/ui/models/{student}")
    lineage = page.get_by_role("region", name="Lineage")
    for model in family:
        expect(lineage.locator(f'a[href="/ui/models/{model}"]')).to_have_count(1)
    expect(page.get_by_role("row", name="Weights (safetensors)")).to_contain_text("4.10 kB")
    expect(page.get_by_text("accuracy97 %")).to_have_count(0)  # a table, not a line
    expect(page.get_by_role("cell", name="97 %")).to_be_visible()
    assert accessibility_violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert accessibility_violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download", exact=True).click()
    assert download.value.suggested_filename == "student of the teacher.zip"


def test_a_card_of_a_stranger_brings_neither_scripts_nor_pictures() -> None:
    html = str(card_html(CARD))
    assert "<script" not in html
    assert "<img" not in html
    assert "library_name" not in html
    assert "<h1" not in html
    assert 'rel="noopener noreferrer nofollow"' in html
    assert "<a" not in str(card_html("[x](javascript:alert(1))"))


def test_bare_weights_without_an_architecture_are_refused_beside_the_field(
    page: Page, complaints: Complaints, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    complaints.expected = ("422",)
    save_file({"weight": torch.zeros(4, 4)}, tmp_path / "bare.safetensors")
    page.goto("/ui/models")
    page.get_by_role("button", name="Upload a model").click()
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "bare.safetensors")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("architecture")
    expect(page.get_by_label("Architecture")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Architecture").fill("cnn_student")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("row", name="bare")).to_contain_text("checking")


def test_what_is_compared_has_an_address_and_is_kept(page: Page, family: list[str]) -> None:
    teacher, student, pruned = family
    page.goto(f"/ui/compare?ids={teacher},{student}")
    page.get_by_label("Model or job").fill(pruned)
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_url(f"/ui/compare?ids={teacher},{student},{pruned}")
    page.get_by_role("button", name="Remove student of the teacher").click()
    expect(page).to_have_url(f"/ui/compare?ids={teacher},{pruned}")
    assert accessibility_violations(page) == []
    page.get_by_label("Name").fill("Before and after")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url("**/ui/compare/cmp_*")
    expect(page.get_by_role("heading", name="Before and after")).to_be_visible()
    expect(page.locator("iframe.report").content_frame.get_by_text("teacher").first).to_be_visible(
        timeout=30_000
    )
    assert accessibility_violations(page) == []
    page.goto("/ui/compare")
    expect(page.get_by_role("link", name="Before and after")).to_be_visible()


def test_a_model_that_is_missing_is_said_in_the_form(page: Page, complaints: Complaints) -> None:
    complaints.expected = ("404", "422")
    page.goto("/ui/compare?ids=mdl_00000000000000000000000000")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()


def test_a_recommendation_says_why_and_can_be_started(
    page: Page, dashboard: Dashboard, family: list[str]
) -> None:
    register(dashboard.database, ("quantize", "benchmark", "prune", "distill"))
    page.goto(f"/ui/models/{family[0]}")
    page.get_by_label("Dataset").fill("digits")
    page.get_by_label("Largest size").fill("20")
    page.get_by_role("button", name="Recommend").click()
    first = page.locator("#recommendations article").first
    expect(first).to_be_visible()
    assert accessibility_violations(page) == []
    first.get_by_role("button", name="Start").click()
    page.wait_for_url("**/ui/jobs/job_*")
    assert dashboard.nudges.sent


@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_is_wider_than_the_window(page: Page, family: list[str], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/ui/models", f"/ui/models/{family[1]}", "/ui/compare"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
