"""The documentation is built as `make docs` builds it: a broken link or anchor ends the build."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from modelpress import Client
from service.contract.job_errors import HINTS
from service.contract.specs import SPECS
from tests.documents.blocks import ROOT
from tools.reference import sdk
from tools.reference.hook import moves, with_pictures
from tools.reference.http import document
from tools.reference.schema import limits_of, referred, section, type_of

_LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class _Loads(HTMLParser):
    """Addresses that a browser fetches for a page, without anyone having clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        value = dict(attrs).get(_LOADING.get(tag, ""))
        if value:
            self.found.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert build.returncode == 0, build.stderr[-3000:]
    return folder


def pages(site: Path) -> Iterator[tuple[str, str]]:
    for page in site.rglob("*.html"):
        yield page.relative_to(site).as_posix(), page.read_text("utf-8")


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site: Path) -> None:
    found = dict(pages(site))
    assert {f"reference/jobs/{kind}.html" for kind in ("train", "prune", "plan")} <= set(found)
    assert {"index.html", "tutorial.html", "reference/http.html", "reference/cli.html"} <= set(
        found
    )
    for name, text in found.items():
        loads = _Loads()
        loads.feed(text)
        assert [each for each in loads.found if re.match(r"(https?:)?//", each)] == [], name
        assert 'class="mermaid"' not in text, "browsers would fetch its script"
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(\"?https?:|@import", styles) == []


def test_the_reference_has_every_field_route_and_code(site: Path) -> None:
    found = dict(pages(site))
    schema = SPECS.json_schema()
    for kind, reference in schema["discriminator"]["mapping"].items():
        fields = schema["$defs"][reference.rsplit("/", 1)[-1]]["properties"]
        assert [f for f in fields if f"<code>{f}</code>" not in found[_kind(kind)]] == [], kind
    paths = document()["paths"]
    assert [path for path in paths if path not in found["reference/http.html"]] == []
    assert [code for code in HINTS if f"<code>{code}</code>" not in _errors(found)] == []


def test_the_reference_of_the_sdk_has_every_resource_of_a_client() -> None:
    with Client("http://127.0.0.1:1", "mp_none") as client:
        parts = [name for name in vars(client) if not name.startswith("_")]
    text = sdk.page()
    assert "jobs" in parts
    assert [name for name in parts if f"## client.{name}\n" not in text] == []


def _kind(kind: str) -> str:
    return f"reference/jobs/{kind}.html"


def _errors(found: dict[str, str]) -> str:
    return found["reference/job-errors.html"]


def test_a_schema_is_told_in_words() -> None:
    rate = {"type": "number", "exclusiveMinimum": 0, "maximum": 10, "default": 0.1}
    either = {"anyOf": [{"$ref": "#/$defs/Loss"}, {"type": "array", "items": {"enum": ["a|b"]}}]}
    assert (type_of(rate), limits_of(rate)) == ("number", "> 0, ≤ 10")
    assert type_of(either) == '[Loss](#loss) or list of `"a\\|b"`'
    assert limits_of({"type": "array", "items": rate, "maxItems": 3}) == "items ≤ 3, each > 0, ≤ 10"
    text = section("Fit", {"properties": {"rate": rate, "loss": either}, "required": ["loss"]})
    assert "| `rate` | number | `0.1` | > 0, ≤ 10 |  |" in text
    assert '| `loss` | [Loss](#loss) or list of `"a\\|b"` | required |  |  |' in text


def test_objects_are_found_once_also_where_they_refer_to_themselves() -> None:
    definitions: dict[str, dict[str, Any]] = {
        "A": {"properties": {"b": {"$ref": "#/$defs/B"}, "c": {"$ref": "#/$defs/C"}}},
        "B": {"properties": {"a": {"$ref": "#/$defs/A"}, "c": {"$ref": "#/$defs/C"}}},
        "C": {"type": "string"},
    }
    assert referred(definitions["A"], definitions) == ["B", "C", "A"]


def test_a_diagram_of_states_becomes_a_table() -> None:
    table = moves("stateDiagram-v2\n    [*] --> a: begins\n    a --> b: it moves\n    b --> [*]\n")
    assert table.splitlines()[2:] == ["| `a` | `b` | it moves |"]


def test_a_picture_that_was_not_taken_becomes_words(tmp_path: Path) -> None:
    (tmp_path / "jobs.png").touch()
    text = "![The list](../screenshots/jobs.png) ![A job, dark](../screenshots/job-dark.png)"
    assert with_pictures(text, tmp_path) == (
        "![The list](../screenshots/jobs.png) *(Picture: A job, dark)*"
    )
