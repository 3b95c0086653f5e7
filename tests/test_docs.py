"""The documentation says what the code does: every command, body, code, setting, move and link."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from service.cli.main import app
from service.config import Settings
from service.contract.comparisons import ComparisonCreate
from service.contract.datasets import DatasetCreate
from service.contract.job_errors import JobErrorCode
from service.contract.lifecycle import MOVES
from service.contract.models import ModelCreate
from service.contract.recommendations import RecommendationCreate
from service.contract.specs import SPECS
from service.contract.webhooks import WebhookCreate
from tests.documents.blocks import PAGES, ROOT, SHELL, blocks, commands, specs, without_variables
from tests.documents.curl import requests


def table_of(page: str) -> dict[str, list[str]]:
    """The rows of a page's tables whose first cell is one word of code, by that word."""
    rows: dict[str, list[str]] = {}
    for line in (ROOT / page).read_text("utf-8").splitlines():
        found = re.match(r"^\| `(\w+)` \|(.*)\|$", line)
        if found:
            rows[found[1]] = [cell.strip() for cell in found[2].split("|")]
    return rows


def test_the_diagram_of_states_draws_every_move_and_no_other() -> None:
    text = (ROOT / "docs/job-states.md").read_text("utf-8")
    edges = re.findall(r"^ +(\w+) --> (\w+): \S", text, re.MULTILINE)
    assert sorted(edges) == sorted(
        (state, to) for state, targets in MOVES.items() for to in targets
    )


def test_every_job_error_code_is_explained() -> None:
    assert set(get_args(JobErrorCode)) <= set(table_of("docs/errors.md"))


def problem_codes() -> set[str]:
    """Every code that a problem can carry, read off the service's source."""
    names = ("api", "drawing.py", "errors.py", "jobs.py", "peek", "quotas.py", "recommend")
    rooms = [ROOT / "service" / name for name in names]
    files = [file for room in rooms for file in ([room] if room.is_file() else room.glob("*.py"))]
    found: set[str] = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))):
        match node:
            case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                found.add(code)
            case ast.Call(
                func=ast.Attribute(attr="at"), args=[_, _, ast.Constant(value=str(code))]
            ):
                found.add(code)
            case ast.Assign(targets=[ast.Tuple(elts=[*_, ast.Name("default_code")])]):
                assert isinstance(node.value, ast.Tuple)
                found.add(ast.literal_eval(node.value.elts[-1]))
            case ast.AnnAssign(target=ast.Name("_HTTP_CODES"), value=ast.Dict(values=values)):
                found |= {ast.literal_eval(value) for value in values}
    return found


def test_every_problem_code_is_explained() -> None:
    codes = problem_codes()
    assert {"invalid", "not_retryable", "unknown_reference", "no_such_route"} <= codes
    assert codes - set(table_of("docs/errors.md")) == set()


def test_every_explained_code_exists() -> None:
    assert set(table_of("docs/errors.md")) == problem_codes() | set(get_args(JobErrorCode))


def test_every_setting_is_listed_with_its_default_and_no_other_is() -> None:
    rows = table_of("docs/how-to/deploy.md")
    assert set(rows) == {f"MODELPRESS_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        unset = field.default_factory is not None or field.default is None
        expected = "" if unset else f"`{field.default}`"
        assert rows[f"MODELPRESS_{name.upper()}"][0] == expected, name


def test_every_test_that_the_threat_model_names_exists() -> None:
    text = (ROOT / "docs/security.md").read_text("utf-8")
    files = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    names = set(re.findall(r"`(test_\w+)`", text))
    assert len(files) > 10
    assert [file for file in files if not (ROOT / file).exists()] == []
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in names if f"def {name}(" not in sources] == []


def taken() -> set[str]:
    """The names of the pictures, which are there only where a browser was."""
    source = (ROOT / "tools/screenshots.py").read_text("utf-8")
    return set(re.findall(r'Shot\("([\w-]+)"', source))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"^[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if linked.parent == ROOT / "docs/screenshots":
            assert linked.stem in taken(), target
            continue
        if linked.is_relative_to(ROOT / "docs/reference"):
            continue  # made when the site is built, which follows these links
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings]
            assert anchor in slugs, target


@pytest.mark.parametrize(("page", "words"), list(commands()))
def test_every_command_line_parses(
    page: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("student").mkdir()
    for word in words:
        if re.fullmatch(r"[\w-]+\.(safetensors|pt|onnx|npz|yaml)", word):
            Path(word).touch()
    command: Any = typer.main.get_command(app)
    context, rest = None, [without_variables(word) for word in words]
    name = "modelpress"
    while True:  # each group parses its own options and leaves the command's
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            return
        name, command, rest = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )


_TAKEN_AT: Final[dict[str, Callable[[str], object]]] = {
    "/v1/jobs": SPECS.validate_json,
    "/v1/models": ModelCreate.model_validate_json,
    "/v1/datasets": DatasetCreate.model_validate_json,
    "/v1/comparisons": ComparisonCreate.model_validate_json,
    "/v1/recommendations": RecommendationCreate.model_validate_json,
    "/v1/webhooks": WebhookCreate.model_validate_json,
}


BODIES: Final = [(sent.page, sent.path, sent.body) for sent in requests() if sent.body]


@pytest.mark.parametrize(("page", "path", "body"), BODIES)
def test_every_body_is_taken(page: str, path: str, body: str) -> None:
    assert isinstance(_TAKEN_AT[path](body), BaseModel)


@pytest.mark.parametrize(("page", "text"), list(specs()))
def test_every_spec_in_yaml_is_taken(page: str, text: str) -> None:
    SPECS.validate_python(yaml.safe_load(without_variables(text)), strict=False)


def test_there_is_something_to_hold_the_pages_against() -> None:
    assert len(list(commands())) > 20
    assert {path for _, path, _ in BODIES} == set(_TAKEN_AT)
    assert len(list(specs())) >= 3


def test_both_readmes_show_the_same_blocks() -> None:
    english, chinese = blocks(ROOT / "README.md"), blocks(ROOT / "README.zh-CN.md")
    assert [(b.language, b.text) for b in english] == [(b.language, b.text) for b in chinese]


def test_every_make_target_that_the_pages_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    shell = "".join(block.text for block in SHELL)
    named = set(re.findall(r"^make (\S+)", shell, re.MULTILINE))
    assert {"demo", "test", "bench"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
