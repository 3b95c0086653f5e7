"""Dashboard and alert rules against the figures that the service gives."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.api.measures import Measures
from service.contract.system import GpuMemory
from service.store.migrate import upgrade
from service.store.session import Database
from service.store.workers import WorkerStore
from tests.api.exposition import scrape
from tests.store.samples import GPU, worker_row

DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "modelpress.json").read_text())
PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool here: apt-get install --no-install-recommends prometheus"
)


def promtool(*arguments: str | Path, given: bytes = b"") -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], input=given, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    """Those of the dashboard, with Grafana's variable filled in."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "5m") for expression in found]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def named(expressions: list[str]) -> set[str]:
    return {name for text in expressions for name in re.findall(r"\bmodelpress_\w+", text)}


@pytest.fixture
def figures(database: Database) -> set[str]:
    """The names of all samples that there can be."""
    measures = Measures(lambda: 0)
    measures.observe("GET", "/v1/jobs", 200, 0.01)
    with database.transaction() as session:
        store = WorkerStore(session)
        store.register(worker_row(GPU))
        store.heartbeat(GPU.id, [GpuMemory(gpu=0, used_bytes=1, total_bytes=2)])
    return scrape(measures, database).names


def test_every_figure_that_the_dashboard_and_the_rules_name_exists(figures: set[str]) -> None:
    asked = named(queries()) | named([rule["expr"] for rule in rules()])
    assert len(asked) > 15
    assert asked <= figures


def test_the_how_to_lists_every_figure_and_none_besides(figures: set[str]) -> None:
    page = (DEPLOY.parent / "docs" / "how-to" / "observe.md").read_text()
    listed = set(re.findall(r"^\| `(modelpress_\w+)", page, re.MULTILINE))
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in figures}
    assert listed == families


@needs_promtool
def test_promtool_finds_names_and_helps_as_they_should_be(tmp_path: Path) -> None:
    measures = Measures(lambda: 0)
    measures.observe("GET", "/v1/jobs", 200, 0.01)
    upgrade(f"sqlite:///{tmp_path}/test.db")
    database = Database(f"sqlite:///{tmp_path}/test.db")
    promtool("check", "metrics", given=measures.exposition(database, 10.0, broker_up=True))
    database.close()


@needs_promtool
def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@needs_promtool
def test_every_rule_fires_when_it_shall_and_only_then() -> None:
    promtool("test", "rules", RULES.with_name("rules_test.yml"))
    tested = RULES.with_name("rules_test.yml").read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in tested] == []


@needs_promtool
def test_promtool_takes_the_scrape_configuration() -> None:
    promtool("check", "config", "--syntax-only", RULES.with_name("prometheus.yml"))


@needs_promtool
def test_every_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    recorded = [{"record": f"panel:query:{n}", "expr": text} for n, text in enumerate(queries())]
    (tmp_path / "queries.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]})
    )
    promtool("check", "rules", "--lint=none", tmp_path / "queries.yml")


def test_panels_have_their_own_number_and_place() -> None:
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in everything):
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_panels_ask_the_data_source_that_the_reader_chose() -> None:
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"]) == ("datasource", "datasource")
    for panel in panels():
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source["uid"] == "${datasource}" for source in sources)


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert len(rule["annotations"]["summary"]) > 20
        assert len(rule["annotations"]["description"]) > 40
